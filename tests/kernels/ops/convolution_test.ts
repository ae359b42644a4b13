import assert from "node:assert/strict";
import { averagePool2d, conv2d, convTranspose2d, type Shape, uniforms } from "../../../kernels/mod.ts";
import { isSoftware } from "../../../kernels/devices/webgpu/webgpu_device.ts";
import { sizeOf } from "../../../kernels/core/shape.ts";
import { Conv2d, ConvTranspose2d } from "../../../models/mod.ts";
import { assertConvolves, convolutionCases } from "../../convolution_vectors.ts";
import { testWithVectors } from "../../models/vectors.ts";
import { assertClose, testByTransforms, testOnAllKernels, testOnCpus, testOnShaders } from "../../testing.ts";
import { exactConvolution, lazily, type Options, randomTensor, runConvolution } from "../oracle.ts";

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

/** A convolution of random numbers by options, and its exact results, computed once for all devices. */
function convolutionOf(x: Shape, w: Shape, y: Shape, options: Options, perImage: boolean) {
  const shapes = { x, w, bias: [perImage ? x[0] : 1, y[1]], dy: y };
  const drawn = (stream: number, shape: Shape) =>
    Float64Array.from(uniforms(5, stream, 0, sizeOf(shape)), (u) => Math.fround(2 * u - 1));
  const arrays = { x: drawn(4, x), w: drawn(5, w), bias: drawn(6, shapes.bias), dy: drawn(7, y) };
  const exact = exactConvolution(arrays, shapes, options);
  return async () => {
    const actual = await runConvolution(arrays, shapes, options);
    const what = `[${x}] by [${w}], ${JSON.stringify(options)}`;
    for (const name of ["y", "dx", "dw"] as const) {
      assertClose(actual[name], exact[name](), 1e-5, `${name} of ${what}`);
    }
  };
}

for (const [N, C, K, R, H, W] of convolutions) {
  const check = convolutionOf([N, C, H, W], [K, C, R, R], [N, K, H, W], { padding: (R - 1) / 2 }, true);
  for (const testOn of R === 3 ? [testOnAllKernels, testByTransforms] : [testOnAllKernels]) {
    testOn(
      `conv2d() ${C} -> ${K} of ${R}x${R} on ${H}x${W} has the values and gradients of its reference`,
      check,
    );
  }
}

/** Sizes of kernels of the op's samples: software adapters take seconds to compile kernels for others. */
const sampled = [[3, 2], [7, 5]] as const;

/**
 * Random convolutions, many with many groups. On the CPU a half has stride and dilation 1, and a half square kernels of
 * up to 7 taps along a side.
 */
function randomConvolutions(count: number, forCpu: boolean) {
  const numbers = uniforms(8, 1, 0, 100 * count)[Symbol.iterator]();
  const draw = (low: number, high: number) => low + Math.floor(numbers.next().value! * (high - low + 1));
  const pair = (low: number, high: number): [number, number] => [draw(low, high), draw(low, high)];
  const found: (() => Promise<void>)[] = [];
  while (found.length < count) {
    const transposed = draw(0, 1) === 1, plain = forCpu && draw(0, 1) === 1, [C, K] = pair(1, 9);
    const divisors = Array.from({ length: 9 }, (_, i) => i + 1).filter((n) => C % n + K % n === 0);
    const groups = divisors[draw(0, divisors.length - 1)];
    const taps = forCpu
      ? draw(0, 1) === 1 ? Array(2).fill(draw(1, 7)) as number[] : pair(1, 7)
      : sampled[draw(0, sampled.length - 1)];
    const [stride, dilation] = plain ? [[1, 1], [1, 1]] as const : [pair(1, 3), pair(1, 3)];
    const padding = [draw(0, taps[0]), draw(0, taps[1])] as const, image = pair(1, 9);
    const outputPadding = [draw(0, stride[0] - 1), draw(0, stride[1] - 1)] as const;
    const size = image.map((length, i) => {
      const beyond = dilation[i] * (taps[i] - 1) - 2 * padding[i];
      if (transposed) return stride[i] * (length - 1) + beyond + 1 + outputPadding[i];
      return Math.floor((length - 1 - beyond) / stride[i]) + 1;
    });
    if (Math.min(...size) < 1) continue;
    const options = { transposed, stride, dilation, padding, groups, ...transposed && { outputPadding } };
    const N = draw(1, 2), w = transposed ? [C, K / groups] : [K, C / groups];
    found.push(convolutionOf([N, C, ...image], [...w, ...taps], [N, K, ...size], options, draw(0, 1) === 1));
  }
  return found;
}

const randomOnes = [true, false].map((forCpu) => lazily(() => randomConvolutions(forCpu ? 300 : 20, forCpu)));

for (const [i, testOn] of [testOnCpus, testOnShaders].entries()) {
  testOn("random convolutions have the values and gradients of their references", async () => {
    const adapter = await navigator.gpu?.requestAdapter();
    const onCard = adapter && !isSoftware(adapter); // which compiles any kernel at once
    for (const check of randomOnes[onCard ? 0 : i]()) await check();
  });
}

testOnAllKernels("averagePool2d() is the mean of each window, with zeros around the image", async () => {
  const [N, C, H, W] = [2, 3, 7, 9], x = randomTensor(1, [N, C, H, W]), values = await x.read();
  for (const [size, stride, padding] of [[2, 2, 0], [3, 2, 1], [3, 1, 0], [2, 3, 1], [4, 1, 2]]) {
    const y = averagePool2d(x, size, { stride, padding }), [P, Q] = y.shape.slice(2);
    assert.deepEqual(y.shape, [
      N,
      C,
      ...[H, W].map((n) => Math.floor((n + 2 * padding - size) / stride) + 1),
    ]);
    const expected = Array.from({ length: y.size }, (_, i) => {
      const plane = Math.floor(i / (P * Q)), top = Math.floor(i / Q) % P * stride - padding;
      let sum = 0;
      for (let tap = 0; tap < size * size; tap++) {
        const h = top + Math.floor(tap / size), w = i % Q * stride - padding + tap % size;
        if (h >= 0 && h < H && w >= 0 && w < W) sum += values[(plane * H + h) * W + w];
      }
      return sum / size ** 2;
    });
    assertClose(await y.read(), expected, 1e-6, `windows of ${size}, ${stride} apart, padding ${padding}`);
  }
});

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
