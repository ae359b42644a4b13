import assert from "node:assert/strict";
import { conv2d, convTranspose2d, type Shape, uniforms } from "../../../kernels/mod.ts";
import { sizeOf } from "../../../kernels/core/shape.ts";
import { Conv2d, ConvTranspose2d } from "../../../models/mod.ts";
import { assertConvolves, convolutionCases } from "../../convolution_vectors.ts";
import { testWithVectors } from "../../models/vectors.ts";
import { assertClose, testOnAllKernels, testOnCpus } from "../../testing.ts";
import { testByTransforms } from "../../winograd_devices.ts";
import { exactConvolution, randomTensor, runConvolution } from "../oracle.ts";

testWithVectors("conv2d() and convTranspose2d() match PyTorch's", "convolutions", async (vectors) => {
  const cases = convolutionCases(vectors);
  assert.equal(cases.length, 12);
  for (const [i, convolution] of cases.entries()) await assertConvolves(vectors, i, convolution);
});

/** Convolutions of the networks: [N, C, K, R, H, W]. */
const convolutions = [
  [3, 1, 16, 3, 28, 28],
  [2, 16, 1, 3, 28, 28],
  [5, 33, 65, 3, 7, 7],
  [2, 24, 20, 3, 14, 13],
  [2, 64, 64, 1, 7, 7],
  [3, 13, 14, 5, 9, 10],
  [9, 12, 17, 7, 8, 3],
  [2, 13, 12, 9, 5, 10],
  [2, 12, 12, 11, 9, 13],
];

for (const [N, C, K, R, H, W] of convolutions) {
  const padding = (R - 1) / 2;
  const shapes = { x: [N, C, H, W], w: [K, C, R, R], bias: [N, K], dy: [N, K, H, W] };
  const drawn = (stream: number, shape: Shape) =>
    Float64Array.from(uniforms(5, stream, 0, sizeOf(shape)), (u) => Math.fround(2 * u - 1));
  const arrays = {
    x: drawn(4, shapes.x),
    w: drawn(5, shapes.w),
    bias: drawn(6, shapes.bias),
    dy: drawn(7, shapes.dy),
  };
  const exact = exactConvolution(arrays, shapes, padding); // for all devices
  for (const testOn of R === 3 ? [testOnAllKernels, testByTransforms] : [testOnAllKernels]) {
    testOn(
      `conv2d() ${C} -> ${K} of ${R}x${R} on ${H}x${W} has the values and gradients of its reference`,
      async () => {
        const actual = await runConvolution(arrays, shapes, padding);
        for (const name of ["y", "dx", "dw"] as const) {
          assertClose(actual[name], exact[name](), 1e-5, name);
        }
      },
    );
  }
}

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
