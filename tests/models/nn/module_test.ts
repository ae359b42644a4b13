import assert from "node:assert/strict";
import { gradients, square, sum, type Tensor, tensor, uniforms } from "../../../kernels/mod.ts";
import {
  fit,
  flatten,
  Linear,
  loadState,
  Module,
  namedParameters,
  noise,
  optimizer,
  randomInitialiser,
  stateOf,
} from "../../../models/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

testOnDevices("randomInitialiser() draws the n-th parameter from seed and n only", async () => {
  const made = randomInitialiser(46020);
  const [first, one, third] = [made.uniform([3], 2), made.constant([2], 1), made.uniform([2, 2], 1)];
  const scaled = (u: Float32Array, bound: number) => u.map((value) => (2 * value - 1) * bound);
  assertSameNumbers(await first.read(), scaled(uniforms(46020, 0, 0, 3), 2));
  assert.deepEqual(await one.read(), Float32Array.of(1, 1));
  assertSameNumbers(await third.read(), scaled(uniforms(46020, 0, 2, 4), 1));
});

/** Two layers that share their parameters. */
class Tied extends Module {
  readonly a = new Linear(2, 2, randomInitialiser(3));
  readonly b = this.a;

  velocity(x: Tensor): Tensor {
    return this.b.forward(this.a.forward(x));
  }
}

testOnDevices("namedParameters() lists a shared tensor once, so its gradient counts once", async () => {
  const model = new Tied();
  const parameters = namedParameters(model);
  assert.deepEqual([...parameters.keys()], ["a.weight", "a.bias"]);
  const loss = sum(square(model.velocity(tensor([1, 2], [1, 2]))));
  const computed = gradients(loss, [...parameters.values()]);
  const expected = (await Promise.all(computed.map((gradient) => gradient.read())))
    .reduce((sum, values) => values.reduce((sum, value) => sum + value * value, sum), 0);
  const rule = optimizer("sgd", flatten(parameters), { learningRate: 0.1 });
  rule.beforeStep();
  rule.update(computed);
  assertClose([await rule.gradientNorm()], [Math.sqrt(expected)], 1e-5);
  const losses = await fit(model, noise(1, [4, 2]), { steps: 20, learningRate: 0.05 });
  assert.ok(losses[19] < losses[0]);
  assert.equal(model.a.weight, model.b.weight);
});

testOnDevices("loadState() accepts one or all names of a shared tensor, with equal values", async () => {
  const model = new Tied();
  const state = await stateOf(model);
  assert.deepEqual([...state.keys()], ["a.weight", "a.bias"]);
  const other = { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) };
  const bias = state.get("a.bias")!;
  for (const names of [["a.weight"], ["b.weight"], ["a.weight", "b.weight"]]) {
    model.a.weight.write(new Float32Array(4));
    loadState(model, new Map([...names.map((name) => [name, other] as const), ["b.bias", bias]]), "a file");
    assertSameNumbers(await stateOf(model), new Map([["a.weight", other], ["a.bias", bias]]));
  }
  assert.throws(() => loadState(model, new Map([...state, ["b.weight", other]]), "a file"), {
    name: "StateError",
    message:
      'Cannot load a file: "a.weight" and "b.weight" differ (expected the same values, as the layers share ' +
      "them); does it belong to another network?",
  });
  assert.throws(() => loadState(model, new Map([["b.weight", other]]), "a file"), /"a.bias" is missing/);
});
