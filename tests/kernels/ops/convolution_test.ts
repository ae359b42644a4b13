import assert from "node:assert/strict";
import { conv2d, convTranspose2d, gradients, multiply, sum, tensor } from "../../../kernels/mod.ts";
import { registry } from "../../../kernels/op.ts";
import { Conv2d, ConvTranspose2d } from "../../../models/mod.ts";
import { assertConvolves, convolutionCases } from "../../convolution_vectors.ts";
import { testWithVectors } from "../../models/vectors.ts";
import { assertClose, testOnCpus } from "../../testing.ts";
import { oracle, randomTensor } from "../oracle.ts";

testWithVectors("conv2d() and convTranspose2d() are PyTorch's", "convolutions", async (vectors) => {
  const cases = convolutionCases(vectors);
  assert.equal(cases.length, 12);
  for (const [i, given] of cases.entries()) await assertConvolves(vectors, i, given);
});

testOnCpus(
  "conv2d() of large kernels keeps an outlier, Infinity or NaN from what it does not reach",
  async () => {
    const shapes = { x: [3, 9, 12, 13], w: [10, 9, 5, 5], dy: [3, 10, 12, 13], bias: [1, 10] };
    const names = ["x", "w", "dy"] as const;
    const [x, w, dy] = await Promise.all(
      names.map(async (name, i) => Float64Array.from(await randomTensor(i, shapes[name]).read())),
    );
    const exact = (op: string, inputs: Float64Array[], attributes: Record<string, number>) =>
      oracle(registry.get(op)!, { shapes, attributes }, inputs);
    for (const outlier of [1, 1e3, 1e6, 1e30, Infinity, NaN]) {
      const [spoiled, slope] = [x, dy].map((values) => values.with(5 * 13 + 6, Math.fround(outlier)));
      const bias = new Float64Array(10), run = { R: 5, S: 5, padding: 2, run: 3 };
      const expected = [
        exact("conv2d", [spoiled, w, bias], { padding: 2 }).y,
        exact("conv2dInputGradient", [slope, w], { padding: 2, H: 12, W: 13 }).dx,
        exact("conv2dWeightGradient", [spoiled, dy], run).dw,
        exact("conv2dWeightGradient", [x, slope], run).dw,
      ];
      const of = (values: Float64Array, name: typeof names[number]) =>
        tensor(Float32Array.from(values), shapes[name]);
      const loss = (a: Float64Array, v: Float64Array) => {
        const inputs = [of(a, "x"), of(w, "w")], y = conv2d(inputs[0], inputs[1], undefined, { padding: 2 });
        return [y, ...gradients(sum(multiply(y, of(v, "dy"))), inputs)];
      };
      const [y, , dw] = loss(spoiled, dy), [, dx, other] = loss(x, slope);
      for (const [i, found] of [y, dx, dw, other].entries()) {
        const values = await found.read();
        expected[i].forEach((value, at) => {
          const what = `result ${i}, element ${at}, with ${outlier}: ${values[at]}, not ${value}`;
          if (!Number.isFinite(value)) assert.ok(Object.is(values[at], value), what);
          else assert.ok(Math.abs(values[at] - value) <= 1e-3 * Math.max(1, Math.abs(value)), what);
        });
      }
    }
  },
);

testOnCpus(
  "Conv2d and ConvTranspose2d take the options of their ops, and by default keep or double the size",
  async () => {
    const x = randomTensor(1, [2, 6, 7, 8]);
    const options = { stride: [2, 1], dilation: [1, 2], groups: 3 } as const;
    const conv = new Conv2d(6, 9, [3, 5], options),
      up = new ConvTranspose2d(6, 3, 4, { stride: 3, padding: 1, groups: 3 });
    const expected = conv2d(x, conv.weight, conv.bias, { ...options, padding: [1, 4] });
    assertClose(await conv.forward(x).read(), await expected.read(), 0);
    const raised = convTranspose2d(x, up.weight, up.bias, { stride: 3, padding: 1, groups: 3 });
    assertClose(await up.forward(x).read(), await raised.read(), 0);
    const sizes = [conv, up, new Conv2d(6, 2, 5), new ConvTranspose2d(6, 2)].map((layer) =>
      layer.forward(x).shape
    );
    assert.deepEqual(sizes, [[2, 9, 4, 8], [2, 3, 20, 23], [2, 2, 7, 8], [2, 2, 14, 16]]);
    assert.deepEqual([conv.weight.shape, up.weight.shape], [[9, 2, 3, 5], [6, 1, 4, 4]]);
  },
);
