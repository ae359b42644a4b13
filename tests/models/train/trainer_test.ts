import assert from "node:assert/strict";
import {
  concat,
  DeviceError,
  randomNormal,
  randomUniform,
  reshape,
  type Tensor,
  tensor,
  uniforms,
  zeros,
} from "../../../kernels/mod.ts";
import {
  batchSource,
  createModel,
  fit,
  flowMatching,
  HeldOutLoss,
  Linear,
  lossesOf,
  lossOf,
  meanLoss,
  Module,
  namedParameters,
  randomInitialiser,
  shareParameters,
  stateOf,
  Trainer,
  type TrainerOptions,
  withParameters,
} from "../../../models/mod.ts";
import { replacing } from "../../replacing.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";
import { PairDraw } from "../../../models/train/pair_draw.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

class LineField extends Module {
  readonly map = new Linear(2, 1, randomInitialiser(1));

  velocity(x: Tensor, t: Tensor): Tensor {
    return this.map.forward(concat([x, reshape(t, [t.size, 1])], 1));
  }
}

const batch = (step: number) => Uint32Array.of(step % 3, (step + 1) % 3);

function trainer(options: Partial<TrainerOptions> = {}) {
  const field = new LineField();
  const source = batchSource(tensor([3, 4, 5], [3, 1]));
  return {
    field,
    made: new Trainer(field, source, { batchSize: 2, seed: 1, learningRate: 0.1, ...options }),
  };
}

async function train(made: Trainer, steps: number): Promise<number[]> {
  for (const end = made.step + steps; made.step < end;) made.queueStep(batch(made.step), 0.1);
  return await made.losses();
}

testOnCpu("Trainer.state() rejects only once when the device fails", async () => {
  const { made, field } = trainer({ ema: 0.9 });
  await train(made, 1);
  let reads = 0;
  const read = async () => {
    const late = ++reads;
    for (let i = 0; i < late; i++) await Promise.resolve();
    throw new DeviceError("lost");
  };
  using _ = replacing([field.map.weight.device, { read }]);
  await assert.rejects(made.state(), { name: "DeviceError", message: "lost" });
  await new Promise((resolve) => setTimeout(resolve, 1)); // an unhandled rejection fails the test
  assert.ok(reads > 2);
});

testOnDevices("Trainer.restore() resumes from a state, bit for bit", async () => {
  const whole = trainer({ ema: 0.9 }).made;
  const losses = await train(whole, 7);
  const first = trainer({ ema: 0.9 }).made;
  assert.deepEqual(await train(first, 3), losses.slice(0, 3));
  const second = trainer({ ema: 0.9 }).made;
  await train(second, 5); // undone by restore()
  second.restore(await first.state(), "the state");
  assert.equal(second.step, 3);
  assert.deepEqual(await train(second, 4), losses.slice(3));
  assertSameNumbers(await second.state(), await whole.state());
});

testOnDevices("Trainer.restore() changes nothing if it refuses a state", async () => {
  const { made } = trainer({ ema: 0.9 });
  const restored = trainer({ ema: 0.9 }).made;
  await train(made, 3);
  await train(restored, 5);
  const [before, state] = [await made.state(), await restored.state()];
  const { ema: _, ...bare } = state;
  const half = new Map([...state.optimizer].filter(([name]) => name.startsWith("m.")));
  const wide = new Map(state.parameters).set("map.bias", { shape: [2], data: new Float32Array(2) });
  for (const bad of [bare, { ...state, optimizer: half }, { ...state, parameters: wide }]) {
    assert.throws(() => made.restore(bad, "the state"), { name: "StateError" });
    assertSameNumbers(await made.state(), before);
  }
  assert.deepEqual(await train(made, 2), (await train(trainer({ ema: 0.9 }).made, 5)).slice(3));
});

testOnDevices("Trainer.measures() returns losses and gradient norms of the latest steps", async () => {
  const options = { clip: 1e-3, optimizer: "sgd", momentum: 0 } as const;
  const { field, made } = trainer(options);
  const values = async () => [...await field.map.weight.read(), ...await field.map.bias.read()];
  for (let step = 0; step < 5; step++) {
    const before = await values();
    made.queueStep(batch(step), 0.1);
    const { losses: [loss], gradientNorms: [norm] } = await made.measures();
    // A clipped SGD step has length rate * clip for any gradient norm.
    const moved = Math.hypot(...(await values()).map((value, i) => value - before[i]));
    assertClose([moved], [0.1 * Math.min(norm, 1e-3)], 2e-6);
    assert.ok(norm > 1e-3 && loss > 0, `${norm} and ${loss}`);
  }
  const kept = Trainer.maxOpenLosses;
  const [late, early] = [trainer(options).made, trainer(options).made];
  const queue = (made: Trainer, steps: number) => {
    for (let i = 0; i < steps; i++) made.queueStep(batch(made.step), 0.1);
    return made.measures();
  };
  await queue(early, 3);
  const measures = await queue(early, kept);
  assert.deepEqual(await queue(late, kept + 3), measures); // the latest ones
  assert.equal(new Set(measures.gradientNorms).size > kept / 2, true);
  assert.deepEqual(await late.measures(), { losses: [], gradientNorms: [] });
});

testOnDevices("Trainer.averaged holds the averaged weights, which another network can share", async () => {
  const { field, made } = trainer({ ema: 0.9 });
  const twin = new LineField();
  shareParameters(namedParameters(twin), made.averaged);
  await train(made, 4);
  const { ema, parameters } = await made.state();
  const weight = ema!.get("map.weight")!.data;
  assertSameNumbers(await twin.map.weight.read(), weight);
  assert.notDeepEqual(weight, parameters.get("map.weight")!.data);
  assertSameNumbers(await field.map.weight.read(), parameters.get("map.weight")!.data);
  const read = () => field.map.weight.read();
  assert.deepEqual(await withParameters(made.parameters, made.averaged, read), weight);
  const plain = trainer().made;
  assert.equal(plain.averaged, plain.parameters);
});

testOnDevices("Trainer draws noise and times from their own streams, and averages each step", async () => {
  const { field, made } = trainer({ ema: 0.5, optimizer: "sgd", momentum: 0 });
  const x1 = [3, 4, 5];
  const values = async () => [...await field.map.weight.read(), ...await field.map.bias.read()];
  let average = await values();
  for (let step = 0; step < 3; step++) {
    const key = (stream: number) => tensor(Uint32Array.of(1, stream, step));
    const pairs = {
      x0: randomNormal(key(2), [2, 1]),
      x1: tensor([...batch(step)].map((n) => x1[n]), [2, 1]),
      t: randomUniform(key(3), [2]),
    };
    const expected = await lossOf(flowMatching, field, pairs).read();
    assertClose(await train(made, 1), expected, 1e-6);
    const [now, decay] = [await values(), Math.min(0.5, (1 + step) / (10 + step))];
    average = average.map((value, i) => decay * value + (1 - decay) * now[i]);
    const averages = await Promise.all(made.averaged.values().map((each) => each.read()));
    assertClose(averages.flatMap((each) => [...each]), average, 1e-6);
  }
});

testOnDevices("HeldOutLoss draws noise and times from streams of its own, batch by batch", async () => {
  const { field } = trainer();
  const heldOut = new HeldOutLoss(field, batchSource(tensor([3, 4, 5], [3, 1])), { batchSize: 2, seed: 1 });
  const losses = await heldOut.losses(Uint32Array.of(2, 0, 1));
  for (const [counter, rows] of [[5, 3], [4]].entries()) {
    const key = (stream: number) => tensor(Uint32Array.of(1, stream, counter));
    const pairs = {
      x0: randomNormal(key(4), [2, 1]),
      x1: tensor([rows[0], rows[1] ?? 5], [2, 1]), // any value for a row that only fills the batch
      t: randomUniform(key(5), [2]),
    };
    const expected = (await lossesOf(flowMatching, field, pairs).read()).slice(0, rows.length);
    assertClose(losses.loss.slice(2 * counter, 2 * counter + 2), expected, 1e-6);
  }
  assertClose([meanLoss(losses)], [(losses.loss[0] + losses.loss[1] + losses.loss[2]) / 3], 1e-6);
});

testOnDevices("Trainer uses the coupling and the times of the objective", async () => {
  const calls: unknown[] = [];
  const pair = (examples: Uint32Array<ArrayBuffer>, draw: unknown) => {
    calls.push([[...examples], draw]);
    return examples.toReversed();
  };
  const times = { draw: (_: Tensor, n: number) => zeros([n]) };
  const losses = await train(trainer({ objective: { ...flowMatching, times, coupling: { pair } } }).made, 2);
  assert.deepEqual(calls, [[[0, 1], { seed: 1, step: 0 }], [[1, 2], { seed: 1, step: 1 }]]);
  assert.notDeepEqual(await train(trainer({ objective: { ...flowMatching, times } }).made, 2), losses);
});

testOnDevices("Trainer.plan() returns the memory for any batch size, and allocates none", () => {
  const { field, made } = trainer();
  const device = field.map.weight.device;
  const plans = () => [2, 200].map((batchSize) => made.plan(batchSize).bytes);
  const [small, large] = plans(); // the device keeps freed buffers for reuse
  const before = device.allocatedBytes;
  plans();
  assert.ok(large > 5 * small, `${small} and ${large}`);
  assert.ok(device.allocatedBytes <= before, `${device.allocatedBytes} and ${before}`);
});

testOnDevices("PairDraw drops labels from their own stream, the same ones for the same step", async () => {
  const N = 20_000, none = 10;
  const labels = Uint32Array.from({ length: N }, (_, i) => i % 10);
  const source = batchSource({ x1: zeros([N, 1]), condition: tensor(labels) });
  const at = async (probability: number, step: number) => {
    const draw = new PairDraw(source, N, { noise: 2, time: 3 }, { probability, none });
    draw.write(labels.map((_, i) => i), 46020, step);
    return [...await draw.pairs(flowMatching).condition!.readWords()];
  };
  for (const step of [7, 8]) {
    const drawn = uniforms(46020, 8, step, N);
    const expected = [...labels].map((label, i) => drawn[i] < Math.fround(0.1) ? none : label);
    assert.deepEqual(await at(0.1, step), expected);
  }
  assert.deepEqual(await at(0, 7), [...labels]);
  assert.ok((await at(1, 7)).every((label) => label === none));
  await assert.rejects(at(1.5, 7), {
    message: "Cannot drop labels with probability 1.5 (expected a number from 0 to 1)",
  });
});

const config = { type: "UNet_FM", filters: [2, 4], tEmb: 4, classes: 2 } as const;
const x1 = () => tensor(Float32Array.from({ length: 6 * 16 }, (_, i) => Math.sin(i)), [6, 1, 4, 4]);
const labels = () => tensor(Uint32Array.of(0, 1, 0, 1, 1, 0));

testOnCpu(
  'fit() that drops all labels trains only the row of "none"; with no dropout, only the others',
  async () => {
    for (const labelDropout of [0, 1]) {
      const model = createModel(config, 1);
      const rows = async () => (await stateOf(model)).get("label_emb.weight")!.data.slice();
      const before = await rows();
      // No weight decay, because it moves every row.
      await fit(model, x1(), {
        steps: 3,
        batchSize: 6,
        condition: labels(),
        labelDropout,
        optimizer: "adam",
      });
      const after = await rows();
      const moved = [0, 1, 2].map((row) =>
        after.subarray(4 * row, 4 * row + 4).some((v, i) => v !== before[4 * row + i])
      );
      assert.deepEqual(moved, labelDropout === 1 ? [false, false, true] : [true, true, false]);
    }
  },
);

testOnCpu("label dropout needs labels, and a network with classes", async () => {
  const dropped = { steps: 1, labelDropout: 0.5 };
  const [model, without] = [config, { ...config, classes: 0 }].map((config) => createModel(config, 1));
  const unlabelled = /^TypeError: Cannot drop labels: the data has none \(expected labels as its condition\)/;
  await assert.rejects(fit(model, x1(), dropped), unlabelled);
  const kinds = { ...dropped, condition: tensor(new Float32Array(6)) };
  await assert.rejects(fit(model, x1(), kinds), {
    name: "TypeError",
    message: "Cannot drop labels: the condition is f32[6] (expected labels, u32[M])",
  });
  await assert.rejects(fit(without, x1(), { ...dropped, condition: labels() }), {
    name: "TypeError",
    message: "Cannot drop labels or guide: the network has no classes (expected one made with `classes`)",
  });
  const options = { batchSize: 2, seed: 1, learningRate: 0.1, labelDropout: 0.5 };
  const trainer = new Trainer(model, batchSource(x1()), options);
  assert.throws(
    () => trainer.queueStep(Uint32Array.of(0, 1), 0.1),
    /^TypeError: Cannot drop labels: the data has/,
  );
});
