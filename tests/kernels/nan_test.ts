/** NaN stays NaN, on every device: what the reference of an op gives for one is what its kernels give. */

import assert from "node:assert/strict";
import { full, gradients, maxPool2d, sum, tensor } from "../../kernels/mod.ts";
import { registry } from "../../kernels/op.ts";
import { assertClose, testOnAllKernels } from "../testing.ts";
import { inputsOf, oracle } from "./oracle.ts";

/** First, middle and last place. */
const placesOf = (size: number) => [...new Set([0, size >> 1, size - 1])];

for (const op of registry.values()) {
  op.samples.forEach((sample, k) => {
    op.inputs.forEach(({ name, type }, at) => {
      if (type !== "f32") return;
      testOnAllKernels(
        `${op.name}() keeps NaN in ${name} as its reference does, sample ${k}`,
        async (device) => {
          const inputs = inputsOf(op, sample);
          const more = device.kind === "webgpu" && (timesPadding[op.name] ?? []).includes(name);
          for (const place of placesOf(inputs[at].length)) {
            const given = inputs.with(at, inputs[at].with(place, NaN));
            const expected = oracle(op, sample, given);
            const tensors = op.inputs.map(({ name, type }, i) =>
              tensor(
                type === "u32" ? given[i] as Uint32Array : Float32Array.from(given[i]),
                sample.shapes[name],
              )
            );
            const results = op.run(tensors, sample.attributes ?? {});
            const fresh = op.outputs.filter(({ name }) => !op.inputs.some((input) => input.name === name));
            for (const { name: output } of op.outputs) {
              const updated = op.inputs.findIndex((input) => input.name === output);
              const y = updated >= 0
                ? tensors[updated]
                : results[fresh.findIndex(({ name }) => name === output)];
              assertSame(await y.read(), expected[output], more, `${output} for NaN at ${place}`);
            }
          }
          assertClose(await full([2], 3).read(), [3, 3], 0);
        },
      );
    });
  });
}

/**
 * Inputs that are multiplied with the zeros around an image: shaders do so, and zero times NaN is NaN; references and CPU
 * kernels leave these products out.
 */
const timesPadding: Readonly<Record<string, readonly string[]>> = {
  conv2d: ["w"],
  conv2dAdd: ["w"],
  conv2dUnbiased: ["w"],
  conv2dInputGradient: ["w"],
  conv2dWeightGradient: ["x", "dy"],
};

/** Asserts that the same elements are NaN, or `more` of them, and that the others are equal. */
function assertSame(actual: Float32Array, expected: ArrayLike<number>, more: boolean, what: string): void {
  const where = (values: ArrayLike<number>) =>
    Array.from(values, (value, i) => Number.isNaN(value) || (more && Number.isNaN(actual[i])) ? "NaN" : "-")
      .join(" ");
  assert.equal(where(actual), where(expected), what);
  const numbers = (values: ArrayLike<number>) =>
    Array.from(values).filter((_, i) => !Number.isNaN(actual[i]));
  assertClose(numbers(actual), numbers(expected), 5e-5, what);
}

testOnAllKernels("maxPool2d() and its gradients take the first NaN of a window for its maximum", async () => {
  const windows = Array.from({ length: 81 }, (_, code) => {
    const digits = [code % 3, Math.floor(code / 3) % 3, Math.floor(code / 9) % 3, Math.floor(code / 27)];
    return digits.map((digit) => digit === 2 ? NaN : digit);
  });
  const rowOf = (from: number) => windows.flatMap((values) => values.slice(from, from + 2));
  const x = tensor([...rowOf(0), ...rowOf(2)], [1, 1, 2, 162]);
  const y = maxPool2d(x);
  const [dx] = gradients(sum(y), [x]);
  const slopes = await dx.read();
  for (const [i, value] of (await y.read()).entries()) {
    const values = windows[i];
    const first = values.findIndex(Number.isNaN);
    const top = first >= 0 ? first : values.indexOf(Math.max(...values));
    assert.equal(value, values[top], `window ${values}`);
    const given = [0, 1, 162, 163].map((at) => slopes[2 * i + at]);
    assert.deepEqual(given, values.map((_, k) => k === top ? 1 : 0), `window ${values}`);
  }
});
