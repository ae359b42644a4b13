import assert from "node:assert/strict";
import { tensor, zeros } from "../../../kernels/mod.ts";
import { flowMatchingLoss, paths } from "../../../models/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

for (const [name, { make }] of Object.entries(paths)) {
  testOnDevices(
    `paths: ${name} goes from noise at 0 to data at 1, with its derivative as velocity`,
    async () => {
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
    },
  );
}

/** Noise, data and times whose shapes would broadcast. */
const misfits: readonly (readonly [x0: number[], x1: number[], t: number[], why: string])[] = [
  [[1, 1], [2, 1], [1], "x0 is f32[1, 1] (expected f32[2, 1])"],
  [[2, 1], [2, 3], [2], "x0 is f32[2, 1] (expected f32[2, 3])"],
  [[2, 3], [2, 1], [2], "x0 is f32[2, 3] (expected f32[2, 1])"],
  [[2, 1], [2, 1], [1], "t is f32[1] (expected f32[2])"],
  [[1, 2], [1, 2], [1, 1], "t is f32[1, 1] (expected f32[1])"],
];

testOnDevices("at() and the loss refuse shapes that only broadcast", () => {
  for (const [x0, x1, t, why] of misfits) {
    const error = { name: "ShapeError", message: `Cannot follow a path: ${why}` };
    const given = [zeros(x0), zeros(x1), zeros(t)] as const;
    for (const { make } of Object.values(paths)) assert.throws(() => make().at(...given), error);
    assert.throws(() => flowMatchingLoss({ velocity: (x) => x }, ...given), error);
  }
});
