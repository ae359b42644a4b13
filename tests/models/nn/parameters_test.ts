/** Parameters: names, sharing, loading and their memory. */

import assert from "node:assert/strict";
import {
  add,
  gradients,
  record,
  reshape,
  square,
  sum,
  type Tensor,
  tensor,
  uniforms,
} from "../../../kernels/mod.ts";
import * as models from "../../../models/mod.ts";
import { flatZeros, rangeOf, runsOf } from "../../../models/nn/flat_parameters.ts";
import { replacing } from "../../replacing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";

const {
  batchSource,
  createModel,
  fit,
  flatten,
  loadState,
  namedParameters,
  noise,
  Sampler,
  shareParameters,
} = models;
const { stateOf, withParameters } = models;
const tiny = { type: "UNet_FM", filters: [2, 4], tEmb: 4 } as const;
const shape = [2, 1, 4, 4];

/** Samplers, losses and steps recorded from a model. */
function recorded(model: models.Model, x: Tensor) {
  const [sampler, adaptive] = [
    new Sampler(model, shape, { steps: 2 }),
    new models.AdaptiveSampler(model, shape),
  ];
  const loss = new models.HeldOutLoss(model, batchSource(x), { batchSize: 2, seed: 1 });
  const own = record(() => model.velocity(x, tensor([0.5, 1])));
  return async () => {
    own.run();
    const solved = await adaptive.solve(x), losses = await loss.losses(Uint32Array.of(0, 1));
    return [...await Promise.all([own.result, sampler.run(x), solved.x].map((x) => x.read())), losses.loss];
  };
}

testOnCpu("samplers, losses and steps made before fit() see its training", async () => {
  const [model, x] = [createModel(tiny, 1), noise(2, shape)],
    before = recorded(model, x),
    start = await before();
  for (const optimizer of ["adamw", "sgd", "adamw"] as const) {
    await fit(model, x, { steps: 3, optimizer, learningRate: 0.05 });
    const seen = await before();
    assert.deepEqual(seen, await recorded(model, x)());
    assert.notDeepEqual(seen, start);
  }
});

testOnCpu("Trainers with different optimizers take turns on the same parameters", async () => {
  const model = createModel({ ...tiny, filters: [8, 8] }, 1); // enough channels for muon
  const [first, second] = (["adamw", "muon"] as const).map((optimizer) => {
    const options = { batchSize: 2, seed: 1, learningRate: 0.1, optimizer };
    return new models.Trainer(model, batchSource(noise(2, shape)), options);
  });
  const states = [];
  for (const trainer of [first, second, first]) {
    trainer.queueStep(Uint32Array.of(0, 1), 0.1);
    states.push(await stateOf(model));
    assertSameNumbers((await trainer.state()).parameters, states.at(-1));
  }
  assert.equal(new Set(states.map((state) => `${state.values().next().value!.data}`)).size, 3);
});

testOnDevices("createModel() and flatten() lay out parameters in one memory, in order", async () => {
  const parameters = namedParameters(createModel(tiny, 1));
  assert.deepEqual(runsOf(parameters.keys(), [parameters]), [[...parameters.keys()]]);
  const own = new Map([["x", tensor([1, 2, 3], [3, 1])], ["y", tensor([4])]]);
  const [view, step] = [reshape(own.get("x")!, [3]), record(() => add(own.get("y")!, 1))];
  assert.equal(flatten(own), own);
  assert.deepEqual([...await own.get("x")!.read()], [1, 2, 3]);
  const [{ storage }] = own.values();
  flatten(own); // changes nothing
  assert.ok(own.values().every((each) => each.storage === storage));
  const all = await rangeOf(own, ["x", "y"]).read();
  assert.deepEqual([...all], Array.from({ length: 65 }, (_, i) => i < 3 ? i + 1 : i === 64 ? 4 : 0));
  assert.throws(() => step.run(), /memory that parameters had before flatten\(\)/);
  await assert.rejects(() => view.read(), /call flatten\(\) before making views, steps and samplers/);
});

testOnCpu("flatZeros() and runsOf() respect the order and the largest binding", (device) => {
  const sizes = Object.entries({ a: 64, b: 3, c: 64, d: 64 });
  const shapes = new Map(sizes.map(([name, n]) => [name, { shape: [n] }]));
  const { views } = flatZeros(shapes, ["b", "c", "a", "d"]);
  assert.deepEqual(["b", "c", "a", "d"].map((name) => views.get(name)!.offset), [0, 64, 128, 192]);
  const runs = runsOf("bcad", [views, flatZeros(shapes).views]);
  assert.deepEqual(runs, [["b", "c"], ["a"], ["d"]], "in the other memory, a lies before b");
  using _ = replacing([device, { maxRangeBytes: 512 }]);
  const split = flatZeros(shapes);
  assert.deepEqual(split.chunks.map(({ size }) => size), [128, 128]);
  assert.deepEqual(runsOf("abcd", [split.views]), [["a", "b"], ["c", "d"]]);
});

testOnCpu("shareParameters() follows the other values; earlier steps keep the old ones", async () => {
  const [model, other, x] = [createModel(tiny, 1), createModel(tiny, 2), noise(2, shape)];
  const sampler = new Sampler(model, shape, { steps: 2 }), before = await sampler.run(x).read();
  shareParameters(namedParameters(model), namedParameters(other));
  for (const train of [() => {}, () => fit(other, x, { steps: 2 })]) {
    await train();
    assertSameNumbers(await stateOf(model), await stateOf(other));
  }
  assertSameNumbers(await sampler.run(x).read(), before);
  const parameters = new Map([["a", tensor([1])], ["b", tensor([2])]]),
    values = new Map([["a", tensor([7])]]);
  for (
    const [name, call] of [
      ["exchange", () => withParameters(parameters, values, () => {})],
      ["share", () => shareParameters(parameters, values)],
    ] as const
  ) {
    const message = `Cannot ${name} parameters: there are no values for "b"`;
    assert.throws(call, { name: "RangeError", message });
    const read = await Promise.all(parameters.values().map(async (each) => [...await each.read()]));
    assert.deepEqual(read, [[1], [2]], "nothing changes");
  }
  const both = new Map(values).set("b", tensor([8])), [a] = parameters.values();
  assert.deepEqual([...await withParameters(parameters, both, () => a.read())], [7]);
  assert.throws(() => withParameters(parameters, both, () => assert.fail("inside")));
  assert.deepEqual([...await a.read()], [1], "its own memory again, also after an error");
});

testOnCpu("initialisers draw the n-th parameter from seed and n only, or continue another", async () => {
  const made = models.randomInitialiser(46020);
  const [first, one, third] = [made.uniform([3], 2), made.constant([2], 1), made.uniform([2, 2], 1)];
  const scaled = (u: Float32Array, bound: number) => u.map((value) => (2 * value - 1) * bound);
  assertSameNumbers(await first.read(), scaled(uniforms(46020, 0, 0, 3), 2));
  assertSameNumbers(await one.read(), Float32Array.of(1, 1));
  assertSameNumbers(await third.read(), scaled(uniforms(46020, 0, 2, 4), 1));
  const draw = (seed: Parameters<typeof models.createInitialiser>[1]) =>
    models.createInitialiser("xavier_normal", seed).uniform([3, 4], 1).read();
  const shared = models.randomInitialiser(7), seven = await draw(7);
  assert.deepEqual(seven, await draw(shared));
  for (const other of [draw(8), draw(shared)]) assert.notDeepEqual(await other, seven);
});

/** Two layers that share their parameters. */
class Tied extends models.Module {
  readonly a = new models.Linear(2, 2, models.randomInitialiser(3));
  readonly b = this.a;

  velocity(x: Tensor): Tensor {
    return this.b.forward(this.a.forward(x));
  }
}

testOnCpu("namedParameters() lists a shared tensor once, so its gradient counts once", async () => {
  const model = new Tied(), parameters = namedParameters(model);
  assert.deepEqual([...parameters.keys()], ["a.weight", "a.bias"]);
  const loss = sum(square(model.velocity(tensor([1, 2], [1, 2]))));
  const computed = gradients(loss, [...parameters.values()]);
  const norms = await Promise.all(computed.map(async (gradient) => Math.hypot(...await gradient.read())));
  const rule = models.optimizer("sgd", flatten(parameters), { learningRate: 0.1 });
  rule.beforeStep();
  rule.update(computed);
  assertClose([await rule.gradientNorm()], [Math.hypot(...norms)], 1e-5);
  const losses = await fit(model, noise(1, [4, 2]), { steps: 20, learningRate: 0.05 });
  assert.ok(losses[19] < losses[0]);
  assert.equal(model.a.weight, model.b.weight);
});

testOnCpu("loadState() accepts one or all names of a shared tensor, with equal values", async () => {
  const model = new Tied(), state = await stateOf(model), bias = state.get("a.bias")!;
  assert.deepEqual([...state.keys()], ["a.weight", "a.bias"]);
  const other = { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) };
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
