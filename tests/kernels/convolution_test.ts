import assert from "node:assert/strict";
import {
  add,
  conv2d,
  convTranspose2d,
  full,
  gradients,
  multiply,
  record,
  type Shape,
  square,
  sum,
  type Tensor,
  uniforms,
  withDevice,
} from "../../kernels/mod.ts";
import { isSoftware, WebGpuDevice } from "../../kernels/devices/webgpu/webgpu_device.ts";
import { sizeOf } from "../../kernels/core/shape.ts";
import { Conv2d, ConvTranspose2d } from "../../models/mod.ts";
import { testWithVectors } from "../models/vectors.ts";
import {
  assertClose,
  testByTransforms,
  testOnCpu,
  testOnCpus,
  testOnGpuKernels,
  testOnShaders,
} from "../testing.ts";
import { exactConvolution, lazily, type Options, randomTensor, runConvolution } from "./oracle.ts";
import { registry } from "../../kernels/op.ts";
import { plainGeometry } from "../../kernels/ops/conv2d/geometry.ts";
import { assertSameNumbers } from "../same_numbers.ts";

testWithVectors("conv2d() and convTranspose2d() match PyTorch's", "convolutions", async (vectors) => {
  const cases: { transposed: boolean; options: Options }[] = JSON.parse(vectors.metadata.cases);
  assert.equal(cases.length, 12);
  const names = ["x", "w", "bias"] as const;
  for (const [i, { transposed, options }] of cases.entries()) {
    const of = (name: string) => vectors.tensor(`${i}.${name}`),
      inputs = names.map(of),
      [x, w, bias] = inputs;
    const y = (transposed ? convTranspose2d : conv2d)(x, w, bias, options);
    const first = gradients(sum(multiply(of("v"), square(y))), inputs);
    const slopes = names.map((name, at) => sum(multiply(first[at], of(`along.${name}`))));
    const second = gradients(slopes.reduce((total, slope) => add(total, slope)), inputs);
    const what = `${transposed ? "convTranspose2d" : "conv2d"} ${x} ${w} ${JSON.stringify(options)}`;
    const expect = async (name: string, found: Tensor, tolerance: number) =>
      assertClose(await found.read(), vectors.values(`${i}.${name}`), tolerance, `${name} of ${what}`);
    await expect("y", y, 2e-5);
    for (const [at, name] of names.entries()) {
      await expect(`d${name}`, first[at], 1e-4);
      await expect(`dd${name}`, second[at], 2e-4);
    }
  }
});

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

/** Those of single channels have more pixels than in the samples of the ops. */
const trained = [[2, 1, 16, 40, 36], [2, 16, 1, 28, 28], [5, 33, 65, 7, 7], [2, 24, 20, 14, 13]];
for (const [N, C, K, H, W] of trained) {
  const check = convolutionOf([N, C, H, W], [K, C, 3, 3], [N, K, H, W], { padding: 1 }, true);
  for (const testOn of Math.min(C, K) === 1 ? [testByTransforms, testOnGpuKernels] : [testByTransforms]) {
    testOn(`conv2d() ${C} -> ${K} on ${H}x${W} has the values and gradients of its reference`, check);
  }
}

testOnCpus(
  "convolutions sum the gradients of groups over several small images at a time",
  convolutionOf([20, 4, 3, 3], [8, 2, 3, 3], [20, 8, 2, 2], { stride: 2, padding: 1, groups: 2 }, false),
);

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
    const N = draw(1, forCpu ? 20 : 2), w = transposed ? [C, K / groups] : [K, C / groups];
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

testOnCpu(
  "Conv2d and ConvTranspose2d take their ops' options, and by default keep or double the size",
  async () => {
    const x = randomTensor(1, [2, 6, 7, 8]),
      options = { stride: [2, 1], dilation: [1, 2], groups: 3 } as const;
    const upOptions = { stride: 3, padding: 1, groups: 3 };
    const conv = new Conv2d(6, 9, [3, 5], options), up = new ConvTranspose2d(6, 3, 4, upOptions);
    const expected = conv2d(x, conv.weight, conv.bias, { ...options, padding: [1, 4] });
    assertClose(await conv.forward(x).read(), await expected.read(), 0);
    const raised = convTranspose2d(x, up.weight, up.bias, upOptions);
    assertClose(await up.forward(x).read(), await raised.read(), 0);
    const layers = [conv, up, new Conv2d(6, 2, 5), new ConvTranspose2d(6, 2)];
    const sizes = [[2, 9, 4, 8], [2, 3, 20, 23], [2, 2, 7, 8], [2, 2, 14, 16]];
    assert.deepEqual(layers.map((layer) => layer.forward(x).shape), sizes);
    assert.deepEqual([conv.weight.shape, up.weight.shape], [[9, 2, 3, 5], [6, 1, 4, 4]]);
  },
);

Deno.test("conv2d() uses Winograd's transforms for 3x3 taps and many channels", () => {
  const { kernel, plan } = registry.get("conv2d")!;
  const defaults = (C: number, K: number, taps: number) => {
    const attributes = { ...plainGeometry((taps - 1) / 2), transposed: 0, P: 28, Q: 28 };
    const { dims } = plan([[64, C, 28, 28], [K, C, taps, taps], [1, K]], attributes);
    return [true, false].map((software) =>
      kernel.passes!(dims, { workgroupSize: 64, software, pieces: 512 })?.length
    );
  };
  assert.deepEqual(defaults(32, 32, 3), [4, 3]);
  for (const [C, taps] of [[1, 3], [64, 1], [64, 5]]) {
    assert.deepEqual(defaults(C, 32, taps), [undefined, undefined]);
  }
});

/** y, dx and dw of a convolution from C to K channels. */
function step(C: number, K: number, size: number) {
  const [x, w, bias] = [[3, C, size, size], [K, C, 3, 3], [K]].map((shape, i) => randomTensor(i + 1, shape));
  return () => {
    const y = conv2d(x, w, bias, { padding: 1 });
    return [y, ...gradients(sum(square(y)), [x, w])];
  };
}

testByTransforms(
  "a recorded step uses new scratch memory when it grows, and gives the same bits",
  async () => {
    const recorded = record(step(5, 6, 9));
    recorded.run();
    const before = await Promise.all(recorded.result.map((y) => y.read()));
    for (const y of step(16, 17, 14)()) await y.read();
    const fillers = [36 * 5 * 27, 36 * 6 * 27].map((size) => full([size], 7)); // overwrite its earlier scratch memory
    recorded.run();
    const after = await Promise.all(recorded.result.map((y) => y.read()));
    assertSameNumbers(after, before);
    for (const other of fillers) assertClose(await other.read(), new Float32Array(other.size).fill(7), 0);
  },
);

testByTransforms(
  "steps allocate what they planned, with the scratch memory of the largest",
  async ({ tuning }) => {
    const device = await WebGpuDevice.open({ software: tuning.software, candidate: "winograd" });
    await withDevice(device, async () => {
      const parts = [step(16, 17, 9), step(24, 20, 16), step(20, 32, 20)];
      const before = device.allocatedBytes;
      const steps = parts.map((part) => record(part));
      const largest = Math.max(...steps.map(({ plan }) => plan.workspaceBytes));
      const recorded = device.allocatedBytes;
      steps[0].run();
      assert.ok(device.allocatedBytes - recorded >= largest, "the smallest step reserves it");
      for (const { run } of steps) run();
      await device.finished();
      const planned = steps.reduce((sum, { plan }) => sum + plan.bytes, largest);
      const allocated = device.allocatedBytes - before;
      assert.ok(allocated <= 1.15 * planned, `${allocated} allocated, ${planned} planned`);
    });
    device.close();
  },
);

testByTransforms("a step that keeps values in f16 keeps transformed tiles in f32", async (device) => {
  if (!device.halfStorage) return;
  const [x, w, bias] = [[2, 24, 20, 20], [24, 24, 3, 3], [24]].map((shape, i) => randomTensor(i + 1, shape));
  const convolve = () => conv2d(conv2d(x, w, bias, { padding: 1 }), w, bias, { padding: 1 });
  const [plain, half] = [record(convolve), record(convolve, { precision: "f16" })];
  assert.ok(half.plan.bytes < plain.plan.bytes);
  plain.run();
  half.run();
  assertClose(await half.result.read(), await plain.result.read(), 1e-3);
});

const drawn = (stream: number, shape: Shape, scale = 1) =>
  Float64Array.from(uniforms(3, stream, 0, sizeOf(shape)), (u) => Math.fround((2 * u - 1) * scale));

/** Results of the references in f64, shared by all devices. */
const references = new Map<string, ReturnType<typeof exactConvolution>>();

/**
 * y, dx and dw of a convolution on the device in use, and their expected values; `name` identifies the convolution.
 */
async function results(
  name: string,
  x: Float64Array,
  w: Float64Array,
  dy: Float64Array,
  size: readonly number[],
) {
  const [N, C, K, H, W, R = 3] = size, padding = R >> 1;
  const shapes = { x: [N, C, H, W], w: [K, C, R, R], dy: [N, K, H, W], bias: [1, K] };
  const arrays = { x, w, dy, bias: new Float64Array(K) };
  const key = `${name} of ${size}`;
  const exact = references.get(key) ?? exactConvolution(arrays, shapes, { padding });
  references.set(key, exact);
  const { y, dx, dw } = await runConvolution(arrays, shapes, { padding });
  return {
    ...{ y: () => [y, exact.y()] as const, dx: () => [dx, exact.dx()] as const },
    dw: () => [dw, exact.dw()] as const,
  };
}

/** Asserts that errors are at most `share` of the typical result, or of the result itself if it is larger. */
function assertNear(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  share: number,
  what: string,
): void {
  const sizes = Array.from(expected, Math.abs).sort((a, b) => a - b);
  const typical = sizes[sizes.length >> 1];
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i] - expected[i]);
    assert.ok(
      error <= share * Math.max(typical, Math.abs(expected[i])),
      `${what} ${i} is ${actual[i]}, not ${expected[i]}; ${typical} is typical`,
    );
  }
}

/** Defines a test of all Winograd convolutions. Direct ones have no problem with outliers. */
function testTransforms(name: string, test: () => Promise<void>): void {
  testOnCpus(name, test);
  testByTransforms(name, test);
}

/** The error bound that conv2d documents, relative to the typical value. */
const share = 2e-2;
/** N, C, K, H, W and, unless it is 3, the number of taps along a side. */
const sizes = [
  ...[[2, 16, 6, 13, 14], [2, 1, 5, 12, 13], [1, 48, 4, 7, 7], [1, 1, 3, 8, 8]],
  ...[[1, 13, 12, 9, 10, 5], [1, 12, 14, 8, 7, 7], [1, 12, 12, 6, 5, 9]],
];
const outliers = [10, 1e3, 3e4, 1e5, 1e10, 1e37];

for (const size of sizes) {
  const [N, C, K, H, W, R = 3] = size, test = R === 3 ? testTransforms : testOnCpus;
  const w = drawn(2, [K, C, R, R], 0.1);
  test(`conv2d() of ${C} channels and ${R}x${R} taps with an outlier does not spoil its neighbours`, async () => {
    const x = drawn(1, [N, C, H, W]), dy = drawn(3, [N, K, H, W]);
    for (const [i, outlier] of outliers.entries()) {
      const place = [0, 6 * W + 3, H * W - 1][i % 3];
      const at = (C >> 1) * H * W + place;
      const name = `x ${outlier} at ${at}`;
      const { y, dw } = await results(name, x.with(at, Math.fround(outlier)), w, dy, size);
      assertNear(...y(), share, `y with ${name}`);
      assertNear(...dw(), share, `dw with ${name}`);
      const other = `dy ${outlier} at ${place}`;
      const { dx } = await results(other, x, w, dy.with(place, Math.fround(outlier)), size);
      assertNear(...dx(), share, `dx with ${other}`);
    }
  });

  test(`conv2d() of ${C} channels and ${R}x${R} taps with a weight of 1e16 is exact where it meets zeros`, async () => {
    const x = drawn(1, [N, C, H, W]), dy = drawn(3, [N, K, H, W]), last = C * R * R - 1;
    const [first, turned] = [w.with(0, 1e16), w.with(last, 1e16)]; // at the border, outside of the image
    const { y } = await results("first weight 1e16", x, first, dy, size);
    const { dx } = await results("last weight 1e16", x, turned, dy, size);
    for (const [what, [actual, expected]] of Object.entries({ y: y(), dx: dx() })) {
      const usual = [...expected.keys()].filter((i) => Math.abs(expected[i]) < 1e6);
      assert.ok(usual.length >= H, `${usual.length} usual values of ${what}`);
      assertClose(usual.map((i) => actual[i]), usual.map((i) => expected[i]), 1e-5, what);
    }
  });

  test(`conv2d() of ${C} channels and ${R}x${R} taps is as exact for small and large values`, async () => {
    for (const scale of [1e-15, 1, 1e4, 1e17]) {
      const x = drawn(1, [N, C, H, W], scale), dy = drawn(3, [N, K, H, W], scale);
      const { y, dx, dw } = await results(`scale ${scale}`, x, w, dy, size);
      for (const [what, pair] of Object.entries({ y, dx, dw })) {
        assertNear(...pair(), 2e-4, `${what} of ${scale}`);
      }
    }
  });
}

testTransforms("conv2d() with large weights overflows only if its result does", async () => {
  const size = [1, 2, 3, 6, 5] as const;
  const x = drawn(1, [1, 2, 6, 5]), w = drawn(2, [3, 2, 3, 3], 1e37), dy = drawn(3, [1, 3, 6, 5]);
  const { y, dx } = await results("large weights", x, w, dy, size);
  assertNear(...y(), 1e-4, "y");
  assertNear(...dx(), 1e-4, "dx");
});

testTransforms("conv2d() of Infinity keeps unaffected results finite", async () => {
  const size = [1, 3, 2, 9, 9] as const;
  const [x, w, dy] = [drawn(1, [1, 3, 9, 9]), drawn(2, [2, 3, 3, 3]), drawn(3, [1, 2, 9, 9])];
  for (const value of [Infinity, NaN]) {
    const { y, dw } = await results(`${value}`, x.with(4 * 9 + 4, value), w, dy, size);
    for (const [actual, expected] of [y(), dw()]) {
      assert.deepEqual(Array.from(actual, Number.isFinite), Array.from(expected, Number.isFinite));
    }
  }
});
