import assert from "node:assert/strict";
import { concat, conv2d, linear, tensor, zeros } from "../../../kernels/mod.ts";
import { registry } from "../../../kernels/op.ts";
import { testOnDevices } from "../../testing.ts";

testOnDevices("a call refuses an input whose axis differs from the one that the op derives", () => {
  const x = zeros([1, 2, 3, 3]), w = zeros([4, 2, 3, 3]), bias = zeros([4]);
  for (const side of [1, 5]) {
    assert.throws(() => conv2d(x, w, bias, { padding: 1, residual: zeros([1, 4, side, side]) }), {
      name: "ShapeError",
      message: `Cannot run conv2dAdd: P is ${side} in residual f32[1, 4, ${side}, ${side}] (expected 3 in ` +
        "x[N, C, H, W], w[K, C, R, S], bias[B, K], residual[N, K, P, Q] -> y[N, K, P, Q])",
    });
  }
});

testOnDevices("linear() refuses a bias that has not one value for each feature", () => {
  assert.throws(() => linear(zeros([2, 3]), zeros([1, 3]), zeros([7])), {
    name: "ShapeError",
    message: /^Cannot run linear: bias is f32\[7\].* \(expected f32\[1\]\)$/,
  });
});

testOnDevices("concat() refuses tensors of two types, empty ones too", () => {
  assert.throws(() => concat([tensor(new Uint32Array(0), [0]), zeros([2])], 0), {
    name: "TypeError",
    message: /^Cannot concat u32\[0\].* with f32\[2\].* \(expected one type\)$/,
  });
});

Deno.test("plan() of an op wants the shape of each input", () => {
  const { plan } = registry.get("conv2d")!;
  const shapes = [[1, 2, 3, 3], [4, 2, 3, 3], [1, 4]];
  assert.deepEqual(plan(shapes, { padding: 1 }).outputs, [[1, 4, 3, 3]]);
  for (const given of [shapes.slice(1), [...shapes, [1]]]) {
    assert.throws(() => plan(given, { padding: 1 }), {
      name: "ShapeError",
      message:
        `Cannot run conv2d: ${given.length} shapes (expected 3, x[N, C, H, W], w[K, C, R, S], bias[B, K] -> y[N, K, P, Q])`,
    });
  }
});
