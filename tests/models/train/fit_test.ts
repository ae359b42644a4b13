import assert from "node:assert/strict";
import { multiply, reshape, type Tensor, tensor } from "../../../kernels/mod.ts";
import {
  BatchOrder,
  batchSource,
  constantSchedule,
  cosinePath,
  cosineSchedule,
  dataPrediction,
  fit,
  type FitOptions,
  type FitProgress,
  flowMatching,
  HeldOutLoss,
  LabelEmbedding,
  Linear,
  meanLoss,
  type Objective,
  oneCycleSchedule,
  plateauSchedule,
  progressAt,
  randomInitialiser,
  sample,
  stateOf,
  timeDistributions,
  Trainer,
  transportPairs,
  withParameters,
} from "../../../models/mod.ts";
import { testOnCpu, testOnDevices } from "../../testing.ts";
import { data, LineField, weightsOf } from "./line_field.ts";
import { hostRows } from "../../../models/train/batch_source.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

testOnDevices("fit() learns to move noise to the data, and the loss falls", async () => {
  const model = new LineField(1);
  const losses = await fit(model, data(), {
    steps: 600,
    learningRate: oneCycleSchedule(0.05),
    batchSize: 32,
  });
  assert.equal(losses.length, 600);
  const mean = (values: Float32Array) => values.reduce((sum, value) => sum + value) / values.length;
  // E |x1 - x0|^2 = 9 + 1 at first. The best linear field leaves the variance of x0 given xt.
  assert.ok(mean(losses.subarray(0, 5)) > 5, `${losses.subarray(0, 5)}`);
  assert.ok(mean(losses.subarray(500)) < 0.7, `${mean(losses.subarray(500))}`);
  const x1 = await sample(model, { count: 200, shape: [1], seed: 0, steps: 20 }).read();
  assert.ok(Math.abs(mean(x1) - 3) < 0.15, `${mean(x1)}`);
});

testOnDevices("fit() is reproducible with the same seed, and depends on its options", async () => {
  const run = async (options: Partial<Parameters<typeof fit>[2]>) => {
    const model = new LineField(1);
    const losses = await fit(model, data(), { steps: 12, batchSize: 7, learningRate: 0.05, ...options });
    return { losses, weights: [...(await stateOf(model)).values()].map(({ data }) => [...data]) };
  };
  const first = await run({});
  assert.deepEqual(await run({}), first);
  const variations = [{ seed: 7 }, { batchSize: 8 }, { learningRate: 0.01 }, { optimizer: "sgd" }, {
    steps: 13,
  }] as const;
  for (const other of variations) {
    assert.notDeepEqual((await run(other)).weights, first.weights, JSON.stringify(other));
  }
});

testOnDevices("fit() reports progress, and stops early on a signal with the current weights", async () => {
  const model = new LineField(1);
  const before = [...(await stateOf(model)).values()].map(({ data }) => [...data]);
  const stop = new AbortController();
  const seen: number[] = [];
  const losses = await fit(model, data(), {
    steps: 1_000_000,
    signal: stop.signal,
    onProgress({ step, steps, losses }) {
      assert.equal(steps, 1_000_000);
      assert.equal(losses.length, step);
      seen.push(step);
      if (seen.length === 3) stop.abort();
    },
  });
  assert.equal(losses.length, seen[2]);
  assert.ok(seen[0] < seen[1] && seen[1] < seen[2], `${seen}`);
  assert.notDeepEqual([...(await stateOf(model)).values()].map(({ data }) => [...data]), before);
});

testOnCpu("fit() refuses invalid options, and reports the step at which training failed", async () => {
  const cases: [options: Parameters<typeof fit>[2], message: RegExp, x1?: Tensor][] = [
    [{ steps: 0 }, /^FitError: Cannot train: steps is 0 \(expected an integer from 1 to 16777216\)$/],
    [{ steps: 1, batchSize: 51 }, /^FitError: .*batchSize is 51 \(expected an integer from 1 to 50\)/],
    [
      { steps: 4, batchSize: 1 },
      /Training failed in step 1: its loss is NaN \(expected a/,
      tensor([NaN], [1, 1]),
    ],
    [
      { validation: tensor([], [0, 1]) },
      /^ShapeError: Cannot use the validation data: it has no rows: f32\[0, 1/,
    ],
    [{ condition: tensor([1]) }, /^ShapeError: .*: the condition is f32\[1\] for x1 .* \(expected 50 rows/],
    [
      { learningRate: plateauSchedule(0.1) },
      /^FitError: .*needs a validation loss \(expected `validation` data\)/,
    ],
    [
      { signal: AbortSignal.abort() },
      /^FitError: Cannot train: the signal has already aborted \(expected one/,
    ],
    [{ progressSteps: 0 }, /^FitError: Cannot train: progressSteps is 0 \(expected an integer from 1 to/],
    [
      { objective: { time: 1 } as never },
      /^TypeError: Unknown setting "time" of an objective: did you mean "times"/,
    ],
    [{ ema: 1 }, /^RangeError: Cannot average: decay is 1 \(expected 0 <= decay < 1\)$/],
    [{ clip: -1 }, /^TypeError: Cannot make an optimizer: clip is -1 \(expected a number of at least 0\)$/],
  ];
  for (const [options, message, x1 = data()] of cases) {
    await assert.rejects(fit(new LineField(1), x1, options), message);
  }
});

testOnDevices("fit() gives its schedule each step's progress and each epoch's validation loss", async () => {
  const calls: number[] = [];
  const constant = { learningRate: (progress: number) => (calls.push(progress), 0.01) };
  await fit(new LineField(1), data(), { steps: 5, learningRate: constant });
  assert.deepEqual(calls, [0, 0, 0.25, 0.5, 0.75, 1]); // the first call is the optimizer's
  const validation = { x1: data() };
  const schedule = plateauSchedule(0.05, { factor: 0.5, patience: 0, threshold: 0.9 });
  const seen: number[] = [];
  const observed: number[] = [];
  const observe = (loss: number) => (observed.push(loss), schedule.observe(loss));
  await fit(new LineField(1), data(), {
    steps: 25,
    batchSize: 10,
    learningRate: { learningRate: schedule.learningRate, observe },
    validation,
    onProgress: ({ validationLoss }) => void (validationLoss !== undefined && seen.push(validationLoss)),
  });
  assert.equal(observed.length, 5); // 5 epochs of 5 steps
  assert.ok(observed[4] < observed[0], `${observed}`);
  assert.deepEqual([...new Set(seen)], observed);
  assert.ok(schedule.learningRate(1) < 0.05, "the rate fell");
});

testOnDevices("fit() keeps bursts of steps short if epochs interrupt them", async () => {
  const { now } = performance;
  let ms = 0;
  const coupling = { pair: (examples: Uint32Array<ArrayBuffer>) => (ms += 10, examples) }; // a step takes 10 ms
  const ends = [0];
  try {
    performance.now = () => ms;
    await fit(new LineField(1), data(), {
      steps: 96,
      batchSize: 2,
      objective: { ...flowMatching, coupling },
      validation: { x1: data() }, // after each epoch of 25 steps
      onProgress: ({ step }) => void ends.push(step),
    });
  } finally {
    performance.now = now;
  }
  const bursts = ends.slice(1).map((end, i) => end - ends[i]);
  assert.equal(Math.max(...bursts), 10, `${bursts}`); // 100 ms
});

testOnDevices("fit() passes each example's condition to the field", async () => {
  class Seen extends LineField {
    override velocity(x: Tensor, t: Tensor, condition?: Tensor): Tensor {
      return super.velocity(multiply(x, reshape(condition!, [t.size, 1])), t);
    }
  }
  const run = async (condition: Tensor) =>
    await fit(new Seen(1), data(), { steps: 3, batchSize: 5, condition });
  const ones = tensor(new Float32Array(50).fill(1));
  const twos = tensor(new Float32Array(50).fill(2));
  assertSameNumbers(await run(ones), await fit(new LineField(1), data(), { steps: 3, batchSize: 5 }));
  assert.notDeepEqual(await run(twos), await run(ones));
});

testOnDevices("fit() names a parameter that the velocity does not depend on", async () => {
  class Idle extends LineField {
    readonly unused = new Linear(2, 2, randomInitialiser(3));
  }
  await assert.rejects(fit(new Idle(1), data(), { steps: 1 }), {
    name: "TypeError",
    message:
      'Cannot train: the velocity does not depend on "unused.weight", f32[2, 2] (expected velocity() to use ' +
      "every parameter); use its layer there, or remove it from the module",
  });
});

type ByTrainer = FitOptions & { readonly objective?: Partial<Objective> };

/** A trainer with the options of a call of `fit`, after six steps. */
async function byTrainer({ learningRate = 0.05, ...options }: ByTrainer) {
  const [steps, batchSize] = [6, 7];
  const model = new LineField(1);
  const source = batchSource(data(), hostRows(await data().read(), 1));
  const { objective, ...rest } = options;
  const schedule = typeof learningRate === "number" ? constantSchedule(learningRate) : learningRate;
  const trainer = new Trainer(model, source, {
    ...{ batchSize, seed: 46020, learningRate: 1, ...rest },
    ...objective && { objective: { ...flowMatching, ...objective } },
  });
  const order = new BatchOrder(Uint32Array.from({ length: 50 }, (_, i) => i), batchSize, 46020);
  for (let step = 0; step < steps; step++) {
    trainer.queueStep(order.batch(step), schedule.learningRate(progressAt(step, steps)));
  }
  return { model, trainer, source, losses: await trainer.losses() };
}

testOnDevices("fit() takes the steps of a Trainer with the same options", async () => {
  const times = timeDistributions.logit_normal.make({ mean: 0, scale: 1 });
  const seen = new Set<string>();
  const all: readonly [options: ByTrainer, named?: FitOptions["objective"]][] = [
    [{}],
    [{ optimizer: "adam", weightDecay: 0.5, beta1: 0.5, beta2: 0.7, epsilon: 1 }],
    [{ optimizer: "adamw", weightDecay: 0.5, clip: 0.01 }],
    [{ optimizer: "sgd", momentum: 0.3 }],
    [{ learningRate: cosineSchedule(0.1, { warmup: 0.5 }) }],
    [{ objective: { times } }, { times: "logit_normal" }],
    [{ objective: { path: cosinePath } }, { path: "cosine" }],
    [{ objective: { prediction: dataPrediction } }, { prediction: "data" }],
    [{ objective: { coupling: transportPairs } }, { coupling: "ot" }],
  ];
  for (const [options, objective] of all) {
    const model = new LineField(1);
    const common = { steps: 6, batchSize: 7, learningRate: 0.05 };
    const losses = await fit(model, data(), { ...common, ...options, ...objective && { objective } });
    const by = await byTrainer(options);
    assert.deepEqual([...losses], by.losses);
    assertSameNumbers(await weightsOf(model), await weightsOf(by.model));
    seen.add(`${await weightsOf(model)}`);
  }
  assert.equal(seen.size, all.length, "each option matters");
});

testOnDevices("fit() with ema validates the averaged weights, and leaves them in the model", async () => {
  const model = new LineField(1);
  const plain = new LineField(1);
  const held = tensor([2, 3, 4], [3, 1]);
  let last: FitProgress | undefined;
  const options = { steps: 6, batchSize: 7, learningRate: 0.05 };
  await fit(model, data(), {
    ...options,
    ema: 0.9,
    validation: held,
    onProgress: (now) => void (last = now),
  });
  await fit(plain, data(), options);
  const { model: field, trainer } = await byTrainer({ ema: 0.9 });
  const averages = await Promise.all(trainer.averaged.values().map(async (each) => [...await each.read()]));
  assertSameNumbers(await weightsOf(model), averages);
  assert.notDeepEqual(await weightsOf(plain), averages);
  const loss = () => new HeldOutLoss(field, batchSource(held), { batchSize: 3, seed: 46020 });
  const measured = withParameters(trainer.parameters, trainer.averaged, loss);
  assert.equal(last!.validationLoss, meanLoss(await measured.losses(Uint32Array.of(0, 1, 2))));
});

/** A user's own field with labels. */
class Labelled extends LineField {
  readonly classes = 3;
  readonly label = new LabelEmbedding({ classes: 3, tEmb: 1 }, randomInitialiser(2));

  override velocity(x: Tensor, t: Tensor, condition?: Tensor): Tensor {
    return this.label.forward(super.velocity(x, t), condition);
  }
}

testOnDevices(
  "fit() drops labels of a field with `classes`, and refuses labels that are out of range",
  async () => {
    const labels = (least: number) => tensor(Uint32Array.from({ length: 50 }, (_, i) => least + i % 3));
    const moved = async (labelDropout: number) => {
      const model = new Labelled(1);
      const before = await model.label.weight.read();
      await fit(model, data(), { steps: 3, optimizer: "adam", condition: labels(0), labelDropout });
      return Array.from(await model.label.weight.read(), (value, row) => value !== before[row]);
    };
    assert.deepEqual(await moved(0), [true, true, true, false]);
    assert.deepEqual(await moved(1), [false, false, false, true]);
    await assert.rejects(fit(new Labelled(1), data(), { condition: labels(2) }), {
      name: "FitError",
      message: 'Cannot train: the label of example 2 is 4 (expected 0 to 2, or 3 for "none")',
    });
  },
);

testOnCpu("fit() warns once about data that is much larger than the noise", async () => {
  const warnings: string[] = [], { warn } = console;
  console.warn = (line) => void warnings.push(line);
  try {
    for (const size of [3000, 3, NaN]) {
      const x1 = multiply(data(), size / 3);
      await fit(new LineField(1), x1, { steps: 2 }).catch(() => {});
      await fit(new LineField(1), { x0: x1, x1 }, { steps: 2 }).catch(() => {});
    }
  } finally {
    console.warn = warn;
  }
  assert.equal(warnings.length, 1);
  assert.match(warnings[0], /^The data of fit\(\) has values around 3,000, .* divide the data by 3,000, and/);
});
