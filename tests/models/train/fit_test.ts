/** fit(): its options, progress, states to resume from, and what it refuses. */

import assert from "node:assert/strict";
import { multiply, reshape, type Tensor, tensor } from "../../../kernels/mod.ts";
import * as models from "../../../models/mod.ts";
import { hostRows } from "../../../models/train/batches.ts";
import { upTo } from "../../refusing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { testOnCpu, testOnDevices } from "../../testing.ts";
import { data, Labelled, LineField, mean, weightsOf } from "./fields.ts";
import { classTransportPairs, transportPairs } from "../../../models/flow/coupling.ts";
import { dataPrediction, flowMatching } from "../../../models/flow/objective.ts";
import { cosinePath } from "../../../models/flow/path.ts";
import { constantSchedule, plateauSchedule } from "../../../models/train/schedule.ts";

type Options = models.FitOptions;
const { batchSource, createModel, encodeTrainerState, fit, Trainer } = models;
const short = { steps: 6, batchSize: 7, learningRate: 0.05 };
const labelsFrom = (least: number) => tensor(Uint32Array.from(upTo(50), (i) => least + i % 3));

testOnCpu("fit() learns to move noise to the data, and the loss falls", async () => {
  const model = new LineField(), learningRate = models.oneCycleSchedule(0.05);
  const losses = await fit(model, data(), { steps: 600, learningRate, batchSize: 32 });
  assert.equal(losses.length, 600);
  // E |x1 - x0|^2 = 9 + 1 at first. The best linear field leaves the variance of x0 given xt.
  assert.ok(mean(losses.subarray(0, 5)) > 5, `${losses.subarray(0, 5)}`);
  assert.ok(mean(losses.subarray(500)) < 0.7, `${mean(losses.subarray(500))}`);
  const x1 = await models.sample(model, { count: 200, shape: [1], seed: 0, steps: 20 }).read();
  assert.ok(Math.abs(mean(x1) - 3) < 0.15, `${mean(x1)}`);
});

type ByTrainer = Options & { readonly objective?: Partial<models.Objective> };

/** A trainer with the options of a call of `fit`, after its steps. */
async function byTrainer({ learningRate = 0.05, objective, ...rest }: ByTrainer) {
  const { steps = 6, batchSize = 7, seed = 46020, ...options } = { ...short, ...rest };
  const model = new LineField(), source = batchSource(data(), hostRows(await data().read(), 1));
  const schedule = typeof learningRate === "number" ? constantSchedule(learningRate) : learningRate;
  const trainer = new Trainer(model, source, {
    ...{ ...options, batchSize, seed, learningRate: 1 },
    ...objective && { objective: { ...flowMatching, ...objective } },
  });
  const order = new models.BatchOrder(Uint32Array.from(upTo(50)), batchSize, seed);
  for (const step of upTo(steps)) {
    trainer.queueStep(order.batch(step), schedule.learningRate(models.progressAt(step, steps)));
  }
  return { model, trainer, losses: await trainer.losses() };
}

testOnCpu("fit() takes the steps of a Trainer with the same options, and each option matters", async () => {
  const times = models.timeDistributions.logit_normal.make({ mean: 0, scale: 1 }), seen = new Set<string>();
  const all: readonly [options: ByTrainer, named?: Options["objective"]][] = [
    ...[[{}], [{ seed: 7 }], [{ batchSize: 8 }], [{ learningRate: 0.01 }], [{ steps: 13 }]] as [ByTrainer][],
    [{ optimizer: "adam", weightDecay: 0.5, beta1: 0.5, beta2: 0.7, epsilon: 1 }],
    [{ optimizer: "adamw", weightDecay: 0.5, clip: 0.01 }],
    [{ optimizer: "sgd", momentum: 0.3 }],
    [{ learningRate: models.cosineSchedule(0.1, { warmup: 0.5 }) }],
    [{ objective: { times } }, { times: "logit_normal" }],
    [{ objective: { path: cosinePath } }, { path: "cosine" }],
    [{ objective: { prediction: dataPrediction } }, { prediction: "data" }],
    [{ objective: { coupling: transportPairs } }, { coupling: "ot" }],
  ];
  for (const [options, objective] of all) {
    const model = new LineField();
    const losses = await fit(model, data(), { ...short, ...options, ...objective && { objective } });
    const by = await byTrainer(options), weights = await weightsOf(model);
    assert.deepEqual([[...losses], weights], [by.losses, await weightsOf(by.model)]);
    seen.add(`${weights}`);
  }
  assert.equal(seen.size, all.length);
});

testOnCpu("fit() with ema validates the averaged weights, and leaves them in the model", async () => {
  const [model, plain, held] = [new LineField(), new LineField(), tensor([2, 3, 4], [3, 1])];
  let last: models.FitProgress | undefined;
  const onProgress = (now: models.FitProgress) => void (last = now);
  await fit(model, data(), { ...short, ema: 0.9, validation: held, onProgress });
  await fit(plain, data(), short);
  const { model: field, trainer } = await byTrainer({ ema: 0.9 });
  const averages = await Promise.all(trainer.averaged.values().map(async (each) => [...await each.read()]));
  assertSameNumbers(await weightsOf(model), averages);
  assert.notDeepEqual(await weightsOf(plain), averages);
  const loss = () => new models.HeldOutLoss(field, batchSource(held), { batchSize: 3, seed: 46020 });
  const measured = models.withParameters(trainer.parameters, trainer.averaged, loss);
  assert.equal(last!.validationLoss, models.meanLoss(await measured.losses(Uint32Array.of(0, 1, 2))));
});

testOnCpu("fit() reports progress, and stops early on a signal with the current weights", async () => {
  const model = new LineField(), before = await weightsOf(model);
  const stop = new AbortController(), seen: number[] = [];
  const losses = await fit(model, data(), {
    ...{ steps: 1_000_000, signal: stop.signal },
    onProgress({ step, steps, losses }) {
      assert.deepEqual([steps, losses.length], [1_000_000, step]);
      seen.push(step);
      if (seen.length === 3) stop.abort();
    },
  });
  assert.equal(losses.length, seen[2]);
  assert.ok(seen[0] < seen[1] && seen[1] < seen[2], `${seen}`);
  assert.notDeepEqual(await weightsOf(model), before);
});

testOnCpu("fit() gives its schedule each step's progress and each epoch's validation loss", async () => {
  const calls: number[] = [];
  const constant = { learningRate: (progress: number) => (calls.push(progress), 0.01) };
  await fit(new LineField(), data(), { steps: 5, learningRate: constant });
  assert.deepEqual(calls, [0, 0, 0.25, 0.5, 0.75, 1]); // the first call is the optimizer's
  const schedule = plateauSchedule(0.05, { factor: 0.5, patience: 0, threshold: 0.9 });
  const [seen, observed]: number[][] = [[], []];
  const observe = (loss: number) => (observed.push(loss), schedule.observe(loss));
  await fit(new LineField(), data(), {
    ...{ steps: 25, batchSize: 10, learningRate: { ...schedule, observe }, validation: { x1: data() } },
    onProgress: ({ validationLoss }) => void (validationLoss !== undefined && seen.push(validationLoss)),
  });
  assert.equal(observed.length, 5); // 5 epochs of 5 steps
  assert.ok(observed[4] < observed[0], `${observed}`);
  assert.deepEqual([...new Set(seen)], observed);
  assert.ok(schedule.learningRate(1) < 0.05, "the rate fell");
});

testOnCpu("fit() keeps bursts of steps short if epochs interrupt them", async () => {
  const { now } = performance, ends = [0];
  let ms = 0;
  const pair = (examples: Uint32Array<ArrayBuffer>) => (ms += 10, examples); // a step takes 10 ms
  try {
    performance.now = () => ms;
    await fit(new LineField(), data(), {
      ...{ steps: 96, batchSize: 2, objective: { ...flowMatching, coupling: { pair } } },
      ...{ validation: { x1: data() }, onProgress: ({ step }) => void ends.push(step) }, // an epoch has 25 steps
    });
  } finally {
    performance.now = now;
  }
  const bursts = ends.slice(1).map((end, i) => end - ends[i]);
  assert.equal(Math.max(...bursts), 10, `${bursts}`); // 100 ms
});

testOnCpu("fit() passes each example's condition to the field, and drops labels on request", async () => {
  class Seen extends LineField {
    override velocity(x: Tensor, t: Tensor, condition?: Tensor): Tensor {
      return super.velocity(multiply(x, reshape(condition!, [t.size, 1])), t);
    }
  }
  const run = (value: number) =>
    fit(new Seen(), data(), { ...short, condition: tensor(Array(50).fill(value)) });
  assert.deepEqual(await run(1), await fit(new LineField(), data(), short));
  assert.notDeepEqual(await run(2), await run(1));
  for (const [labelDropout, expected] of [[0, [1, 1, 1, 0]], [1, [0, 0, 0, 1]]] as const) {
    const model = new Labelled(), before = await model.label.weight.read();
    await fit(model, data(), { steps: 3, optimizer: "adam", condition: labelsFrom(0), labelDropout });
    const moved = (await model.label.weight.read()).map((value, row) => Number(value !== before[row]));
    assert.deepEqual([...moved], expected, `which rows move with dropout ${labelDropout}`);
  }
});

/** A field that uses everything that a resumed call must restore. */
class Dropping extends LineField {
  readonly dropout = new models.Dropout(0.3);

  override velocity(x: Tensor, t: Tensor): Tensor {
    return super.velocity(this.dropout.forward(x), t);
  }
}

testOnDevices("fit() resumes from a state to the same bits, as if it had never stopped", async () => {
  const run = async (resume?: Uint8Array) => {
    const model = new Dropping(), states = new Map<number, Uint8Array>();
    const losses = await fit(model, data(), {
      ...{
        steps: 33,
        batchSize: 10,
        ema: 0.9,
        clip: 1,
        weightDecay: 0.1,
        progressSteps: 3,
        validation: data(),
      },
      ...{ learningRate: plateauSchedule(0.05, { factor: 0.5, patience: 0, threshold: 0.9 }) },
      ...resume && { resume },
      onProgress: async ({ step, state, validationLoss }) => {
        states.set(step, await state());
        assert.equal(
          validationLoss === undefined,
          step < 5,
          "measured after each epoch of 5 steps, and kept",
        );
      },
    });
    return { losses, states, weights: await weightsOf(model) };
  };
  const { states, ...all } = await run();
  assert.deepEqual([...states.keys()], upTo(11).map((i) => 3 * i + 3));
  for (const step of [6, 27, 33]) {
    const { states: later, ...rest } = await run(states.get(step)!);
    assert.deepEqual([...later.keys()], [...states.keys()].filter((other) => other > step));
    assertSameNumbers(rest, all);
    if (step < 33) assert.deepEqual(later.get(33), states.get(33));
  }
});

testOnCpu(
  "a signal ends fit() after a step whose state it reports, and training continues from it",
  async () => {
    const stop = new AbortController(), calls: number[] = [];
    let saved: Uint8Array | undefined;
    const pair = (examples: Uint32Array<ArrayBuffer>, { step }: { step: number }) => {
      if (step === 4) stop.abort();
      return examples;
    };
    const onProgress = async ({ step, state }: models.FitProgress) => {
      calls.push(step);
      saved = await state();
    };
    const options = { steps: 40, batchSize: 7, progressSteps: 30, onProgress };
    const stopping = { ...options, signal: stop.signal, objective: { coupling: { pair } } };
    const { length } = await fit(new LineField(), data(), stopping);
    assert.ok(length >= 5 && length < 30, `${length} steps`);
    const [model, other] = [new LineField(), new LineField()];
    const rest = await fit(model, data(), { ...options, resume: saved! });
    assert.deepEqual(calls, [length, 30, 40]);
    assert.deepEqual(await fit(other, data(), { ...options, onProgress: () => {} }), rest);
    assertSameNumbers(await weightsOf(model), await weightsOf(other));
  },
);

testOnCpu("fit() refuses the state of another model or call, and changes nothing", async () => {
  const options = { steps: 4, batchSize: 7, ema: 0.9 };
  let saved = new Uint8Array();
  const onProgress = async ({ state }: models.FitProgress) => void (saved = await state());
  await fit(new LineField(), data(), { ...options, onProgress });
  const { state, extras } = models.decodeTrainerState(saved, "the state");
  const broken = (["parameters", "optimizer", "ema"] as const).map((part) => {
    const [name, { shape, data }] = [...state[part]!].at(-1)!;
    const resume = encodeTrainerState(
      { ...state, [part]: new Map(state[part]).set(name, { shape, data: data.with(-1, NaN) }) },
      extras,
    );
    return [{ resume }, `.${name}" is NaN at index ${data.length - 1} (expected finite numbers)`] as const;
  });
  const unet = () => createModel({ type: "UNet_FM", filters: [2], tEmb: 4 }, 1);
  const cases: (readonly [Options, message: string, model?: models.Module & models.VelocityField])[] = [
    [{}, 'unknown name "map.weight" (nearest: "last.weight"); does it belong to another network?', unet()],
    [{ seed: 1 }, "its seed is 46020 (expected 1, as in this call)"],
    [{ batchSize: 8 }, "its batchSize is 7 (expected 8, as in this call)"],
    [{ optimizer: "adam" }, "its optimizer is adamw (expected adam, as in this call)"],
    [{ ema: 0 }, "its ema is 0.9 (expected 0, as in this call)"],
    [{ steps: 3 }, "it is at step 4 (expected at most 3, the steps of this call)"],
    [{ resume: encodeTrainerState(state) }, "fit() did not save it (expected the result"],
    ...broken,
    [{ resume: saved.subarray(0, 50) }, "SafetensorsError: Cannot read the state to resume"],
  ];
  for (const [other, message, model = new LineField()] of cases) {
    const before = await weightsOf(model);
    await assert.rejects(fit(model, data(), { ...options, resume: saved, ...other }), (error: Error) => {
      assert.match(
        `${error}`,
        /^(StateError: Cannot load|SafetensorsError: Cannot read) the state to resume/,
      );
      assert.ok(`${error}`.includes(message), `${error}`);
      return true;
    });
    assertSameNumbers(await weightsOf(model), before);
  }
});

testOnCpu("fit() refuses invalid options, and reports the step at which training failed", async () => {
  class Idle extends LineField {
    readonly unused = new models.Linear(2, 2);
  }
  const network = (classes: number) => createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4, classes }, 1);
  const images = () => models.noise(1, [6, 1, 4, 4]);
  const unlabelled = "TypeError: Cannot drop labels: the data has none (expected labels as its condition)";
  const cases: [Options, message: string, x1?: Tensor, model?: models.Module & models.VelocityField][] = [
    [{ steps: 4, batchSize: 1 }, "failed in step 1: its loss is NaN", tensor([NaN], [1, 1])],
    [{ validation: tensor([], [0, 1]) }, "ShapeError: Cannot use the validation data: it has no rows"],
    [{ objective: { coupling: classTransportPairs } }, "(expected a label per example"],
    [{ learningRate: plateauSchedule(0.1) }, "needs a validation loss (expected `validation` data)"],
    [{ signal: AbortSignal.abort() }, "FitError: Cannot train: the signal has already aborted (expected one"],
    [{ objective: { time: 1 } as never }, 'Unknown setting "time" of an objective: did you mean "times"'],
    [
      { steps: 1 },
      'TypeError: Cannot train: the velocity does not depend on "unused.weight", f32[2, 2] (expected velocity() to ' +
      "use every parameter); use its layer there, or remove it from the module",
      data(),
      new Idle(),
    ],
    [
      { condition: labelsFrom(2) },
      'FitError: Cannot train: the label of example 2 is 4 (expected 0 to 2, or 3 for "none")',
      data(),
      new Labelled(),
    ],
    [{ steps: 1, labelDropout: 0.5 }, unlabelled, images(), network(2)],
    [
      { steps: 1, labelDropout: 0.5, condition: tensor(new Float32Array(6)) },
      "TypeError: Cannot drop labels: the condition is f32[6] (expected labels, u32[M])",
      images(),
      network(2),
    ],
    [
      { steps: 1, labelDropout: 0.5, condition: tensor(new Uint32Array(6)) },
      "TypeError: Cannot drop labels or guide: the network has no classes (expected one made with `classes`)",
      images(),
      network(0),
    ],
  ];
  for (const [options, message, x1 = data(), model = new LineField()] of cases) {
    await assert.rejects(fit(model, x1, options), (error: Error) => {
      assert.ok(`${error}`.includes(message), `${error}`);
      return true;
    });
  }
});

testOnCpu("fit() warns once about data that is much larger than the noise", async () => {
  const warnings: string[] = [], { warn } = console;
  console.warn = (line) => void warnings.push(line);
  try {
    for (const size of [3000, 3, NaN]) {
      const x1 = multiply(data(), size / 3);
      await fit(new LineField(), x1, { steps: 2 }).catch(() => {});
      await fit(new LineField(), { x0: x1, x1 }, { steps: 2 }).catch(() => {});
    }
  } finally {
    console.warn = warn;
  }
  assert.equal(warnings.length, 1);
  assert.match(warnings[0], /^The data of fit\(\) has values around 3,000, .* divide the data by 3,000, and/);
});
