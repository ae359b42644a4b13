import type { FixedSteps } from "../settings/solver.ts";
import { full, randomNormal, type Tensor, tensor } from "../../kernels/mod.ts";
import {
  fromPixels,
  type Model,
  noise,
  type Normalization,
  objectiveFor,
  optionsOf,
  sample,
  type SolvedFlow,
  solveFlow,
  SolverError,
  type SolverOptions,
  streams,
  toPixels,
} from "../../models/mod.ts";
import type { ImageSize } from "../../viz/mod.ts";
import { RunError } from "../run/atomic_write.ts";
import { pause } from "../../models/pause.ts";
import { type Autoguidance, conditionedField, type Conditioning, samplingField } from "./conditioning.ts";

/** Most images to work on at once where progress is shown. */
const batch = 64;

/** A network to draw from, and what its images are. */
export interface Drawable {
  readonly model: Model;
  readonly normalization: Normalization;
  /** [C, H, W] of an image. */
  readonly shape: ImageSize;
  /** Guides samples without classes. Trajectories are followed without it. */
  readonly autoguidance?: Autoguidance | undefined;
}

/** How samples are drawn. */
export interface Drawing extends FixedSteps {
  /** Number of samples. */
  readonly count: number;
  /** Seed of the noise: sample n starts from the same noise in every model, however many samples there are. */
  readonly seed: number;
  /** The classes of the samples; without, a network draws as if there were none. */
  readonly conditioning?: Conditioning | undefined;
  /** Columns of a grid of them; by default nearly square. */
  readonly columns?: number;
}

/** A network that draws the images of a source. */
export function drawableOf(model: Model, { normalization, shape }: Omit<Drawable, "model">): Drawable {
  return { model, normalization, shape };
}

/**
 * Draws samples as pixels: 0 black, 1 white, not clipped.
 *
 * @returns f32[count, C, H, W] on the host
 * @throws {RunError} if a value is not finite
 */
export async function drawSamples(
  drawable: Drawable,
  { conditioning, columns: _, ...drawing }: Drawing,
): Promise<Float32Array> {
  const { normalization, shape } = drawable;
  const { field, ...condition } = samplingField(drawable, conditioning);
  const x1 = sample(field, { ...drawing, shape, ...condition });
  return finiteImages("draw samples", toPixels(await x1.read(), normalization));
}

/** Samples in pixels, and what they cost. */
export interface DrawnSamples extends Omit<SolvedFlow, "samples"> {
  /** f32[count, C, H, W]: 0 black, 1 white, not clipped. */
  readonly pixels: Float32Array;
}

/** Called with the number of samples done; a batch counts by its share of the time. */
export type OnSamples = (done: number) => void | Promise<void>;

/**
 * Draws samples by any solver and reports progress. With equal steps they are those of `drawSamples`, to the bit.
 *
 * @throws {RunError} if a value is not finite, or the solver cannot follow the network's path
 * @throws {SolverError} if an adaptive solver cannot go on
 */
export function drawSamplesInBatches(
  drawable: Drawable,
  { count, seed, conditioning }: Pick<Drawing, "count" | "seed" | "conditioning">,
  how: SolverOptions,
  onProgress: OnSamples,
): Promise<DrawnSamples> {
  return drawFromNoise(drawable, noise(seed, [count, ...drawable.shape]), conditioning, how, onProgress);
}

/**
 * Draws samples from given noise; otherwise like {@linkcode drawSamplesInBatches}.
 *
 * @param x0 noise, f32[N, C, H, W]
 */
export async function drawFromNoise(
  drawable: Drawable,
  x0: Tensor,
  conditioning: Conditioning | undefined,
  how: SolverOptions,
  onProgress: OnSamples,
): Promise<DrawnSamples> {
  const { path = "linear" } = optionsOf(drawable.model) ?? {};
  if (how.solver === "sde" && path !== "linear") {
    throw new RunError(
      `Cannot draw samples by ${how.solver}: the network is for the ${path} path (expected another solver)`,
    );
  }
  const { field, ...condition } = samplingField(drawable, conditioning);
  const { samples, ...cost } = await solveFlow(field, x0, {
    ...how,
    ...inBatches({ ...condition, onProgress }),
  });
  return { pixels: finiteImages("draw samples", toPixels(samples, drawable.normalization)), ...cost };
}

/** How images are mapped to noise. */
export interface ToNoise {
  /** Their classes, if the network takes any. */
  readonly conditioning: Conditioning | undefined;
  readonly how: SolverOptions;
  /**
   * The time in (0, 1] at which they enter the flow, as points of its path there, mixed with some noise. At 1 an image lies
   * on the edge of what the network knows: pixels that are black in all images could come from any noise, and get too little.
   */
  readonly entry: number;
  /** Of the noise mixed in. */
  readonly seed: number;
}

/**
 * Maps images back to the noise that they come from.
 *
 * @param pixels of N images, f32[N, C, H, W]: 0 black, 1 white
 * @returns the noise, f32[N, C, H, W], and what it cost to find it
 * @throws {RunError} if a value is not finite
 * @throws {SolverError} if an adaptive solver cannot go on
 * @throws {TypeError} if the solver is stochastic
 */
export async function noiseOfImages(
  { model, normalization, shape: [C, H, W] }: Drawable,
  pixels: Float32Array,
  { conditioning, how, entry, seed }: ToNoise,
  onProgress: OnSamples,
): Promise<{ readonly noise: Float32Array } & Omit<SolvedFlow, "samples">> {
  const { field, ...condition } = conditionedField(model, conditioning);
  const N = pixels.length / (C * H * W);
  const x1 = tensor(fromPixels(pixels, normalization), [N, C, H, W]);
  const x0 = randomNormal(tensor(Uint32Array.of(seed, streams.entries, 0)), x1.shape);
  const { xt } = objectiveFor(model).path.at(x0, x1, full([N], entry));
  const { samples, ...cost } = await solveFlow(field, entry === 1 ? x1 : xt, {
    ...how,
    ...inBatches({ ...condition, onProgress }),
    from: entry,
    to: 0,
  });
  return { noise: finiteImages("lead images back to noise", samples), ...cost };
}

/** Options for batches that report progress and let signals through. */
function inBatches(options: { readonly condition?: Tensor; readonly onProgress: OnSamples }) {
  return {
    ...options,
    batch,
    async onProgress(done: number) {
      await options.onProgress(done);
      await pause();
    },
  };
}

/**
 * Checks what a network has drawn before it is kept or shown.
 *
 * @param task what cannot be done otherwise, for the error
 * @returns the values
 * @throws {RunError} if a value is not finite
 */
export function finiteImages(task: string, values: Float32Array): Float32Array {
  const bad = values.find((value) => !Number.isFinite(value));
  if (bad === undefined) return values;
  throw new RunError(
    `Cannot ${task}: the network gives ${bad} (expected finite numbers); its weights are damaged or have ` +
      "diverged: use other weights, or train with a smaller --lr or --clip 1",
  );
}

/**
 * Adds to an error of sampling which file is damaged, or which flags limit an adaptive solver.
 *
 * @param error any other error is returned as it is
 * @param source name of the network's file
 */
export function solvingError(error: unknown, source: string): unknown {
  if (error instanceof RunError) return new RunError(`${error.message} (${source})`);
  if (!(error instanceof SolverError)) return error;
  return new RunError(`${error.message} (--solver; nothing is written)`);
}

/** What samples cost, in words: `40 evaluations each`, or how many steps were accepted and rejected. */
export function costInWords({ evaluations, batches, steps }: Omit<SolvedFlow, "samples">): string {
  const plural = evaluations === 1 ? "evaluation" : "evaluations";
  if (!steps) return `${Number(evaluations.toFixed(1))} ${plural} each`;
  const [least, most] = [Math.min(...batches), Math.max(...batches)];
  const counted = (wanted: boolean) => {
    const counts = steps.map((own) => own.filter(({ accepted }) => accepted === wanted).length);
    const [least, most] = [counts.reduce((a, b) => Math.min(a, b)), counts.reduce((a, b) => Math.max(a, b))];
    const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
    return `${mean.toFixed(1)} (${least} to ${most})`;
  };
  return `${least === most ? least : `${least} to ${most}`} evaluations of each batch, ` +
    `steps of a sample: ${counted(true)} accepted, ${counted(false)} rejected`;
}
