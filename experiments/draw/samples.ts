import {
  flowSolverOf,
  linearPath,
  type Model,
  noise,
  type Normalization,
  NotFiniteError,
  type Snapshot,
  snapshotToPixels,
  type SolvedFlow,
  SolverError,
  type SolverOptions,
  toPixels,
  type VelocityField,
} from "../../models/mod.ts";
import { startCommand } from "../run/program_files.ts";
import { ConfigError } from "../cli/settings.ts";
import { type ChosenSolver, type FixedSteps, solverWith } from "../cli/solver.ts";
import type { ImageSize } from "../../viz/mod.ts";
import { maxPixels } from "../../viz/check.ts";
import { costOf, type SolvedBatch, solveInBatches } from "../../models/solve/sample.ts";
import { RunError } from "../run/run_folder.ts";
import { yieldToEvents } from "../../kernels/devices/device.ts";
import { type Autoguidance, type Conditioning, samplingField } from "./conditioning.ts";

/** Whether a network is a flow map, such as `deno task distill` trains. */
export function isFlowMap(field: VelocityField): boolean {
  return field.meanVelocity !== undefined;
}

/** The default solver of a network's samples: one step of a flow map, 20 of Heun's method otherwise. */
export function usualSolver(field: VelocityField): ChosenSolver {
  return isFlowMap(field) ? solverWith("map", 1) : solverWith("heun", 20);
}

/**
 * Checks that a solver suits a network.
 *
 * @param source name of the network's file, for errors
 * @param guidance the scale of guidance by class, 1 for none
 */
export function checkSolver(
  field: VelocityField,
  { solver }: SolverOptions,
  source: string,
  guidance = 1,
): void {
  const { needsMap, addsNoise } = flowSolverOf(solver);
  if (needsMap && !isFlowMap(field)) {
    throw new ConfigError(
      `Cannot use --solver ${solver} with ${source}: its network is not a flow map ` +
        `(expected a distilled one, see ${startCommand("distill")}, or another solver)`,
    );
  }
  if (addsNoise && (field.path ?? linearPath) !== linearPath) {
    throw new ConfigError(
      `Cannot use --solver ${solver} with ${source}: its network was trained on another path than linear ` +
        "(expected another solver)",
    );
  }
  const { maxGuidance } = field;
  if (maxGuidance !== undefined) {
    if (guidance >= 1 && guidance <= maxGuidance) return;
    throw new ConfigError(
      `Cannot use --guidance ${guidance} with ${source}: its network has learned guidance from 1 to ${maxGuidance}`,
    );
  }
  if (needsMap && guidance !== 1) {
    throw new ConfigError(
      `Cannot use --guidance ${guidance} with --solver ${solver}: the network has learned its guidance (leave it out)`,
    );
  }
}

/** Largest batch. */
const batch = 64;

/** A network to draw from, and the format of its images. */
export interface Drawable {
  readonly model: Model;
  readonly normalization: Normalization;
  /** [C, H, W] of an image. */
  readonly shape: ImageSize;
  /** Guidance of samples without classes; trajectories do not use it. */
  readonly autoguidance?: Autoguidance | undefined;
}

/** Which samples to draw. */
export interface SampleRequest {
  /** Number of samples. */
  readonly count: number;
  /** Seed of the noise: sample n starts from the same noise in every model, whatever the number of samples. */
  readonly seed: number;
  /** Classes of the samples, if any. */
  readonly conditioning?: Conditioning | undefined;
  /** Columns of the grid; by default nearly square. */
  readonly columns?: number;
}

/** Samples to draw with fixed steps, as in runs. */
export interface Drawing extends SampleRequest, FixedSteps {}

/** A network that draws images in the format of a source. */
export function drawableOf(model: Model, { normalization, shape }: Omit<Drawable, "model">): Drawable {
  return { model, normalization, shape };
}

/** Width of an image pixel in a grid, and gap between images, in pixels of the picture. */
export const gridLook = { scale: 3, gap: 2 } as const;

/** Checks, before images are drawn, that they fit in one grid. */
export function checkGrid(count: number, [C, H, W]: ImageSize): void {
  if (C !== 1 && C !== 3) {
    throw new RunError(
      `Cannot draw images of ${C} channels as a picture (expected 1 or 3, or a file that ends with .npy)`,
    );
  }
  const cell = (gridLook.scale * H + gridLook.gap) * (gridLook.scale * W + gridLook.gap);
  const most = Math.floor(maxPixels / cell);
  if (count <= most) return;
  throw new RunError(
    most === 0
      ? `Cannot draw images of ${H} x ${W} as a picture: they are too large (expected a file that ends with .npy)`
      : `Cannot draw ${count} images of ${H} x ${W} in one grid (expected at most ${most}, or a file that ends with .npy)`,
  );
}

/** Called with the number of samples done; a batch in progress counts in part. */
export type OnSamples = (done: number) => void | Promise<void>;

/**
 * Draws samples from the noise of a seed, which stochastic steps use, too.
 *
 * @returns their pixels f32[count, C, H, W], 0 black, 1 white, not clipped, and their cost
 */
export async function drawSamples(
  drawable: Drawable,
  request: SampleRequest & SolverOptions,
  onProgress: OnSamples = () => {},
) {
  const size = drawable.shape.reduce((product, axis) => product * axis);
  const pixels = new Float32Array(request.count * size);
  const batches = await Array.fromAsync(drawBatches(drawable, request, onProgress), (batch) => {
    const { samples, ...cost } = batch;
    pixels.set(samples, cost.first * size);
    return cost;
  });
  return { pixels, ...costOf(batches) };
}

/** Draws as {@linkcode drawSamples}, and yields each batch with its `samples` as pixels, so that none is kept. */
export async function* drawBatches(
  drawable: Drawable,
  { count, seed, conditioning, columns: _, ...how }: SampleRequest & SolverOptions,
  report: OnSamples,
): AsyncGenerator<SolvedBatch, void, void> {
  const { field, ...condition } = samplingField(drawable, conditioning);
  const options = {
    ...how,
    ...flowSolverOf(how.solver).addsNoise && { seed },
    ...condition,
    batch,
    async onProgress(done: number) {
      await report(done);
      await yieldToEvents(); // lets signals in
    },
  };
  const x0 = noise(seed, [count, ...drawable.shape]);
  try {
    for await (const { samples, ...cost } of solveInBatches(field, x0, options)) {
      yield { samples: finiteImages("draw samples", toPixels(samples, drawable.normalization)), ...cost };
    }
  } catch (error) {
    throw error instanceof NotFiniteError ? notFinite("draw samples", error.value) : error;
  }
}

/**
 * Checks that drawn values are finite before they are stored or shown.
 *
 * @param task the task that would fail, for the error
 * @returns the values
 */
export function finiteImages(task: string, values: Float32Array): Float32Array {
  const bad = values.find((value) => !Number.isFinite(value));
  if (bad === undefined) return values;
  throw notFinite(task, bad);
}

function notFinite(task: string, value: number): RunError {
  return new RunError(
    `Cannot ${task}: the network gives ${value} (expected finite numbers); its weights are damaged or have ` +
      "diverged: use other weights, or train with a smaller --lr or --clip 1",
  );
}

/** A snapshot in pixels, if it is finite. */
export function finiteSnapshot(snapshot: Snapshot, normalization: Normalization): Snapshot {
  const pixels = snapshotToPixels(snapshot, normalization);
  for (const values of [pixels.image, pixels.velocity]) if (values) finiteImages("follow samples", values);
  return pixels;
}

/**
 * Completes an error of sampling: names the damaged file, or the flags that limit an adaptive solver.
 *
 * @param error returned unchanged if it is another error
 * @param source name of the network's file
 */
export function solvingError(error: unknown, source: string): unknown {
  if (error instanceof RunError) return new RunError(`${error.message} (${source})`);
  if (!(error instanceof SolverError)) return error;
  return new RunError(`${error.message} (--solver; nothing is written)`);
}

/** Cost of samples as text: `40 evaluations each`, or how many steps were accepted and rejected. */
export function formatCost({ evaluations, batches, steps }: Omit<SolvedFlow, "samples">): string {
  if (!steps) return `${Number(evaluations.toFixed(1))} evaluation${evaluations === 1 ? "" : "s"} each`;
  const [least, most] = [Math.min(...batches), Math.max(...batches)];
  const counted = (isAccepted: boolean) => {
    const counts = steps.map((own) => own.filter(({ accepted }) => accepted === isAccepted).length)
      .sort((a, b) => a - b);
    const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
    return `${mean.toFixed(1)} (${counts[0]} to ${counts.at(-1)})`;
  };
  return `${least === most ? least : `${least} to ${most}`} evaluations of each batch, ` +
    `steps of a sample: ${counted(true)} accepted, ${counted(false)} rejected`;
}
