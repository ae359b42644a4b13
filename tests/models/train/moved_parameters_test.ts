import assert from "node:assert/strict";
import {
  add,
  assign,
  gradients,
  multiply,
  record,
  reshape,
  square,
  sum,
  type Tensor,
  tensor,
} from "../../../kernels/mod.ts";
import {
  AdaptiveSampler,
  createModel,
  Ema,
  fit,
  flatten,
  HeldOutLoss,
  Likelihood,
  namedParameters,
  noise,
  optimizer,
  type OptimizerKind,
  rademacher,
  rowsOf,
  Sampler,
  shareParameters,
  stateOf,
  Trainer,
  withParameters,
} from "../../../models/mod.ts";
import { testOnDevices } from "../../testing.ts";

const tiny = { type: "UNet_FM", filters: [2, 4], tEmb: 4 } as const;
const shape = [2, 1, 4, 4];

/** Everything that records a network. */
function recorded(model: ReturnType<typeof createModel>, x: Tensor) {
  const [sampler, adaptive] = [new Sampler(model, shape, { steps: 2 }), new AdaptiveSampler(model, shape)];
  const loss = new HeldOutLoss(model, rowsOf(x), { batchSize: 2, seed: 1 });
  const [likelihood, signs] = [new Likelihood(model, shape, { steps: 2 }), rademacher(1, 1, shape)];
  const own = record(() => model.velocity(x, tensor(Float32Array.of(0.5, 1))));
  return async () => {
    own.run();
    return [
      await own.result.read(),
      await sampler.run(x).read(),
      await (await adaptive.run(x)).x.read(),
      await (await likelihood.run(x, signs)).logp.read(),
      (await loss.losses(Uint32Array.of(0, 1))).loss,
    ];
  };
}

testOnDevices("fit() is seen by samplers, losses and steps made before it", async () => {
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

testOnDevices(
  "flatten() moves nothing if parameters lie as wanted, so Trainers in turn share memory",
  async () => {
    const model = createModel(tiny, 1);
    const options = { batchSize: 2, seed: 1, learningRate: 0.1 };
    const [first, second] = [1, 2].map(() => new Trainer(model, rowsOf(noise(2, shape)), options));
    assert.equal(first.flat, second.flat);
    const states = [];
    for (const trainer of [first, second, first]) {
      trainer.queueStep(Uint32Array.of(0, 1), 0.1);
      states.push(await stateOf(model));
      assert.deepEqual((await trainer.state()).parameters, states.at(-1));
    }
    assert.equal(new Set(states.map((state) => `${state.values().next().value!.data}`)).size, 3);
  },
);

testOnDevices("flatten() takes views and steps with it, from one order to the next", async () => {
  const [a, b] = [tensor([1, 2]), tensor([3, 4, 5])];
  const parameters = new Map([["a", a], ["b", b]]);
  const views = [reshape(a, [2, 1]), reshape(b, [3, 1])];
  const step = record(() => [add(views[0], 0), add(b, 0)]);
  const values = () => {
    step.run();
    return Promise.all([...views, ...step.result].map(async (x) => [...await x.read()]));
  };
  for (let k = 1; k < 6; k++) {
    const flat = flatten(parameters, { order: k % 2 ? ["b", "a"] : ["a", "b"] });
    a.write(Float32Array.of(k, -k));
    assert.deepEqual(await values(), [[k, -k], [3, 4, 5], [k, -k], [3, 4, 5]]);
    assert.deepEqual([...(await flat.state()).get("a")!.data], [k, -k]);
  }
});

testOnDevices("optimizer() throws at the next step if parameters were laid out anew since", () => {
  const parameters = new Map([["a", tensor(Array(64).fill(1))], ["b", tensor(Array(64).fill(2))]]);
  const loss = () => sum(square(add(parameters.get("a")!, parameters.get("b")!)));
  const make = (order: string[], kind: OptimizerKind = "adamw") => {
    const flat = flatten(parameters, { order });
    const [rule, ema] = [optimizer(kind, flat, { learningRate: 0.1 }), new Ema(flat, { decay: 0.5 })];
    const step = record(() => {
      rule.update(gradients(loss(), [...parameters.values()]));
      ema.update();
    });
    return () => {
      rule.beforeStep();
      ema.beforeStep();
      step.run();
    };
  };
  const old = make(["a", "b"]);
  old();
  const latest = make(["b", "a"], "sgd");
  for (let i = 0; i < 2; i++) {
    assert.throws(old, /laid out anew.*make what updates them again, such as the trainer or the optimizer/);
    latest();
  }
});

testOnDevices("flatten() refuses parameters that share memory or have other values for a while", () => {
  const a = tensor([1, 2]);
  assert.throws(
    () => flatten(new Map([["x.weight", a], ["y.weight", reshape(a, [2, 1])]])),
    { name: "RangeError", message: /Cannot flatten "x.weight" and "y.weight": they share memory/ },
  );
  const model = createModel(tiny, 1);
  const options = { batchSize: 2, seed: 1, learningRate: 0.1, ema: 0.9 };
  const make = () => new Trainer(model, rowsOf(noise(2, shape)), options);
  const trainer = make();
  assert.throws(() => trainer.withAveraged(make), /other values for a while; make the trainer/);
  assert.equal(make().flat, trainer.flat);
});

testOnDevices(
  "shareParameters() leaves what was recorded before on the values of before, and training leaves the others",
  async () => {
    const [model, other, x] = [createModel(tiny, 1), createModel(tiny, 2), noise(2, shape)];
    const sampler = new Sampler(model, shape, { steps: 2 });
    const values = async () => [...await sampler.run(x).read()];
    const before = await values();
    flatten(namedParameters(model));
    shareParameters(namedParameters(model), flatten(namedParameters(other)));
    assert.deepEqual(await values(), before);
    const others = await stateOf(other);
    assert.deepEqual(await stateOf(model), others);
    await fit(model, x, { steps: 2 });
    assert.deepEqual(await stateOf(other), others);
    assert.notDeepEqual(await stateOf(model), others);
    assert.deepEqual(await values(), before);
  },
);

testOnDevices("flatten() moves parameters of which some were moved elsewhere meanwhile", async () => {
  const [a, b, c] = [tensor([1]), tensor([2]), tensor([3])];
  const all = new Map([["a", a], ["b", b]]);
  flatten(all);
  flatten(new Map([["b", b], ["c", c]])); // as of two networks that share b
  const flat = flatten(all);
  assert.notEqual(a.storage, c.storage);
  for (const [name, x] of all) {
    x.write(Float32Array.of(7));
    assert.deepEqual([...await flat.views.get(name)!.read()], [7], name);
  }
  assert.deepEqual([...await c.read()], [3]);
});

testOnDevices("training a network that shares averages changes no averages", async () => {
  const wide = { ...tiny, filters: [8, 8] } as const; // which muon wants
  const [model, other, x] = [createModel(wide, 1), createModel(wide, 2), noise(2, shape)];
  const trainer = new Trainer(model, rowsOf(x), { batchSize: 2, seed: 1, learningRate: 0.1, ema: 0.9 });
  trainer.queueStep(Uint32Array.of(0, 1), 0.1);
  const averages = await trainer.averaged.state();
  for (const optimizer of ["adamw", "muon"] as const) {
    shareParameters(namedParameters(other), trainer.averaged);
    await fit(other, x, { steps: 2, optimizer });
    assert.deepEqual(await trainer.averaged.state(), averages, optimizer);
  }
  trainer.queueStep(Uint32Array.of(0, 1), 0.1);
  assert.notDeepEqual(await trainer.averaged.state(), averages);
});

testOnDevices(
  "a step recorded before flatten() cannot break the device where parameters share memory now",
  async () => {
    const [a, b] = [tensor([1, 2]), tensor([3, 4])];
    const step = record(() => assign(a, multiply(b, 2)));
    step.run();
    flatten(new Map([["a", a], ["b", b]]));
    b.write(Float32Array.of(5, 6));
    for (let i = 0; i < 2; i++) {
      assert.throws(() => step.run(), {
        name: "Error",
        message:
          "Cannot run the step: parameters that it reads and overwrites lie in one memory since they were " +
          "laid out for training; record it again",
      });
    }
    assert.deepEqual([...await add(b, 1).read()], [6, 7]);
    record(() => assign(a, multiply(b, 2))).run();
    assert.deepEqual([...await a.read()], [10, 12]);
  },
);

testOnDevices("withParameters() and shareParameters() of values that lack one change nothing", async () => {
  const parameters = new Map(["a", "b"].map((name, i) => [name, tensor([i + 1])]));
  const values = flatten(new Map([["a", tensor([7])]]));
  const read = () => Promise.all(parameters.values().map(async (each) => [...await each.read()]));
  const why = 'parameters: there are no values for "b"';
  const exchange = () => withParameters(parameters, values, () => {});
  assert.throws(exchange, { name: "RangeError", message: `Cannot exchange ${why}` });
  assert.deepEqual(await read(), [[1], [2]]);
  const share = () => shareParameters(parameters, values);
  assert.throws(share, { name: "RangeError", message: `Cannot share ${why}` });
  assert.deepEqual(await read(), [[1], [2]]);
});
