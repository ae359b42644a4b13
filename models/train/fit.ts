import {
  gatherRows,
  gradients,
  put,
  randomNormal,
  randomUniform,
  record,
  reshape,
  type Tensor,
  tensor,
  zeros,
} from "../../kernels/mod.ts";
import { BatchOrder } from "./batches.ts";
import { flowMatchingLoss, type VelocityField } from "../flow/flow.ts";
import { type Module, namedParameters } from "../nn/module.ts";
import { optimizer } from "./optimizer.ts";
import { flatten } from "./parameters.ts";
import type { Schedule } from "./schedule.ts";
import { streams } from "../streams.ts";
import type { OptimizerKind } from "./update_rules.ts";

/** How `fit` trains. */
export interface FitOptions {
  /** Steps of the optimizer. */
  readonly steps: number;
  /** Examples a step; by default 256, or all if there are fewer. */
  readonly batchSize?: number;
  /** By default 0.001 throughout. */
  readonly learningRate?: number | Schedule;
  /** By default `adamw`. */
  readonly optimizer?: OptimizerKind;
  /** Of batches, noise and times: integer in [0, 2^32), by default 46020. The weights are as the model has them. */
  readonly seed?: number;
  /** Ends training early; the model keeps what it has learnt. */
  readonly signal?: AbortSignal;
  /** Hears some ten times a second how far training is. */
  readonly onProgress?: (progress: FitProgress) => void;
}

/** How far `fit` is. */
export interface FitProgress {
  /** Steps taken. */
  readonly step: number;
  /** Steps to take. */
  readonly steps: number;
  /** Loss of each step so far. */
  readonly losses: Float32Array;
}

/** Training cannot go on, or not begin. */
export class FitError extends Error {
  /** Told from other errors by this name. */
  override name = "FitError";
}

/** Milliseconds of steps after which others have their turn: a signal, a page, a progress bar. */
const BURST_MS = 100;

/**
 * Trains a velocity field by flow matching, on the device in use. Noise is standard normal, times are uniform in [0, 1).
 *
 * @param model its parameters are updated in place
 * @param x1 data, f32[M, ...]
 * @returns the loss of each step taken
 * @throws {FitError} if the loss stops being a number, or an option makes no sense
 * @throws {ShapeError} if the velocity has not the shape of the data
 *
 * ```ts
 * import { init, tensor } from "../../kernels/mod.ts";
 * import { createModel, fit } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 46020);
 * const x1 = tensor(new Float32Array(3 * 16), [3, 1, 4, 4]);
 * const losses = await fit(model, x1, { steps: 2, batchSize: 2 });
 * console.log(losses.length); // 2
 * ```
 * Source: Lipman et al. 2023, arXiv:2210.02747
 */
export async function fit(
  model: Module & VelocityField,
  x1: Tensor,
  { steps, seed = 46020, signal, onProgress, ...options }: FitOptions,
): Promise<Float32Array> {
  const [M, ...shape] = x1.shape;
  const { batchSize = Math.min(M, 256), learningRate = 1e-3, optimizer: kind = "adamw" } = options;
  checkCount("steps", steps, 2 ** 24);
  checkCount("batchSize", batchSize, M);
  const parameters = namedParameters(model);
  if (parameters.size === 0) throw new FitError("Cannot train a model without parameters");
  const schedule = typeof learningRate === "number" ? { learningRate: () => learningRate } : learningRate;
  const rule = optimizer(kind, flatten(parameters), { learningRate: schedule.learningRate(0) });
  const order = new BatchOrder(Uint32Array.from({ length: M }, (_, i) => i), batchSize, seed);
  const indices = tensor(new Uint32Array(batchSize));
  const [noiseKey, timeKey] = [tensor(new Uint32Array(3)), tensor(new Uint32Array(3))];
  const losses = zeros([steps]);
  const place = tensor(new Uint32Array(1));
  const table = reshape(x1, [M, x1.size / M]);
  const recorded = record(() => {
    const batch = reshape(gatherRows(table, indices), [batchSize, ...shape]);
    const x0 = randomNormal(noiseKey, batch.shape);
    const loss = flowMatchingLoss(model, x0, batch, randomUniform(timeKey, [batchSize]));
    rule.update(gradients(loss, [...parameters.values()]));
    put(losses, reshape(loss, [1]), place);
  });

  let step = 0;
  let burst = 1;
  let soFar = new Float32Array(0);
  while (step < steps && !signal?.aborted) {
    const started = performance.now();
    for (const end = Math.min(step + burst, steps); step < end; step++) {
      indices.write(order.batch(step));
      noiseKey.write(Uint32Array.of(seed, streams.noise, step));
      timeKey.write(Uint32Array.of(seed, streams.time, step));
      place.write(Uint32Array.of(step));
      rule.beforeStep(schedule.learningRate(step / steps));
      recorded.run();
    }
    soFar = (await losses.read()).subarray(0, step); // waits until the device has done them
    const wanted = burst * BURST_MS / (performance.now() - started);
    burst = Math.max(1, Math.min(2 * burst, Math.floor(wanted)));
    const bad = soFar.findIndex((loss) => !Number.isFinite(loss));
    if (bad >= 0) {
      throw new FitError(
        `Training failed in step ${bad + 1}: its loss is ${soFar[bad]} (expected a number); ` +
          `use a smaller learning rate, and check that the data is finite`,
      );
    }
    onProgress?.({ step, steps, losses: soFar });
    await new Promise((resolve) => setTimeout(resolve)); // signals and timers have their turn
  }
  return soFar.slice();
}

function checkCount(name: string, count: number, most: number): void {
  if (Number.isInteger(count) && count >= 1 && count <= most) return;
  throw new FitError(`Cannot train: ${name} is ${count} (expected an integer from 1 to ${most})`);
}
