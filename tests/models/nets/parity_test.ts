/** Networks, gradients and training against PyTorch; see tests/vectors/README.md. */

import assert from "node:assert/strict";
import DiT from "../../../examples/dit.ts";
import { full, gradients, jvp, meanSquaredError, type Tensor } from "../../../kernels/mod.ts";
import { flatten, flowMatchingLoss, loadState, namedParameters, optimizer } from "../../../models/mod.ts";
import {
  assertClose,
  largestDifference,
  testByTransforms,
  testOnAllKernels,
  testOnCpu,
  testOnDevices,
} from "../../testing.ts";
import { testWithVectors } from "../vectors.ts";

/** Files of vectors; the kernels for other adapters and by Winograd run the one with the most kinds of layers. */
const cases = {
  ...{ base: testOnDevices, base_attention_odd: testOnDevices, base_one_level: testOnDevices },
  ...{ residual: testOnDevices, residual_attention: testOnDevices, residual_attention_odd_rgb: testAll },
  ...{ base_classes: testOnDevices, residual_classes: testOnDevices },
};

/** Tests on all devices, also with Winograd convolutions, which so few channels would not choose. */
function testAll(...given: Parameters<typeof testOnAllKernels>): void {
  testOnAllKernels(...given);
  testByTransforms(...given);
}

/** Asserts values up to an error relative to the largest one expected. */
async function assertNear(
  actual: Tensor,
  expected: Float32Array,
  tolerance: number,
  of: string,
): Promise<void> {
  const error = largestDifference(await actual.read(), expected) / Math.max(...expected.map(Math.abs));
  assert.ok(error <= tolerance, `${of} is off by ${error}`);
}

testWithVectors(
  "velocity() of examples/dit.ts and its tangent match PyTorch's",
  "transformer",
  async (vectors) => {
    const shape = { shape: [1, 28, 28] as const, classes: 0, flowMap: false };
    const model = new DiT({ patch: 7, width: 12, depth: 2, heads: 3, ...shape });
    loadState(model, vectors.part("param."), "vectors");
    const [x, t, direction] = ["x", "t", "direction"].map(vectors.tensor);
    const results = jvp((x, t) => model.velocity(x, t), [x, t], [direction, full(t.shape, 1)]);
    for (const [i, of] of ["output", "jvp"].entries()) {
      await assertNear(
        results[i],
        vectors.values(of),
        1e-5,
        of,
      );
    }
  },
  testOnAllKernels,
);

for (const [name, test] of Object.entries(cases)) {
  testWithVectors(`velocity() of ${name} and all its derivatives match PyTorch's`, name, async (vectors) => {
    const model = vectors.model(), parameters = namedParameters(model);
    assert.deepEqual([...parameters.keys()], vectors.parameterNames);
    const [xt, t, u] = ["xt", "t", "u"].map(vectors.tensor);
    const velocity = (x: Tensor, t: Tensor) => model.velocity(x, t, vectors.labels);
    const output = velocity(xt, t), loss = meanSquaredError(output, u);
    const all = gradients(loss, [xt, ...parameters.values()]);
    const [, tangent] = jvp(velocity, [xt, t], [u, full(t.shape, 1)]);
    await assertNear(output, vectors.values("output"), 1e-5, "the output");
    await assertNear(tangent, vectors.values("jvp"), 1e-5, "the tangent");
    assertClose(await loss.read(), vectors.values("loss"), 1e-5);
    for (const [i, of] of ["grad_xt", ...parameters.keys().map((key) => `grad.${key}`)].entries()) {
      if (vectors.zeroGradient.has(of.slice("grad.".length))) {
        assert.ok(largestDifference(await all[i].read(), vectors.values(of)) <= 1e-6, of);
      } else await assertNear(all[i], vectors.values(of), 2e-4, of);
    }
  }, test);

  const define = name === "residual" ? testOnDevices : testOnCpu;
  testWithVectors(
    `optimizer() takes the same first AdamW steps as PyTorch, with ${name}`,
    name,
    async (vectors) => {
      const model = vectors.model(), parameters = namedParameters(model);
      const rule = optimizer("adamw", flatten(parameters), { learningRate: 1e-3, weightDecay: 0.01 });
      const [x0, x1, t] = ["x0", "x1", "t"].map(vectors.tensor);
      const losses = Array.from({ length: 3 }, () => {
        const loss = flowMatchingLoss(model, x0, x1, t, vectors.labels);
        rule.beforeStep();
        rule.update(gradients(loss, [...parameters.values()]));
        return loss.read();
      });
      const read = (await Promise.all(losses)).map(([loss]) => loss);
      assert.ok(largestDifference(read, vectors.values("losses")) <= 1e-5);
      for (const [key, parameter] of parameters) {
        if (vectors.zeroGradient.has(key)) continue;
        const error = largestDifference(await parameter.read(), vectors.values(`after.${key}`));
        assert.ok(error <= 1e-4, `${key} is off by ${error}`);
      }
    },
    define,
  );
}
