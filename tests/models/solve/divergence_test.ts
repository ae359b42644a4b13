import assert from "node:assert/strict";
import {
  add,
  multiply,
  randomNormal,
  scope,
  square,
  sum,
  type Tensor,
  tensor,
} from "../../../kernels/mod.ts";
import { estimatedDivergence, exactDivergence, logLikelihood } from "../../../models/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

testOnDevices(
  "logLikelihood() refuses a velocity that does not depend on x, and says how a constant one does",
  async () => {
    const take = (velocity: (x: Tensor) => Tensor, how: object) =>
      logLikelihood({ velocity }, tensor([0.3], [1, 1]), { steps: 2, ...how });
    const constant = () => tensor([1], [1, 1]);
    const random = (x: Tensor) => randomNormal(tensor(Uint32Array.of(1, 2, 3)), x.shape);
    for (const velocity of [constant, random, (x: Tensor) => scope(() => multiply(x, 2))]) {
      for (const how of [{ exact: true }, { seed: 1 }]) {
        await assert.rejects(() => take(velocity, how), {
          name: "Error",
          message:
            "Cannot take the divergence: the velocity does not depend on x (expected one computed from x, " +
            "outside of scope() and without detach()); add multiply(x, 0) to a velocity that is constant",
        });
      }
    }
    const { logp } = await take((x) => add(multiply(x, 0), 1), { exact: true });
    assertClose(await logp.read(), [-((0.3 - 1) ** 2) / 2 - Math.log(2 * Math.PI) / 2], 1e-6);
  },
);

testOnDevices("divergences refuse velocities and signs that only broadcast", () => {
  const x = tensor([1, 2, 3, 4], [2, 2]);
  const [narrow, signs] = [sum(square(x), [1], true), tensor([1, -1, -1, 1], [2, 2])];
  const error = (what: string) => ({
    name: "ShapeError",
    message: `Cannot take the divergence: ${what} (expected f32[2, 2])`,
  });
  assert.throws(() => estimatedDivergence(narrow, x, signs), error("the velocity is f32[2, 1]"));
  assert.throws(() => exactDivergence(narrow, x), error("the velocity is f32[2, 1]"));
  const row = tensor([1, -1], [1, 2]);
  assert.throws(() => estimatedDivergence(square(x), x, row), error("epsilon is f32[1, 2]"));
});
