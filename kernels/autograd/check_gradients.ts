import { gradients } from "./gradients.ts";
import { multiply } from "../ops/elementwise/binary.ts";
import { sum } from "../ops/reduce/reduce.ts";
import { uniforms } from "../ops/random/threefry.ts";
import { refuse, refuseUnknown } from "../core/checks.ts";
import { checkTensor, type Tensor, tensor } from "../core/tensor.ts";
import { scope } from "../core/scope.ts";
import type { Kernel } from "../devices/device.ts";

/** Thrown if a gradient differs from the derivative of its function. */
export class GradientError extends Error {
  /** Class name, kept in minified code. */
  override name = "GradientError";
}

/** Options of {@linkcode checkGradients}. */
export interface GradientCheck {
  /** Allowed error relative to the largest element of an input's gradient; by default 1e-3. */
  readonly tolerance?: number;
  /**
   * Step of the differences, by default 1/32; inputs move by up to two steps. With smaller steps, f32 rounding
   * dominates.
   */
  readonly step?: number;
}

/** Weights of f at x + 2h, x + h, x - h and x - 2h in 12h f'(x): the error falls as h^4. */
const stencil = [[2, -1], [1, 8], [-1, -8], [-2, 1]] as const;

/**
 * Checks the gradient of an op, or of any function of tensors, against central differences on the device in use.
 *
 * Moves the f32 inputs one element at a time; u32 inputs stay as they are. Outputs are summed with random weights in
 * [-1, 1), so that errors do not cancel.
 *
 * @param f a deterministic function, smooth within two steps of the inputs: avoid kinks such as relu's at 0
 * @param inputs small tensors: f runs four times for each element
 * @throws {GradientError} naming the input, the element, both values and the allowed error
 *
 * ```ts
 * import { checkGradients, init, multiply, tanh, tensor } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * await checkGradients((a, b) => multiply(tanh(a), b), [tensor([0.5, -1]), tensor([2, 3])]);
 * ```
 * Source: Fornberg 1988, Generation of finite difference formulas on arbitrarily spaced grids, table 1
 */
export async function checkGradients(
  f: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  { tolerance = 1e-3, step = 1 / 32, ...unknown }: GradientCheck = {},
): Promise<void> {
  refuseUnknown("check gradients", unknown, ["tolerance", "step"]);
  inputs.forEach((x, i) => checkTensor("check gradients", `input ${i} is`, x));
  for (const [name, value] of Object.entries({ tolerance, step })) {
    if (value > 0 && value < Infinity) continue;
    refuse(RangeError, `check gradients: ${name} is ${value}`, "a number above 0");
  }
  const copies = await Promise.all(inputs.map(async (x) => {
    return x.type === "u32" ? x : tensor(await x.read(), x.shape); // leaves the caller's tensors unchanged
  }));
  const run = () => scope(() => checkTensor("check gradients", "the function returned", f(...copies)));
  const y = run();
  const values = await y.read();
  const weights = uniforms(11, 3, 0, y.size).map((u) => 2 * u - 1);
  const moving = copies.filter(({ type }) => type === "f32");
  const computed = scope(() => {
    const again = checkTensor("check gradients", "a second call returned", f(...copies), y.shape);
    return gradients(sum(multiply(again, tensor(weights, y.shape))), moving);
  });
  const rounding = largest(values) * 2 ** -21 / step; // smaller differences of f32 numbers are noise

  for (const [k, x] of moving.entries()) {
    const dx = await computed[k].read();
    const expected = await differences(x);
    const allowed = tolerance * largest(expected) + rounding;
    for (const [i, value] of expected.entries()) {
      if (Math.abs(dx[i] - value) <= allowed) continue;
      const of = f.name === "" ? "" : ` of ${f.name}`;
      const found = `at element ${i} of ${inputName(copies.indexOf(x))} ${x} it is ${dx[i]}`;
      const what = `confirm the gradient${of}: ${found}, but central differences give ${value}`;
      refuse(GradientError, what, `within ${allowed.toPrecision(3)}`);
    }
  }

  /** Derivatives of the weighted outputs with respect to each element of an input. */
  async function differences(x: Tensor): Promise<Float64Array> {
    const before = await x.read();
    const slopes = new Float64Array(x.size);
    for (let i = 0; i < x.size; i++) {
      const moved = await Promise.all(stencil.map(([steps]) => {
        const near = before.slice();
        near[i] += steps * step;
        x.write(near);
        return run().read();
      }));
      moved.forEach((values, k) => {
        const weighted = values.reduce((total, value, j) => total + weights[j] * value, 0);
        slopes[i] += stencil[k][1] * weighted / (12 * step);
      });
    }
    x.write(before);
    return slopes;
  }

  function inputName(i: number): string {
    return "kernel" in f ? (f.kernel as Kernel).ports[i].name : `input ${i}`;
  }
}

function largest(values: Float32Array | Float64Array): number {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}
