import type { Tensor } from "../../kernels/mod.ts";
import type { VelocityField } from "../flow/field.ts";
import type { Path } from "../flow/path.ts";
import { rejectUnknown, unknownName } from "../names.ts";
import { AdaptiveSampler } from "./adaptive_sampler.ts";
import { Batches, type SampleBatch } from "./batches.ts";
import type { FlowSolver } from "./flow_solvers.ts";
import { Sampler } from "./sampler.ts";
import type { TriedStep } from "./step_control.ts";
import { StochasticSampler } from "./stochastic_sampler.ts";
import { timesOf, timesOptions } from "./time_grids.ts";

/** Options of {@linkcode solveFlow}. */
export interface SolveFlowOptions {
  /** Largest batch; by default 256. */
  readonly batch?: number;
  /** Condition of the field, one row per sample. */
  readonly condition?: Tensor;
  /** Whether to go back, from data to noise; by default from noise to data. */
  readonly back?: boolean;
  /** The time at which samples that go back start, in (0, 1]; by default 1. Given times and grids shrink to it. */
  readonly start?: number;
  /** The path that the field was trained on, which a stochastic solver must know; see `StochasticOptions`. */
  readonly path?: Path;
  /** Called with the number of samples done; a batch counts by its share of the time. A promise is waited for. */
  readonly onProgress?: (done: number) => void | Promise<void>;
}

/** Samples, and what they cost. */
export interface SolvedFlow {
  /** f32[N, C, H, W] on the host. */
  readonly samples: Float32Array;
  /** Evaluations of the field that a sample takes part in: the mean over samples, where batches differ. */
  readonly evaluations: number;
  /** Evaluations of each batch. */
  readonly batches: readonly number[];
  /** The steps of each sample, where it chose them itself. */
  readonly steps?: readonly (readonly TriedStep[])[];
}

/** A batch at the end of its way. */
interface SolvedBatch {
  readonly x: Float32Array;
  readonly steps?: readonly (readonly TriedStep[])[];
}

/** Something that follows batches of one size. */
interface BatchSolver {
  /** The sampler, which counts its evaluations. */
  readonly sampler: { readonly evaluations: number };
  solve(batch: SampleBatch, onShare: (share: number) => void | Promise<void>): Promise<SolvedBatch>;
}

/**
 * Follows the flow of samples from noise to data or back, in batches, by any solver.
 *
 * ```ts
 * import { init } from "../../kernels/mod.ts";
 * import { createModel, noise, solveFlow } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 46020);
 * const x0 = noise(0, [3, 1, 4, 4]);
 * const how = { method: "adaptive", solver: "dopri5", rtol: 1e-3, atol: 1e-3, maxEvaluations: 500 } as const;
 * const { samples, evaluations } = await solveFlow(model, x0, how);
 * console.log(samples.length, evaluations);
 * ```
 *
 * @param x noise, or data if the flow goes back, f32[N, C, H, W]
 * @throws {SolverError} if an adaptive solver cannot go on
 * @throws {TypeError} if an option, the method or one of its settings is unknown, a stochastic solver is to go back, or the
 * path is not the linear one
 * @throws {RangeError} if the batch is not a positive integer, or the start is outside (0, 1] or given without `back`
 * @throws as the constructors of {@linkcode Sampler}, {@linkcode AdaptiveSampler} and {@linkcode StochasticSampler}
 */
export async function solveFlow(
  model: VelocityField,
  x: Tensor,
  how: FlowSolver,
  options: SolveFlowOptions = {},
): Promise<SolvedFlow> {
  rejectUnknown(options, ["batch", "condition", "back", "start", "path", "onProgress"], "solveFlow()");
  const { batch = 256, condition, back = false, start = 1, path, onProgress } = options;
  checkStart(start, back);
  checkMethod(how);
  const batches = new Batches(x, batch, condition);
  const { length } = batches;
  const solver = solverOf(batches.field(model), batches.shape, how, { back, start, ...path && { path } });
  const [N] = x.shape;
  const P = x.size / N;
  const samples = new Float32Array(x.size);
  const each: number[] = [];
  const steps: (readonly TriedStep[])[] = [];
  let evaluations = 0;
  for (const part of batches) {
    const { from, fresh } = part;
    const own = from + length - fresh;
    const before = solver.sampler.evaluations;
    const solved = await solver.solve(part, (share) => onProgress?.(Math.floor(fresh + own * share)));
    samples.set(solved.x, from * P);
    solved.steps?.forEach((all, n) => steps[from + n] = all);
    each.push(solver.sampler.evaluations - before);
    evaluations += each.at(-1)! * own / N;
  }
  return { samples, evaluations, batches: each, ...how.method === "adaptive" && { steps } };
}

/** The settings of each method besides its name. */
const settingsOf: Readonly<Record<FlowSolver["method"], readonly string[]>> = {
  fixed: ["solver", ...timesOptions],
  adaptive: ["solver", "rtol", "atol", "maxEvaluations"],
  stochastic: ["solver", "noise", "seed", ...timesOptions],
};

/** @throws {TypeError} if the method, or a setting of it, is unknown */
function checkMethod({ method, ...settings }: FlowSolver): void {
  if (!Object.hasOwn(settingsOf, method)) {
    throw new TypeError(unknownName("method", String(method), Object.keys(settingsOf)));
  }
  rejectUnknown(settings, settingsOf[method], `the method ${method}`);
}

function solverOf(
  field: VelocityField,
  shape: readonly number[],
  how: FlowSolver,
  { back, start, path }: { readonly back: boolean; readonly start: number; readonly path?: Path },
): BatchSolver {
  if (how.method === "adaptive") {
    const { method: _, ...control } = how;
    const span = back ? { from: start, to: 0 } : { from: 0, to: 1 };
    const sampler = new AdaptiveSampler(field, shape, { ...control, ...span });
    return {
      sampler,
      async solve({ x0 }, onProgress) {
        const { x, steps } = await sampler.run(x0, { onProgress });
        return { x: await x.read(), steps };
      },
    };
  }
  if (how.method === "stochastic") {
    if (back) throw new TypeError("Cannot go back by a stochastic solver (expected another solver)");
    const { method: _, solver: _name, ...noise } = how;
    const sampler = new StochasticSampler(field, shape, { ...noise, ...path && { path } });
    return {
      sampler,
      async solve({ x0, from }, onProgress) {
        return { x: await (await sampler.run(x0, { from, onProgress })).read() };
      },
    };
  }
  const times = timesOf(how);
  const sampler = new Sampler(field, shape, {
    solver: how.solver,
    times: back ? times.map((t) => start * t).toReversed() : times,
  });
  return {
    sampler,
    async solve({ x0 }, onProgress) {
      let done = 0;
      for await (const { image, velocity } of sampler.trajectory(x0)) {
        if (!velocity) return { x: image };
        await onProgress(++done / (times.length - 1));
      }
      throw new Error("Cannot reach the end of a flow: it has no last snapshot"); // a trajectory always has one
    },
  };
}

function checkStart(start: number, back: boolean): void {
  if (back ? start > 0 && start <= 1 : start === 1) return;
  throw new RangeError(
    `Cannot follow a flow from t = ${start} ${back ? "back to 0" : "to data"} ` +
      `(expected ${back ? "a time in (0, 1]" : "a start on a way back only"})`,
  );
}
