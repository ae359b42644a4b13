/** Divergences and log-likelihoods, also against PyTorch; see tests/vectors/README.md. */

import assert from "node:assert/strict";
import {
  add,
  multiply,
  randomNormal,
  reshape,
  scope,
  square,
  sum,
  type Tensor,
  tensor,
} from "../../../kernels/mod.ts";
import { estimatedDivergence, exactDivergence, logLikelihood, rademacher } from "../../../models/mod.ts";
import { assertClose, testOnCpu } from "../../testing.ts";
import { testWithVectors } from "../vectors.ts";

testOnCpu("divergences refuse velocities and signs that would broadcast", () => {
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

testOnCpu("rademacher() draws signs, and row n does not depend on N", async () => {
  const signs = await rademacher(3, 2, [400, 5]).read();
  assert.ok(signs.every((sign) => sign === 1 || sign === -1));
  const mean = signs.reduce((a, b) => a + b) / signs.length;
  assert.ok(Math.abs(mean) < 4 / Math.sqrt(signs.length), `${mean}`);
  const few = await rademacher(3, 2, [3, 5]).read();
  assert.deepEqual(few.slice(0, 15), signs.slice(0, 15));
  assert.deepEqual(few.slice(15), signs.slice(2000, 2015));
  assert.notDeepEqual(few.slice(0, 15), few.slice(15));
  assert.notDeepEqual(few, await rademacher(4, 2, [3, 5]).read());
});

testOnCpu("logLikelihood() refuses a velocity that does not depend on x", async () => {
  const take = (velocity: (x: Tensor) => Tensor, how: object) =>
    logLikelihood({ velocity }, tensor([0.3], [1, 1]), { steps: 2, ...how });
  const constant = () => tensor([1], [1, 1]);
  const random = (x: Tensor) => randomNormal(tensor(Uint32Array.of(1, 2, 3)), x.shape);
  for (const velocity of [constant, random, (x: Tensor) => scope(() => multiply(x, 2))]) {
    for (const how of [{ exact: true }, { seed: 1 }]) {
      await assert.rejects(() => take(velocity, how), {
        name: "Error",
        message:
          "Cannot take the divergence: the velocity does not depend on x (expected no scope() or detach() " +
          "between them); add multiply(x, 0) to a constant one",
      });
    }
  }
  const { logp } = await take((x) => add(multiply(x, 0), 1), { exact: true });
  assertClose(await logp.read(), [-((0.3 - 1) ** 2) / 2 - Math.log(2 * Math.PI) / 2], 1e-6);
});

testWithVectors("divergences of a residual network agree with PyTorch", "likelihood", async (vectors) => {
  const model = vectors.model();
  const [x, t, epsilon] = ["x", "t", "epsilon"].map(vectors.tensor);
  const v = model.velocity(x, t);
  assertClose(await exactDivergence(v, x).read(), vectors.values("divergence"), 1e-5);
  assertClose(await estimatedDivergence(v, x, epsilon).read(), vectors.values("estimate"), 1e-5);
});

testWithVectors(
  "logLikelihood() of a residual network agrees with PyTorch",
  "likelihood",
  async (vectors) => {
    const x = vectors.tensor("x");
    const options = { solver: "rk4", steps: Number(vectors.metadata.steps) } as const;
    const exact = await logLikelihood(vectors.model(), x, { ...options, exact: true });
    assertClose(await exact.logp.read(), vectors.values("logp"), 1e-6);
    assertClose(await exact.z.read(), vectors.values("z"), 1e-5);
    const epsilon = reshape(vectors.tensor("epsilon"), [1, ...x.shape]);
    const estimate = await logLikelihood(vectors.model(), x, { ...options, epsilon });
    assertClose(await estimate.logp.read(), vectors.values("logp_estimate"), 1e-6);
  },
  testOnCpu, // the test of divergences covers WebGPU
);
