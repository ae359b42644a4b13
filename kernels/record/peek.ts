import { owners, peeks } from "../core/memory.ts";
import type { Tensor } from "../core/tensor.ts";

/**
 * Reads a value, and shows it after those before it. If the device has failed, shows none: reading any result says so.
 */
function show(x: Tensor, use: (values: Float32Array) => void): void {
  const shown = Promise.all([x.read().catch(() => undefined), peeks.shown])
    .then(([values]) => values && use(values))
    .finally(() => {
      if (peeks.shown === shown) peeks.shown = undefined;
    });
  peeks.shown = shown;
}

/**
 * Shows a value inside a network whenever it is computed, without changing it: also in each run of a recorded step, as
 * in training, sampling and validation.
 *
 * The values arrive later, in order, because the device runs behind the program; reading a tensor waits for them, and
 * rejects if a function throws. Each call makes the device wait, so remove it before a long training.
 *
 * @param x the value, of any shape
 * @param look a label, to print `label f32[2, 3]: from 0 to 5, mean 2.5, deviation 1.708`; or a function that gets the
 * values
 * @returns x
 *
 * ```ts
 * import { init, multiply, peek, record, tensor } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const x = tensor([1, 2, 3]);
 * const step = record(() => multiply(peek(multiply(x, x), "x^2"), 10));
 * for (let i = 0; i < 2; i++) step.run(); // x^2 f32[3]: from 1 to 9, mean 4.667, deviation 3.3 (twice)
 * ```
 */
export function peek(x: Tensor, look: string | ((values: Float32Array) => void)): Tensor {
  const use = typeof look === "function"
    ? look
    : (values: Float32Array) => console.log(`${look} ${x}: ${summaryOf(values)}`);
  if (owners.recording) owners.recording.peeks.push({ x, afterRun: () => show(x, use) });
  else show(x, use);
  return x;
}

/** Range, mean and standard deviation of the finite values, and how many are not finite. */
function summaryOf(values: Float32Array): string {
  const finite = values.filter(Number.isFinite);
  const mean = finite.reduce((sum, value) => sum + value / finite.length, 0);
  const variance = finite.reduce((sum, value) => sum + (value - mean) ** 2 / finite.length, 0);
  const [least, most] = finite.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  const short = (value: number) => `${Number(value.toPrecision(4))}`;
  const range = `from ${short(least)} to ${short(most)}, mean ${short(mean)}, deviation ${
    short(Math.sqrt(variance))
  }`;
  const bad = values.length - finite.length;
  return [finite.length > 0 && range, bad > 0 && `${bad} not finite`].filter(Boolean).join(", ");
}
