import assert from "node:assert/strict";
import {
  AdaptiveSampler,
  Attention,
  BatchOrder,
  batchSource,
  constantSchedule,
  Conv2d,
  ConvTranspose2d,
  cosineSchedule,
  countParameters,
  createModel,
  defineTableau,
  fit,
  flowGeometry,
  gridTimes,
  GroupNorm,
  guided,
  HeldOutLoss,
  heun,
  Linear,
  logLikelihood,
  noise,
  oneCycleSchedule,
  plateauSchedule,
  prdc,
  progressAt,
  randomInitialiser,
  roundTrip,
  sample,
  Sampler,
  solveFlow,
  solverStep,
  TimeEmbedding,
  Trainer,
  trajectory,
  uniformTimes,
} from "../../models/mod.ts";
import { full, type Tensor, tensor, zeros } from "../../kernels/mod.ts";
import { assertRefuses, type Counting, notCounts } from "../refusing.ts";
import { assertClose, testOnCpu } from "../testing.ts";
import { nearest, rejectUnknown, unknownName } from "../../models/names.ts";

const field = { velocity: (x: ReturnType<typeof zeros>) => x };
const made = randomInitialiser(1);
const data = () => zeros([4, 1, 4, 4]);
const model = (filters = [2, 4]) => createModel({ type: "UNet_FM", filters, tEmb: 4 }, 46020);
const options = { batchSize: 2, seed: 1, learningRate: 0.1 };
const start = { count: 2, shape: [1, 4, 4], seed: 1, steps: 2 };
const x = () => zeros([2, 3]), t = () => zeros([2]);
const sde = { solver: "sde", steps: 1 } as const;
const withZero = [...notCounts, 0];
const seeds = [1.5, NaN, -2, Infinity, 2 ** 32];

/** Calls of public functions with a count, by argument name. */
const counting: Record<string, readonly [Counting, readonly number[]]> = {
  "noise() seed": [(n) => noise(n, [1, 2]), seeds],
  "noise() shape": [(n) => noise(1, [n, 2]), notCounts],
  "sample() count": [(n) => sample(field, { ...start, count: n }), withZero],
  "sample() shape": [(n) => sample(field, { ...start, shape: [n] }), notCounts],
  "sample() seed": [(n) => sample(field, { ...start, seed: n }), seeds],
  "sample() steps": [(n) => sample(field, { ...start, steps: n }), withZero],
  "sample() batch": [(n) => sample(field, { ...start, batch: n }), withZero],
  "sample() times": [
    (n) => sample(field, { count: 1, shape: [1], seed: 1, times: [0, n] }),
    [NaN, -1, Infinity, 2],
  ],
  "Sampler() shape": [(n) => new Sampler(field, [n, 2], { steps: 1 }), withZero],
  "Sampler.plan() shape": [(n) => Sampler.plan(field, [n, 2], { steps: 1 }), withZero],
  "Sampler.trajectory() first": [
    (n) => new Sampler(field, [2, 3], { steps: 2 }).trajectory(x(), { first: n }),
    [...notCounts, 2],
  ],
  "Sampler.trajectory() ahead": [
    (n) => new Sampler(field, [2, 3], { steps: 2 }).trajectory(x(), { ahead: n }),
    withZero,
  ],
  "AdaptiveSampler() shape": [(n) => new AdaptiveSampler(field, [n, 2]), withZero],
  "AdaptiveSampler() maxEvaluations": [
    (n) => new AdaptiveSampler(field, [2, 2], { maxEvaluations: n }),
    withZero,
  ],
  "Sampler() seed": [(n) => new Sampler(field, [2, 2], { ...sde, seed: n }), seeds],
  "Sampler.run() row": [(n) => new Sampler(field, [2, 3], sde).run(x(), { row: n }), notCounts],
  "solveFlow() batch": [(n) => solveFlow(field, x(), { batch: n }), withZero],
  "solveFlow() steps": [(n) => solveFlow(field, x(), { steps: n }), withZero],
  "gridTimes() steps": [(n) => gridTimes(n, "quadratic"), withZero],
  "trajectory() count": [(n) => trajectory(field, { ...start, count: n }), withZero],
  "solverStep() dt": [(n) => solverStep(heun, field, x(), t(), n), [NaN, Infinity]],
  "uniformTimes() steps": [(n) => uniformTimes(n), withZero],
  "defineTableau() order": [(n) => defineTableau({ order: n, a: [[]], b: [1], c: [0] }), withZero],
  "defineTableau() weights": [(n) => defineTableau({ order: 1, a: [[]], b: [n], c: [0] }), [NaN, 0.5]],
  "progressAt() step": [(n) => progressAt(n, 3), notCounts],
  "progressAt() steps": [(n) => progressAt(1, n), notCounts],
  "plateau() patience": [(n) => plateauSchedule(0.1, { patience: n }), notCounts],
  "plateau() cooldown": [(n) => plateauSchedule(0.1, { cooldown: n }), notCounts],
  "BatchOrder() batchSize": [(n) => new BatchOrder(Uint32Array.of(0, 1), n, 1), withZero],
  "BatchOrder() seed": [(n) => new BatchOrder(Uint32Array.of(0, 1), 1, n), seeds],
  "BatchOrder.batch() step": [(n) => new BatchOrder(Uint32Array.of(0, 1), 1, 1).batch(n), notCounts],
  "HeldOutLoss() batchSize": [
    (n) => new HeldOutLoss(field, batchSource(data()), { ...options, batchSize: n }),
    withZero,
  ],
  "HeldOutLoss() seed": [(n) => new HeldOutLoss(field, batchSource(data()), { ...options, seed: n }), seeds],
  "Trainer() batchSize": [
    (n) => new Trainer(model(), batchSource(data()), { ...options, batchSize: n }),
    withZero,
  ],
  "Trainer() seed": [(n) => new Trainer(model(), batchSource(data()), { ...options, seed: n }), seeds],
  "Trainer() ema": [(n) => new Trainer(model(), batchSource(data()), { ...options, ema: n }), [NaN, -0.1, 1]],
  "Trainer.plan() batchSize": [(n) => new Trainer(model(), batchSource(data()), options).plan(n), withZero],
  "fit() steps": [(n) => fit(model(), data(), { steps: n }), withZero],
  "fit() batchSize": [(n) => fit(model(), data(), { steps: 1, batchSize: n }), withZero],
  "fit() seed": [(n) => fit(model(), data(), { steps: 1, seed: n }), seeds],
  "Linear() inputs": [(n) => new Linear(n, 2, made), withZero],
  "Linear() outputs": [(n) => new Linear(2, n, made), withZero],
  "Conv2d() inputs": [(n) => new Conv2d(n, 2, 3, made), withZero],
  "Conv2d() outputs": [(n) => new Conv2d(2, n, 3, made), withZero],
  "Conv2d() kernel": [(n) => new Conv2d(2, 2, n as 1, made), [...withZero, 2]],
  "ConvTranspose2d() outputs": [(n) => new ConvTranspose2d(2, n, made), withZero],
  "GroupNorm() groups": [(n) => new GroupNorm(n, 4, made), [...withZero, 0.5]],
  "GroupNorm() channels": [(n) => new GroupNorm(1, n, made), withZero],
  "Attention() channels": [(n) => new Attention(n, 1, made), withZero],
  "TimeEmbedding() tEmb": [(n) => new TimeEmbedding({ tEmb: n }, made), withZero],
  "createModel() filters": [(n) => model([2, n]), withZero],
  "createModel() seed": [(n) => createModel({ type: "UNet_FM", filters: [2], tEmb: 4 }, n), seeds],
  "countParameters() tEmb": [(n) => countParameters({ type: "UNet_FM", filters: [2], tEmb: n }), withZero],
  "randomInitialiser() seed": [(n) => randomInitialiser(n), seeds],
  "Initialiser.uniform() shape": [(n) => made.uniform([n, 2], 1), notCounts],
};

testOnCpu("invalid counts are refused with a clear message", async (device) => {
  for (const [name, [call, values]] of Object.entries(counting)) await assertRefuses(name, call, values);
  assert.ok(Number.isFinite(device.allocatedBytes), `allocatedBytes is ${device.allocatedBytes}`);
  assertClose(await full([2], 3).read(), [3, 3], 0);
});

testOnCpu("empty data and empty batches are refused with a clear message", () => {
  const none = zeros([0, 1, 4, 4]);
  for (
    const call of [
      () => sample(field, { x0: none, steps: 1 }),
      () => trajectory(field, { x0: none, steps: 1 }),
      () => new Sampler(field, [], { steps: 1 }),
      () => batchSource(none),
      () => new BatchOrder(new Uint32Array(0), 1, 1),
    ]
  ) assert.throws(call, /^(Shape|Range)Error: Cannot (sample a batch|use the data|order batches)/);
  assert.throws(
    () => batchSource({ x1: data(), condition: tensor([1, 2]) }),
    /^ShapeError: Cannot use the data: .*expected 4 rows/,
  );
});

const shape = [1, 1];
const points = { values: new Float32Array(9), rows: 9, width: 1 };

/** Calls with a misspelt option: the option, the right name, and what it belongs to. */
const calls: Record<string, readonly [call: (x: Tensor) => unknown, misspelt: string, meant: string]> = {
  "fit()": [
    (x) =>
      fit(
        createModel({ type: "UNet_FM", filters: [2], tEmb: 2 }, 1),
        x,
        untyped({ steps: 1, batch_size: 1 }),
      ),
    "batch_size",
    "batchSize",
  ],
  "sampling": [(x0) => sample(field, untyped({ x0, steps: 2, solvr: "heun" })), "solvr", "solver"],
  "sampling, too": [(x0) => trajectory(field, untyped({ x0, steps: 2, step: 2 })), "step", "steps"],
  "a sampler with adaptive steps": [
    () => new AdaptiveSampler(field, shape, untyped({ conditon: 1 })),
    "conditon",
    "condition",
  ],
  "a run": [(x) => new AdaptiveSampler(field, shape).solve(x, untyped({ frm: 0.5 })), "frm", "from"],
  "a trajectory": [
    (x) => new Sampler(field, shape, { steps: 2 }).trajectory(x, untyped({ frist: 1 })),
    "frist",
    "first",
  ],
  "a run, too": [
    (x) => new Sampler(field, shape, { steps: 2 }).run(x, untyped({ form: 1 })),
    "form",
    "from",
  ],
  "schedule constant": [() => constantSchedule(1, untyped({ warmUp: 0.5 })), "warmUp", "warmup"],
  "schedule cosine": [() => cosineSchedule(1, untyped({ finale: 0.5 })), "finale", "final"],
  "schedule one_cycle": [
    () => oneCycleSchedule(1, untyped({ startdivisor: 2 })),
    "startdivisor",
    "startDivisor",
  ],
  "schedule plateau": [() => plateauSchedule(1, untyped({ patient: 2 })), "patient", "patience"],
  "prdc()": [
    () => prdc(points, points, untyped({ resample: 2 })),
    "resample",
    "resamples",
  ],
  "a sampler without noise": [() => new Sampler(field, shape, untyped({ gird: "uniform" })), "gird", "grid"],
  "a sampler with noise": [
    () => new Sampler(field, shape, untyped({ solver: "sde", nois: 1 })),
    "nois",
    "noise",
  ],
  "solveFlow()": [(x) => solveFlow(field, x, untyped({ form: 1 })), "form", "from"],
  "logLikelihood()": [(x) => logLikelihood(field, x, untyped({ rTol: 1e-3 })), "rTol", "rtol"],
  "guided()": [() => guided(field, untyped({ scale: 2, none: 1, zerostar: true })), "zerostar", "zeroStar"],
  "flowGeometry()": [(x) => flowGeometry(field, x, untyped({ steps: 2, solve: "heun" })), "solve", "solver"],
  "roundTrip()": [(x) => roundTrip(field, x, untyped({ steps: 2, batches: 2 })), "batches", "batch"],
};

/** Hides options from the type checker. */
function untyped(given: object) {
  return given as never;
}

testOnCpu("unknown options are refused, with a suggestion", async () => {
  for (const [of, [call, misspelt, meant]] of Object.entries(calls)) {
    const whose = of.split(",")[0].replace("()", "\\(\\)");
    await assert.rejects(async () => await call(tensor([1], shape)), {
      name: "TypeError",
      message: new RegExp(`^Unknown setting "${misspelt}" of ${whose}: .*"${meant}"`),
    });
  }
});

testOnCpu("options that a solver does not use are refused", async () => {
  const sets: [given: object, refused: string][] = [
    [{ solver: "heun", noise: 1 }, "noise"],
    [{ solver: "heun", maxEvaluations: 9 }, "maxEvaluations"],
    [{ rtol: 1e-3, steps: 5 }, "steps"],
    [{ rtol: 1e-3, noise: 1 }, "noise"],
    [{ solver: "sde", maxEvaluations: 9 }, "maxEvaluations"],
  ];
  for (const [given, refused] of sets) {
    await assert.rejects(() => solveFlow(field, tensor([1], shape), given), {
      name: "TypeError",
      message: new RegExp(`^Unknown setting "${refused}" of a sampler with`),
    });
  }
});

Deno.test("nearest() finds misspelt names in upper and lower case, and ignores unrelated ones", () => {
  assert.equal(nearest("AdamW", ["sgd", "adam", "adamw"]), "adamw");
  assert.equal(nearest("unet_fm", ["UNet_FM", "UNet_FM_Residuals"]), "UNet_FM");
  assert.equal(nearest("warmup", ["lr", "warm-up"]), "warm-up");
  assert.equal(nearest("dropout", ["lr", "warm-up"]), undefined);
  assert.equal(nearest("lr", []), undefined);
});

Deno.test("unknownName() suggests a name only if one is similar", () => {
  assert.equal(
    unknownName("solver", "huen", ["euler", "heun"]),
    'Unknown solver "huen": did you mean "heun"? (known: euler, heun)',
  );
  assert.equal(
    unknownName("solver", "dopri", ["euler", "heun"]),
    'Unknown solver "dopri" (known: euler, heun)',
  );
});

Deno.test("rejectUnknown() says what the setting belongs to", () => {
  rejectUnknown({ lr: 1 }, ["lr", "beta"], "a run");
  assert.throws(() => rejectUnknown({ lr: 1, betta: 2 }, ["lr", "beta"], "a run"), {
    name: "TypeError",
    message: 'Unknown setting "betta" of a run: did you mean "beta"? (known: lr, beta)',
  });
});
