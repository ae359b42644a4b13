/** Convolutions of values of very different sizes: an outlier must not spoil its neighbours, nor overflow early. */

import assert from "node:assert/strict";
import { conv2d, gradients, multiply, type Shape, sum, tensor, uniforms } from "../../../kernels/mod.ts";
import { registry } from "../../../kernels/op.ts";
import { sizeOf } from "../../../kernels/core/shape.ts";
import { testOnCpus } from "../../testing.ts";
import { oracle } from "../oracle.ts";
import { testByTransforms } from "../../winograd_devices.ts";

const drawn = (stream: number, shape: Shape, scale = 1) =>
  Float64Array.from(uniforms(3, stream, 0, sizeOf(shape)), (u) => Math.fround((2 * u - 1) * scale));

/** What the references gave in f64, the same for every device. */
const known = new Map<string, Record<"y" | "dx" | "dw", ArrayLike<number>>>();

/** y, dx and dw of a 3x3 convolution on the device in use, and what they should be; `name` says which convolution it is. */
async function results(
  name: string,
  x: Float64Array,
  w: Float64Array,
  dy: Float64Array,
  size: readonly number[],
) {
  const [N, C, K, H, W] = size;
  const shapes = { x: [N, C, H, W], w: [K, C, 3, 3], dy: [N, K, H, W] };
  const on = (values: Float64Array, shape: Shape) => tensor(Float32Array.from(values), shape);
  const [tx, tw] = [on(x, shapes.x), on(w, shapes.w)];
  const y = conv2d(tx, tw, tensor(new Float32Array(K)), { padding: 1 });
  const [dx, dw] = gradients(sum(multiply(y, on(dy, shapes.dy))), [tx, tw]);
  const reference = (op: string, names: readonly ("x" | "w" | "dy")[], attributes: Record<string, number>) =>
    oracle(
      registry.get(op)!,
      { shapes: Object.fromEntries(names.map((name) => [name, shapes[name]])), attributes },
      names.map((name) => ({ x, w, dy })[name]),
    );
  const key = `${name} of ${size}`;
  const exact = known.get(key) ?? {
    y: reference("conv2dUnbiased", ["x", "w"], { padding: 1 }).y,
    dx: reference("conv2dInputGradient", ["dy", "w"], { padding: 1, H, W }).dx,
    dw: reference("conv2dWeightGradient", ["x", "dy"], { R: 3, S: 3, padding: 1, run: N }).dw,
  };
  known.set(key, exact);
  return {
    y: [await y.read(), exact.y],
    dx: [await dx.read(), exact.dx],
    dw: [await dw.read(), exact.dw],
  } as const;
}

/** Asserts that results are exact to `share` of the typical one, or of themselves if they are larger. */
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

/** A test of all convolutions by Winograd's transforms. Direct ones have no trouble with outliers. */
function testTransforms(name: string, test: () => Promise<void>): void {
  testOnCpus(name, test);
  testByTransforms(name, test);
}

/** What conv2d documents: errors by what is typical. */
const share = 2e-2;
const sizes = [[2, 16, 6, 13, 14], [2, 1, 5, 28, 28], [1, 48, 4, 7, 7], [1, 1, 3, 8, 8]] as const;
const largest = [10, 100, 1e3, 1e4, 3e4, 6e4, 1e5, 1e6, 1e10, 1e20, 1e30, 1e37];

for (const size of sizes) {
  const [N, C, K, H, W] = size;
  for (const outlier of largest) {
    testTransforms(
      `conv2d() of ${C} channels and an outlier of ${outlier} leaves its neighbours as they are`,
      async () => {
        const x = drawn(1, [N, C, H, W]), w = drawn(2, [K, C, 3, 3], 0.1), dy = drawn(3, [N, K, H, W]);
        for (const place of [0, 5 * W + 6, 6 * W + 3, H * W - 1]) {
          const at = (C >> 1) * H * W + place;
          const { y, dw } = await results(
            `x ${outlier} at ${at}`,
            x.with(at, Math.fround(outlier)),
            w,
            dy,
            size,
          );
          assertNear(...y, share, "y");
          assertNear(...dw, share, "dw");
          const { dx } = await results(
            `dy ${outlier} at ${place}`,
            x,
            w,
            dy.with(place, Math.fround(outlier)),
            size,
          );
          assertNear(...dx, share, "dx");
        }
      },
    );
  }

  testTransforms(
    `conv2d() of ${C} channels is as exact for small and large values as for usual ones`,
    async () => {
      for (const scale of [1e-15, 1e-6, 1, 1e4, 1e12, 1e17]) {
        const x = drawn(1, [N, C, H, W], scale),
          w = drawn(2, [K, C, 3, 3], 0.1),
          dy = drawn(3, [N, K, H, W], scale);
        const { y, dx, dw } = await results(`scale ${scale}`, x, w, dy, size);
        for (const [what, pair] of Object.entries({ y, dx, dw })) {
          assertNear(...pair, 2e-4, `${what} of ${scale}`);
        }
      }
    },
  );
}

testTransforms("conv2d() with large weights overflows no earlier than its result", async () => {
  const size = [1, 2, 3, 6, 5] as const;
  const x = drawn(1, [1, 2, 6, 5]), w = drawn(2, [3, 2, 3, 3], 1e37), dy = drawn(3, [1, 3, 6, 5]);
  const { y, dx } = await results("large weights", x, w, dy, size);
  assertNear(...y, 1e-4, "y");
  assertNear(...dx, 1e-4, "dx");
});

testTransforms("conv2d() of Infinity leaves what it does not reach finite", async () => {
  const size = [1, 3, 2, 9, 9] as const;
  const [x, w, dy] = [drawn(1, [1, 3, 9, 9]), drawn(2, [2, 3, 3, 3]), drawn(3, [1, 2, 9, 9])];
  for (const value of [Infinity, NaN]) {
    const { y, dw } = await results(`${value}`, x.with(4 * 9 + 4, value), w, dy, size);
    for (const [actual, expected] of [y, dw]) {
      assert.deepEqual(Array.from(actual, Number.isFinite), Array.from(expected, Number.isFinite));
    }
  }
});
