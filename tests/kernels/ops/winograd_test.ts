import assert from "node:assert/strict";
import {
  conv2d,
  full,
  gradients,
  record,
  type Shape,
  square,
  sum,
  uniforms,
  withDevice,
} from "../../../kernels/mod.ts";
import { WebGpuDevice } from "../../../kernels/devices/webgpu/webgpu_device.ts";
import { registry } from "../../../kernels/op.ts";
import { plainGeometry } from "../../../kernels/ops/conv2d/geometry.ts";
import {
  bothSides,
  sourceMatrix,
  targetMatrix,
  weightMatrix,
} from "../../../kernels/ops/conv2d/winograd/transforms.ts";
import { assertClose, testByTransforms, testOnCpus } from "../../testing.ts";
import { sizeOf } from "../../../kernels/core/shape.ts";
import { exactConvolution, randomTensor, runConvolution } from "../oracle.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

Deno.test("Winograd's matrices compute the 4x4 correlation of a 6x6 tile", () => {
  const d = Array.from({ length: 36 }, (_, i) => Math.sin(3 * i)), g = [2, -1, 0.5, 3, 1, -2, 0.25, 4, -3];
  const v = bothSides(sourceMatrix, (i, j) => d[6 * i + j]);
  const u = bothSides(weightMatrix, (i, j) => g[3 * i + j]);
  const y = bothSides(targetMatrix, (i, j) => u[6 * i + j] * v[6 * i + j]);
  const direct = y.map((_, at) =>
    g.reduce((sum, w, tap) => sum + w * d[6 * ((at >> 2) + Math.floor(tap / 3)) + at % 4 + tap % 3], 0)
  );
  assertClose(y, direct, 1e-13);
});

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
  const x = randomTensor(1, [3, C, size, size]),
    w = randomTensor(2, [K, C, 3, 3]),
    bias = randomTensor(3, [K]);
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
  const x = randomTensor(1, [2, 24, 20, 20]),
    w = randomTensor(2, [24, 24, 3, 3]),
    bias = randomTensor(3, [24]);
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
