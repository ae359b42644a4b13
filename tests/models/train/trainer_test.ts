/** What training draws in which order, schedules, and Trainer and HeldOutLoss: what a step measures, and states. */

import assert from "node:assert/strict";
import * as k from "../../../kernels/mod.ts";
import * as models from "../../../models/mod.ts";
import { PairDraw } from "../../../models/train/batches.ts";
import { replacing } from "../../replacing.ts";
import { sorted, upTo } from "../../refusing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { assertClose, testOnCpu } from "../../testing.ts";
import { LineField } from "./fields.ts";
import { flowMatching, lossesOf, lossOf } from "../../../models/flow/objective.ts";
import { permutation, streams } from "../../../models/random.ts";
import { testNeeding } from "../../permissions.ts";
import { folder } from "../vectors.ts";
import { constantSchedule, plateauSchedule } from "../../../models/train/schedule.ts";

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

testOnCpu(
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
  const options = { clip: 1e-3, optimizer: "sgd", momentum: 0 } as const;
  for (const clip of [options.clip, 0]) {
    const { field, made } = trainer({ ...options, clip });
    for (let step = 0; step < 5; step++) {
      const before = await valuesOf(field);
      const { losses: [loss], gradientNorms: [norm] } = await queue(made, 1).measures();
      // A step of SGD has the length of the gradient, or of the clip, times the rate.
      const moved = Math.hypot(...(await valuesOf(field)).map((value, i) => value - before[i]));
      assertClose([moved], [0.1 * (clip > 0 ? Math.min(norm, clip) : norm)], 2e-6);
      assert.ok(norm > 1e-3 && loss > 0, `${norm} and ${loss}`);
    }
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

const { BatchOrder, cosineSchedule, createSchedule, scheduleNames } = models;

Deno.test("streams are distinct and keep their numbers, so that seeds stay valid across versions", () => {
  assert.deepEqual(streams, {
    ...{ weights: 0, order: 1, noise: 2, time: 3, heldOutNoise: 4, heldOutTime: 5, samples: 6, split: 7 },
    ...{ labelDropout: 8, shifts: 16, probes: 17, dequantization: 18, diffusion: 19, resamples: 20 },
    ...{ entries: 21, stepLengths: 22, pairOrder: 23, pairNoise: 24, references: 25, faults: 26 },
    ...{ augmentation: 27, guidance: 28, driftNoise: 29, timeChoice: 30, dropout: 1024 },
  });
});

Deno.test("permutation() is uniform, and depends on seed, stream and counter", () => {
  const first = permutation(46020, 1, 0, 50);
  assert.deepEqual(sorted(first), upTo(50));
  assert.deepEqual(permutation(46020, 1, 0, 50), first);
  for (const [seed, stream, counter] of [[1, 1, 0], [46020, 2, 0], [46020, 1, 1]]) {
    assert.notDeepEqual(permutation(seed, stream, counter, 50), first);
  }
  const [n, draws] = [5, 2000];
  const counts = upTo(n).map(() => upTo(n).map(() => 0));
  for (let counter = 0; counter < draws; counter++) {
    permutation(46020, 1, counter, n).forEach((value, place) => counts[place][value]++);
  }
  const allowed = 5 * Math.sqrt(draws * (1 / n) * (1 - 1 / n)); // 5 standard deviations of a binomial count
  for (const count of counts.flat()) assert.ok(Math.abs(count - draws / n) < allowed, `${count}`);
});

Deno.test("BatchOrder uses every example once per epoch, in a new order that depends on seed and step", () => {
  const order = (n: number, batchSize: number, seed = 46020) =>
    new BatchOrder(Uint32Array.from(upTo(n), (i) => 100 + 3 * i), batchSize, seed);
  for (const [n, batchSize] of [[86, 8], [10, 10], [7, 3], [9, 3], [5, 1]]) {
    const made = order(n, batchSize), epochs = 4;
    const batches = upTo(made.stepsFor(epochs)).map((step) => made.batch(step));
    assert.ok(batches.every(({ length }) => length === batchSize));
    const seen = batches.flatMap((batch) => [...batch]);
    const orders = upTo(epochs).map((epoch) => seen.slice(epoch * n, (epoch + 1) * n));
    for (const epoch of orders) assert.deepEqual(sorted(epoch), upTo(n).map((i) => 100 + 3 * i));
    assert.equal(new Set(orders.map(String)).size, epochs);
    const late = order(n, batchSize);
    for (const [step, batchOf] of [...batches.entries()].reverse()) {
      assert.deepEqual(late.batch(step), batchOf);
    }
  }
  const first = permutation(1, streams.order, 0, 7).map((i) => 100 + 3 * i);
  assert.deepEqual(order(7, 3, 1).batch(1), first.slice(3, 6));
  assert.notDeepEqual(order(7, 3).batch(1), first.slice(3, 6));
});

Deno.test("BatchOrder counts an epoch, or a fraction, when a step contains its last example", () => {
  const order = (n: number, batchSize: number) => new BatchOrder(Uint32Array.from(upTo(n)), batchSize, 46020);
  const whole = order(86, 8); // 10.75 steps per epoch
  assert.deepEqual([0, 1, 2, 3, 4].map((epochs) => whole.stepsFor(epochs)), [0, 11, 22, 33, 43]);
  const after = [0, 10, 11, 21, 22, 42, 43].map((steps) => whole.epochsAfter(steps));
  assert.deepEqual(after, [0, 0, 1, 1, 2, 3, 4]);
  for (const made of [whole, order(54000, 32), order(7, 3), order(3, 2)]) {
    for (const epochs of [0.1, 0.25, 1 / 3, 0.7, 1, 1.5, 2, 1e-6]) {
      for (let k = 1; k < 50; k++) {
        const end = made.stepsFor(k, epochs);
        assert.ok(made.intervalsAfter(end, epochs) >= k && made.intervalsAfter(end - 1, epochs) < k, `${k}`);
        assert.ok(
          made.stepsFor(made.intervalsAfter(end, epochs) + 1, epochs) > end,
          "the next is still ahead",
        );
      }
    }
    assert.ok(Math.abs(made.stepsFor(4, 0.25) - made.stepsFor(1)) <= 1);
  }
});

testNeeding({ read: true }, "schedules match PyTorch's, plateauSchedule() also through its state", () => {
  const vectors = JSON.parse(Deno.readTextFileSync(new URL("schedules.json", folder)));
  const rates = (name: string, schedule: models.Schedule, last: number) => {
    const expected: number[] = vectors[name].learning_rates;
    assertClose(expected.map((_, i) => schedule.learningRate(i / last)), expected, 1e-12, name);
  };
  const { settings: cycle } = vectors.OneCycleLR, last = cycle.total_steps - 1;
  const shape = { startDivisor: cycle.div_factor, endDivisor: cycle.final_div_factor };
  const warmup = (cycle.pct_start * cycle.total_steps - 1) / last;
  rates("OneCycleLR", models.oneCycleSchedule(cycle.max_lr, { ...shape, warmup }), last);
  const { settings: cosine } = vectors.CosineAnnealingLR;
  rates("CosineAnnealingLR", cosineSchedule(cosine.lr, { final: cosine.eta_min }), cosine.T_max);
  const { settings: { lr, factor, patience, threshold }, losses, learning_rates } = vectors.ReduceLROnPlateau;
  const found = losses.map((_: number, i: number) => {
    const [first, second] = [0, 1].map(() => plateauSchedule(lr, { factor, patience, threshold }));
    losses.slice(0, i / 2).forEach(first.observe);
    second.restore(JSON.parse(JSON.stringify(first.state())));
    losses.slice(i / 2, i + 1).forEach(second.observe);
    return second.learningRate(i / losses.length);
  });
  assertClose(found, learning_rates, 1e-12);
});

Deno.test("plateauSchedule() cools down, stops at its minimum, and counts NaN as no improvement", () => {
  const cases: [settings: object, losses: number[], rates: number[]][] = [
    [{ patience: 0, cooldown: 2, minimum: 0.4 }, Array(8).fill(1), [1, 0.5, 0.5, 0.5, 0.4, 0.4, 0.4, 0.4]],
    [{ patience: 1 }, [1, NaN, NaN, 0.9, NaN, 0.95, 0.8], [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]],
  ];
  for (const [settings, losses, rates] of cases) {
    const schedule = plateauSchedule(1, { factor: 0.5, ...settings });
    assert.deepEqual(losses.map((loss) => (schedule.observe(loss), schedule.learningRate(0))), rates);
    assert.equal(schedule.state().best, Math.min(...losses.filter(Number.isFinite)));
  }
});

Deno.test("schedules warm up linearly, are made by name, and clamp progress to [0, 1]", () => {
  for (const make of [constantSchedule, cosineSchedule, plateauSchedule]) {
    const { learningRate } = make(2, { warmup: 0.5 });
    assert.deepEqual([0, 0.125, 0.25, 0.5].map(learningRate), [0, 0.5, 1, 2]);
  }
  assertClose([cosineSchedule(2, { warmup: 0.5, final: 1 }).learningRate(0.75)], [1.5], 1e-15);
  for (const name of scheduleNames) {
    const { learningRate } = createSchedule(name, 0.5, { warmup: 0.25 });
    assertClose([learningRate(0.25)], [0.5], 1e-12, name);
    assert.deepEqual([learningRate(-1), learningRate(7)], [learningRate(0), learningRate(1)], name);
  }
  assert.equal(createSchedule("one_cycle", 1, { warmup: 0 }).learningRate(-1), 1);
});

Deno.test("createSchedule() refuses unknown names and invalid settings", () => {
  const refused: [name: string, settings: Record<string, number>, message: string, rate?: number][] = [
    ["cosin", {}, 'TypeError: Unknown schedule "cosin": did you mean "cosine"'],
    ["cosine", { warmup: 1 }, "warm up for 1 of a run"],
    ["plateau", { factor: 2 }, "factor 2 (expected 0 < factor < 1)"],
    ["cosine", { final: NaN }, "final is NaN (expected a number of at least 0)"],
    ["one_cycle", { startDivisor: 0 }, "startDivisor is 0 (expected a number above 0)"],
    ["one_cycle", { endDivisor: NaN }, "endDivisor is NaN (expected a number above 0)"],
    ["plateau", { threshold: NaN }, "threshold is NaN"],
    ["plateau", { minimum: -1 }, "minimum is -1"],
  ];
  for (const name of scheduleNames) {
    refused.push([
      name,
      { warmups: 0.1 },
      `TypeError: Unknown setting "warmups" of schedule ${name}: did you mean`,
    ]);
    for (const rate of [NaN, Infinity, -1]) {
      refused.push([name, {}, `the learning rate is ${rate} (expected a number of at least 0)`, rate]);
    }
  }
  for (const [name, settings, message, rate = 1] of refused) {
    assert.throws(() => createSchedule(name as models.ScheduleName, rate, settings), (error: Error) => {
      const expected = message.startsWith("TypeError") ? message : "RangeError: Cannot ";
      assert.ok(`${error}`.startsWith(expected) && `${error}`.includes(message), `${error}`);
      return true;
    });
  }
});
