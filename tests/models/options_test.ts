import assert from "node:assert/strict";
import { multiply, type Tensor, tensor } from "../../kernels/mod.ts";
import {
  AdaptiveSampler,
  constantSchedule,
  cosineSchedule,
  createModel,
  fit,
  flowGeometry,
  guided,
  Likelihood,
  oneCycleSchedule,
  plateauSchedule,
  prdc,
  roundTrip,
  sample,
  Sampler,
  solveFlow,
  StochasticSampler,
  trajectory,
} from "../../models/mod.ts";
import { testOnDevices } from "../testing.ts";

const field = { velocity: (x: Tensor) => multiply(x, 2) };
const shape = [1, 1];
const points = { values: new Float32Array(9), rows: 9, width: 1 };

/** Calls with a misspelt option, as code without types may have; it, what is meant, and whose it is. */
const calls: Record<string, readonly [call: (x: Tensor) => unknown, misspelt: string, meant: string]> = {
  "fit()": [
    (x) =>
      fit(
        createModel({ type: "UNet_FM", filters: [2], tEmb: 2 }, 1),
        x,
        options({ steps: 1, batch_size: 1 }),
      ),
    "batch_size",
    "batchSize",
  ],
  "sampling": [(x0) => sample(field, options({ x0, steps: 2, solvr: "heun" })), "solvr", "solver"],
  "sampling, too": [(x0) => trajectory(field, options({ x0, steps: 2, step: 2 })), "step", "steps"],
  "a sampler": [() => new Sampler(field, shape, options({ steps: 2, conditon: 1 })), "conditon", "condition"],
  "an adaptive sampler": [() => new AdaptiveSampler(field, shape, options({ rTol: 1e-3 })), "rTol", "rtol"],
  "a run": [(x) => new AdaptiveSampler(field, shape).run(x, options({ frm: 0.5 })), "frm", "from"],
  "a trajectory": [
    (x) => new Sampler(field, shape, { steps: 2 }).trajectory(x, options({ frist: 1 })),
    "frist",
    "first",
  ],
  "a run, too": [
    (x) => new StochasticSampler(field, shape, { steps: 2 }).run(x, options({ onProgess: () => {} })),
    "onProgess",
    "onProgress",
  ],
  "schedule constant": [() => constantSchedule(1, options({ warmUp: 0.5 })), "warmUp", "warmup"],
  "schedule cosine": [() => cosineSchedule(1, options({ finale: 0.5 })), "finale", "final"],
  "schedule one_cycle": [
    () => oneCycleSchedule(1, options({ startdivisor: 2 })),
    "startdivisor",
    "startDivisor",
  ],
  "schedule plateau": [() => plateauSchedule(1, options({ patient: 2 })), "patient", "patience"],
  "prdc()": [
    () => prdc(points, points, options({ resample: 2 })),
    "resample",
    "resamples",
  ],
  "a stochastic sampler": [
    () => new StochasticSampler(field, shape, options({ steps: 2, grids: "uniform" })),
    "grids",
    "grid",
  ],
  "solveFlow()": [
    (x) => solveFlow(field, x, { method: "fixed", solver: "euler", steps: 2 }, options({ bak: true })),
    "bak",
    "back",
  ],
  "the method fixed": [
    (x) => solveFlow(field, x, options({ method: "fixed", solver: "euler", steps: 2, time: [0, 1] })),
    "time",
    "times",
  ],
  "the method adaptive": [
    (x) => solveFlow(field, x, options({ method: "adaptive", solver: "dopri5", tol: 1e-3 })),
    "tol",
    "rtol",
  ],
  "the method stochastic": [
    (x) => solveFlow(field, x, options({ method: "stochastic", solver: "sde", steps: 2, noises: 1 })),
    "noises",
    "noise",
  ],
  "a likelihood": [() => new Likelihood(field, shape, options({ toleranc: 1e-3 })), "toleranc", "tolerance"],
  "guided()": [() => guided(field, options({ scale: 2, none: 1, zerostar: true })), "zerostar", "zeroStar"],
  "flowGeometry()": [(x) => flowGeometry(field, x, options({ steps: 2, solve: "heun" })), "solve", "solver"],
  "roundTrip()": [(x) => roundTrip(field, x, options({ steps: 2, batches: 2 })), "batches", "batch"],
};

/** Options that TypeScript does not check. */
function options(given: object) {
  return given as never;
}

for (const [of, [call, misspelt, meant]] of Object.entries(calls)) {
  testOnDevices(`options of ${of} that are unknown are refused`, async () => {
    await assert.rejects(async () => await call(tensor([1], shape)), {
      name: "TypeError",
      message: new RegExp(
        `^Unknown setting "${misspelt}" of ${of.split(",")[0].replace("()", "\\(\\)")}: .*"${meant}"`,
      ),
    });
  });
}

testOnDevices("solveFlow() refuses an unknown method", async () => {
  await assert.rejects(
    () => solveFlow(field, tensor([1], shape), options({ method: "adaptiv", solver: "dopri5", steps: 2 })),
    {
      name: "TypeError",
      message: 'Unknown method "adaptiv": did you mean "adaptive"? (known: fixed, adaptive, stochastic)',
    },
  );
});
