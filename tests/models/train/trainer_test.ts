/** Trainer and HeldOutLoss: what a step draws and measures, and states. */

import assert from "node:assert/strict";
import * as k from "../../../kernels/mod.ts";
import * as models from "../../../models/mod.ts";
import { PairDraw } from "../../../models/train/batches.ts";
import { replacing } from "../../replacing.ts";
import { upTo } from "../../refusing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";
import { LineField } from "./fields.ts";
import { flowMatching, lossesOf, lossOf } from "../../../models/flow/objective.ts";

const { randomNormal, randomUniform, tensor, zeros } = k;
const { batchSource, namedParameters, Trainer } = models;
const x1 = [3, 4, 5];
const batch = (step: number) => Uint32Array.of(step % 3, (step + 1) % 3);

function trainer(options: Partial<models.TrainerOptions> = {}) {
  const field = new LineField(), source = batchSource(tensor(x1, [3, 1]));
  return {
    field,
    made: new Trainer(field, source, { batchSize: 2, seed: 1, learningRate: 0.1, ...options }),
  };
}
const averaging = () => trainer({ ema: 0.9 }).made;

function queue(made: models.Trainer, steps: number): models.Trainer {
  for (const end = made.step + steps; made.step < end;) made.queueStep(batch(made.step), 0.1);
  return made;
}
const train = (made: models.Trainer, steps: number) => queue(made, steps).losses();
const valuesOf = async ({ map }: LineField) => [...await map.weight.read(), ...await map.bias.read()];

testOnCpu("Trainer.state() rejects only once when the device fails", async () => {
  const { made, field } = trainer({ ema: 0.9 });
  await train(made, 1);
  let reads = 0;
  const read = async () => {
    for (let i = 0, late = ++reads; i < late; i++) await Promise.resolve();
    throw new k.DeviceError("lost");
  };
  using _ = replacing([field.map.weight.device, { read }]);
  await assert.rejects(made.state(), { name: "DeviceError", message: "lost" });
  await new Promise((resolve) => setTimeout(resolve, 1)); // an unhandled rejection fails the test
  assert.ok(reads > 2);
});

testOnDevices(
  "Trainer.restore() resumes from a state, bit for bit, or refuses it and changes nothing",
  async () => {
    const whole = averaging(), losses = await train(whole, 7);
    const [first, second] = [averaging(), averaging()];
    assert.deepEqual(await train(first, 3), losses.slice(0, 3));
    const state = await first.state();
    await train(second, 5); // undone by restore()
    const before = await second.state(), { ema: _, ...bare } = state;
    const half = new Map([...state.optimizer].filter(([name]) => name.startsWith("m.")));
    const wide = new Map(state.parameters).set("map.bias", { shape: [2], data: new Float32Array(2) });
    for (const bad of [bare, { ...state, optimizer: half }, { ...state, parameters: wide }]) {
      assert.throws(() => second.restore(bad, "the state"), { name: "StateError" });
      assertSameNumbers(await second.state(), before);
    }
    second.restore(state, "the state");
    assert.equal(second.step, 3);
    assert.deepEqual(await train(second, 4), losses.slice(3));
    assertSameNumbers(await second.state(), await whole.state());
  },
);

testOnCpu("Trainer.measures() returns losses and gradient norms of the latest steps", async () => {
  const options = { clip: 1e-3, optimizer: "sgd", momentum: 0 } as const, { field, made } = trainer(options);
  for (let step = 0; step < 5; step++) {
    const before = await valuesOf(field);
    const { losses: [loss], gradientNorms: [norm] } = await queue(made, 1).measures();
    // A clipped SGD step has length rate * clip for any gradient norm.
    const moved = Math.hypot(...(await valuesOf(field)).map((value, i) => value - before[i]));
    assertClose([moved], [0.1 * Math.min(norm, 1e-3)], 2e-6);
    assert.ok(norm > 1e-3 && loss > 0, `${norm} and ${loss}`);
  }
  const kept = Trainer.maxOpenLosses, [late, early] = [trainer(options).made, trainer(options).made];
  await queue(early, 3).measures();
  const measures = await queue(early, kept).measures();
  assert.deepEqual(await queue(late, kept + 3).measures(), measures, "the latest ones");
  assert.ok(new Set(measures.gradientNorms).size > kept / 2);
  assert.deepEqual(await late.measures(), { losses: [], gradientNorms: [] });
});

testOnCpu("Trainer.averaged holds the averaged weights, which another network can share", async () => {
  const { field, made } = trainer({ ema: 0.9 }), twin = new LineField();
  models.shareParameters(namedParameters(twin), made.averaged);
  await train(made, 4);
  const { ema, parameters } = await made.state(), weight = ema!.get("map.weight")!.data;
  assertSameNumbers(await twin.map.weight.read(), weight);
  assert.notDeepEqual(weight, parameters.get("map.weight")!.data);
  assertSameNumbers(await field.map.weight.read(), parameters.get("map.weight")!.data);
  const within = models.withParameters(made.parameters, made.averaged, () => field.map.weight.read());
  assert.deepEqual(await within, weight);
  const plain = trainer().made;
  assert.equal(plain.averaged, plain.parameters);
});

testOnCpu(
  "Trainer and HeldOutLoss draw noise and times from their own streams, for each batch",
  async () => {
    const pairsOf = ([noise, time]: number[], counter: number, rows: number[]) => {
      const key = (stream: number) => tensor(Uint32Array.of(1, stream, counter));
      return {
        x0: randomNormal(key(noise), [2, 1]),
        x1: tensor(rows, [2, 1]),
        t: randomUniform(key(time), [2]),
      };
    };
    const { field, made } = trainer({ ema: 0.5, optimizer: "sgd", momentum: 0 });
    let average = await valuesOf(field);
    for (let step = 0; step < 3; step++) {
      const pairs = pairsOf([2, 3], step, [...batch(step)].map((n) => x1[n]));
      const expected = await lossOf(flowMatching, field, pairs).read();
      assertClose(await train(made, 1), expected, 1e-6);
      const [now, decay] = [await valuesOf(field), Math.min(0.5, (1 + step) / (10 + step))];
      average = average.map((value, i) => decay * value + (1 - decay) * now[i]);
      const averages = await Promise.all(made.averaged.values().map((each) => each.read()));
      assertClose(averages.flatMap((each) => [...each]), average, 1e-6);
    }
    const heldOut = new models.HeldOutLoss(field, batchSource(tensor(x1, [3, 1])), { batchSize: 2, seed: 1 });
    const losses = await heldOut.losses(Uint32Array.of(2, 0, 1));
    for (const [counter, rows] of [[5, 3], [4, 5]].entries()) { // any value for a row that only fills the batch
      const expected = await lossesOf(flowMatching, field, pairsOf([4, 5], counter, rows)).read();
      const found = losses.loss.slice(2 * counter, 2 * counter + 2);
      assertClose(found, expected.slice(0, found.length), 1e-6);
    }
    assertClose([models.meanLoss(losses)], [(losses.loss[0] + losses.loss[1] + losses.loss[2]) / 3], 1e-6);
  },
);

testOnCpu("Trainer uses the coupling and the times of the objective", async () => {
  const calls: unknown[] = [];
  const pair = (examples: Uint32Array<ArrayBuffer>, draw: unknown) => {
    calls.push([[...examples], draw]);
    return examples.toReversed();
  };
  const times = { draw: (_: k.Tensor, n: number) => zeros([n]) };
  const losses = await train(trainer({ objective: { ...flowMatching, times, coupling: { pair } } }).made, 2);
  assert.deepEqual(calls, [[[0, 1], { seed: 1, step: 0 }], [[1, 2], { seed: 1, step: 1 }]]);
  assert.notDeepEqual(await train(trainer({ objective: { ...flowMatching, times } }).made, 2), losses);
});

testOnCpu("Trainer takes the losses of a stage in turn, from the stage's first step on", async () => {
  const written: string[] = [];
  const { field } = trainer();
  const lossOf = (name: string): models.StepLoss => ({
    write: (examples, seed, step) => void written.push(`${name} ${step}: ${examples}, ${seed}`),
    loss: () => k.mean(k.square(k.add(field.map.weight, k.sum(field.map.bias)))),
  });
  const [a, b, c] = ["a", "b", "c"].map(lossOf), source = batchSource(tensor(x1, [3, 1]));
  const stages = [{ steps: 4, losses: [a] }, { steps: 5, losses: [b, b, c] }];
  const made = new Trainer(field, source, { batchSize: 2, seed: 1, learningRate: 0.1, stages });
  const losses = await train(made, 9);
  assert.equal(written.map(([name]) => name).join(""), "aaaabbcbb");
  assert.equal(written[6], "c 6: 0,1, 1");
  assert.ok(losses[3] < losses[0] && losses[8] !== losses[7], `${losses}`);
});

testOnCpu("Trainer.plan() returns the memory for any batch size, and allocates none", () => {
  const { field, made } = trainer(), { device } = field.map.weight;
  const plans = () => [2, 200].map((batchSize) => made.plan(batchSize).bytes);
  const [small, large] = plans(); // the device keeps freed buffers for reuse
  const before = device.allocatedBytes;
  plans();
  assert.ok(large > 5 * small, `${small} and ${large}`);
  assert.ok(device.allocatedBytes <= before, `${device.allocatedBytes} and ${before}`);
});

testOnCpu("PairDraw drops labels from their own stream, the same ones for the same step", async () => {
  const [N, none] = [20_000, 10], labels = Uint32Array.from(upTo(N), (i) => i % 10);
  const source = batchSource({ x1: zeros([N, 1]), condition: tensor(labels) });
  const at = async (probability: number, step: number) => {
    const draw = new PairDraw(source, N, { noise: 2, time: 3 }, { probability, none });
    draw.write(labels.map((_, i) => i), 46020, step);
    return [...await draw.pairs(flowMatching).condition!.readWords()];
  };
  for (const step of [7, 8]) {
    const drawn = k.uniforms(46020, 8, step, N);
    const expected = [...labels].map((label, i) => drawn[i] < Math.fround(0.1) ? none : label);
    assertSameNumbers(await at(0.1, step), expected);
  }
  assert.deepEqual(await at(0, 7), [...labels]);
  assert.ok((await at(1, 7)).every((label) => label === none));
  const message = "Cannot drop labels with probability 1.5 (expected a number from 0 to 1)";
  await assert.rejects(at(1.5, 7), { message });
});
