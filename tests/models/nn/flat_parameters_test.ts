import assert from "node:assert/strict";
import { add, record, reshape, type Tensor, tensor } from "../../../kernels/mod.ts";
import {
  AdaptiveSampler,
  batchSource,
  createModel,
  fit,
  flatten,
  HeldOutLoss,
  namedParameters,
  noise,
  Sampler,
  shareParameters,
  stateOf,
  Trainer,
  withParameters,
} from "../../../models/mod.ts";
import { flatZeros, rangeOf, runsOf } from "../../../models/nn/flat_parameters.ts";
import { testOnDevices } from "../../testing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const tiny = { type: "UNet_FM", filters: [2, 4], tEmb: 4 } as const;
const shape = [2, 1, 4, 4];

/** Samplers, losses and steps recorded from a model. */
function recorded(model: ReturnType<typeof createModel>, x: Tensor) {
  const [sampler, adaptive] = [new Sampler(model, shape, { steps: 2 }), new AdaptiveSampler(model, shape)];
  const loss = new HeldOutLoss(model, batchSource(x), { batchSize: 2, seed: 1 });
  const own = record(() => model.velocity(x, tensor(Float32Array.of(0.5, 1))));
  return async () => {
    own.run();
    return [
      await own.result.read(),
      await sampler.run(x).read(),
      await (await adaptive.solve(x)).x.read(),
      (await loss.losses(Uint32Array.of(0, 1))).loss,
    ];
  };
}

testOnDevices("samplers, losses and steps made before fit() see its training", async () => {
  const [model, x] = [createModel(tiny, 1), noise(2, shape)];
  const before = recorded(model, x);
  const start = await before();
  for (const optimizer of ["adamw", "sgd", "adamw"] as const) {
    await fit(model, x, { steps: 3, optimizer, learningRate: 0.05 });
    const seen = await before();
    assert.deepEqual(seen, await recorded(model, x)());
    assert.notDeepEqual(seen, start);
  }
});

testOnDevices("Trainers with different optimizers take turns on the same parameters", async () => {
  const model = createModel({ ...tiny, filters: [8, 8] }, 1); // enough channels for muon
  const [first, second] = (["adamw", "muon"] as const).map((optimizer) =>
    new Trainer(model, batchSource(noise(2, shape)), { batchSize: 2, seed: 1, learningRate: 0.1, optimizer })
  );
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
  await assert.rejects(
    async () => await view.read(),
    /call flatten\(\) before making views, steps and samplers/,
  );
});

testOnDevices("flatZeros() and runsOf() respect the order and the largest binding", (device) => {
  const shapes = new Map(
    Object.entries({ a: 64, b: 3, c: 64, d: 64 }).map(([name, n]) => [name, { shape: [n] }]),
  );
  const { views, chunks } = flatZeros(shapes, ["b", "c", "a", "d"]);
  assert.deepEqual([[...views.keys()], chunks.map(({ size }) => size)], [["a", "b", "c", "d"], [256]]);
  assert.deepEqual(["b", "c", "a", "d"].map((name) => views.get(name)!.offset), [0, 64, 128, 192]);
  const runs = (names: string, ...others: typeof views[]) =>
    runsOf(names, [views, ...others]).map((run) => run.join(""));
  assert.deepEqual([runs("bca"), runs("ba")], [["bca"], ["b", "a"]]); // c lies between
  assert.deepEqual(runs("bcad", flatZeros(shapes).views), ["bc", "a", "d"]); // in the other memory, a lies before b
  assert.deepEqual(runsOf("bcad", [views], (x, y) => x !== "c" && y !== "d"), [["b", "c"], ["a"], ["d"]]);
  const most = Object.getOwnPropertyDescriptor(device, "maxRangeBytes")!;
  try {
    Object.defineProperty(device, "maxRangeBytes", { ...most, value: 512 });
    const split = flatZeros(shapes);
    assert.deepEqual(split.chunks.map(({ size }) => size), [128, 128]);
    assert.deepEqual(runsOf("abcd", [split.views]), [["a", "b"], ["c", "d"]]);
  } finally {
    Object.defineProperty(device, "maxRangeBytes", most);
  }
});

testOnDevices("shareParameters() follows the other values; earlier steps keep the old ones", async () => {
  const [model, other, x] = [createModel(tiny, 1), createModel(tiny, 2), noise(2, shape)];
  const sampler = new Sampler(model, shape, { steps: 2 });
  const values = async () => [...await sampler.run(x).read()];
  const before = await values();
  shareParameters(namedParameters(model), namedParameters(other));
  assertSameNumbers(await stateOf(model), await stateOf(other));
  await fit(other, x, { steps: 2 });
  assertSameNumbers(await stateOf(model), await stateOf(other));
  assertSameNumbers(await values(), before);
});

testOnDevices("withParameters() and shareParameters() change nothing if a value is missing", async () => {
  const parameters = new Map(["a", "b"].map((name, i) => [name, tensor([i + 1])]));
  const values = new Map([["a", tensor([7])]]);
  const calls = {
    exchange: () => withParameters(parameters, values, () => {}),
    share: () => shareParameters(parameters, values),
  };
  for (const [name, call] of Object.entries(calls)) {
    const message = `Cannot ${name} parameters: there are no values for "b"`;
    assert.throws(call, { name: "RangeError", message });
    const read = await Promise.all(parameters.values().map(async (each) => [...await each.read()]));
    assert.deepEqual(read, [[1], [2]]);
  }
});
