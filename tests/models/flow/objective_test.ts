import assert from "node:assert/strict";
import { multiply, reshape, subtract, type Tensor, tensor, zeros } from "../../../kernels/mod.ts";
import { flowMatching, flowMatchingLoss, linearPath, lossesOf, lossOf, paths } from "../../../models/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";
import { testWithVectors } from "../vectors.ts";

for (const [name, { make }] of Object.entries(paths)) {
  testOnDevices(`paths: ${name} goes from noise to data, with its derivative as velocity`, async () => {
    const path = make();
    const [x0, x1] = [tensor([0.5, -1], [2, 1]), tensor([2, 3], [2, 1])];
    const at = async (t: number) => {
      const { xt, u } = path.at(x0, x1, tensor([t, t]));
      return { xt: await xt.read(), u: await u.read() };
    };
    assertClose((await at(0)).xt, [0.5, -1], 1e-6);
    assertClose((await at(1)).xt, [2, 3], 1e-6);
    const dt = 1e-2;
    for (const t of [0.1, 0.5, 0.8]) {
      const [before, after] = [(await at(t - dt)).xt, (await at(t + dt)).xt];
      assertClose((await at(t)).u, after.map((x, i) => (x - before[i]) / (2 * dt)), 1e-2);
    }
    assert.equal((await at(0.5)).xt.length, 2);
  });
}

/** Noise, data and times whose shapes would broadcast. */
const misfits: readonly (readonly [x0: number[], x1: number[], t: number[], why: string])[] = [
  [[1, 1], [2, 1], [1], "x0 is f32[1, 1] (expected f32[2, 1])"],
  [[2, 1], [2, 3], [2], "x0 is f32[2, 1] (expected f32[2, 3])"],
  [[2, 3], [2, 1], [2], "x0 is f32[2, 3] (expected f32[2, 1])"],
  [[2, 1], [2, 1], [1], "t is f32[1] (expected f32[2])"],
  [[1, 2], [1, 2], [1, 1], "t is f32[1, 1] (expected f32[1])"],
];

testOnDevices("at() and the loss refuse shapes that would broadcast", () => {
  for (const [x0, x1, t, why] of misfits) {
    const error = { name: "ShapeError", message: `Cannot follow a path: ${why}` };
    const triple = [zeros(x0), zeros(x1), zeros(t)] as const;
    for (const { make } of Object.values(paths)) assert.throws(() => make().at(...triple), error);
    assert.throws(() => flowMatchingLoss({ velocity: (x) => x }, ...triple), error);
  }
});

testWithVectors("linearPath.at() agrees with PyTorch", "base", async (vectors) => {
  const [x0, x1, t] = ["x0", "x1", "t"].map(vectors.tensor);
  const { xt, u } = linearPath.at(x0, x1, t);
  assertClose(await xt.read(), vectors.values("xt"), 1e-6);
  assertClose(await u.read(), vectors.values("u"), 1e-6);
});

testOnDevices("lossOf() uses the objective's path and prediction", async () => {
  const [x0, x1, t] = [tensor([0, 1], [2, 1]), tensor([1, 3], [2, 1]), tensor([0.5, 0.25])];
  const none = { velocity: (x: Tensor) => multiply(x, 0) };
  const pairs = { x0, x1, t };
  assertClose(await lossesOf(flowMatching, none, pairs).read(), [1, 4], 1e-6);
  assertClose(await lossOf(flowMatching, none, pairs).read(), [2.5], 1e-6);
  assertClose(await flowMatchingLoss(none, x0, x1, t).read(), [2.5], 1e-6);
  const truth = { velocity: (_: Tensor, t: Tensor) => reshape(subtract(3, multiply(t, 4)), [2, 1]) }; // 1 and 2
  assertClose(await flowMatchingLoss(truth, x0, x1, t).read(), [0], 1e-10);
  const doubled = { ...flowMatching, prediction: { velocity: (_: Tensor, xt: Tensor) => multiply(xt, 2) } };
  assertClose(await lossesOf(doubled, none, pairs).read(), [0, 1], 1e-6); // xt is 0.5 and 1.5
  const still = { ...flowMatching, path: { at: (x0: Tensor) => ({ xt: x0, u: multiply(x0, 0) }) } };
  assertClose(await lossOf(still, none, pairs).read(), [0], 0);
});
