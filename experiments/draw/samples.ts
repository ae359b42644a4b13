import { full, randomNormal, type Tensor, tensor } from "../../kernels/mod.ts";
import {
  type FlowSolver,
  fromPixels,
  noise,
  sample,
  type SolvedFlow,
  solveFlow,
  toPixels,
} from "../../models/mod.ts";
import { objectiveFor, optionsOf } from "../../models/nets/networks.ts";
import { streams } from "../../models/random.ts";
import { yieldToSignals } from "../terminal/yield_to_signals.ts";
import { RunError } from "../run/atomic_write.ts";
import { type Asked, fieldOf, samplingFieldOf } from "./asked.ts";
import type { Drawable, Drawing } from "./drawable.ts";
import { finiteImages } from "./finite_images.ts";

/** Most images to work on at once where progress is shown. */
const batch = 64;

/**
 * Draws samples as pixels: 0 black, 1 white, not clipped.
 *
 * @returns f32[count, C, H, W] on the host
 * @throws {RunError} if a value is not finite
 */
export function drawSamples(
  drawable: Drawable,
  { count, seed, steps, solver, asked }: Drawing,
): Promise<Float32Array> {
  const { normalization, shape } = drawable;
  const { field, ...condition } = samplingFieldOf(drawable, asked);
  const x1 = sample(field, { count, seed, steps, solver, shape, ...condition });
  return x1.read().then((values) => finiteImages("draw samples", toPixels(values, normalization)));
}

/** Samples in pixels, and what they cost. */
export interface DrawnSamples extends Omit<SolvedFlow, "samples"> {
  /** f32[count, C, H, W]: 0 black, 1 white, not clipped. */
  readonly pixels: Float32Array;
}

/** Called with the number of samples done; a batch counts by its share of the time. */
export type OnSamples = (done: number) => void | Promise<void>;

/**
 * Draws samples by any solver, and tells how far it is. Those by fixed steps are those of `drawSamples`, to the bit.
 *
 * @throws {RunError} if a value is not finite, or the network's path is not one that the solver can follow
 * @throws {SolverError} if an adaptive solver cannot go on
 */
export function drawSamplesInBatches(
  drawable: Drawable,
  { count, seed, asked }: Pick<Drawing, "count" | "seed" | "asked">,
  how: FlowSolver,
  onProgress: OnSamples,
): Promise<DrawnSamples> {
  return drawFromNoise(drawable, noise(seed, [count, ...drawable.shape]), asked, how, onProgress);
}

/**
 * Draws samples from given noise; otherwise like `drawSamplesInBatches`.
 *
 * @param x0 noise, f32[N, C, H, W]
 */
export async function drawFromNoise(
  drawable: Drawable,
  x0: Tensor,
  asked: Asked | undefined,
  how: FlowSolver,
  onProgress: OnSamples,
): Promise<DrawnSamples> {
  const { path = "linear" } = optionsOf(drawable.model) ?? {};
  if (how.method === "stochastic" && path !== "linear") {
    throw new RunError(
      `Cannot draw samples by ${how.solver}: the network is for the ${path} path (expected another solver)`,
    );
  }
  const { field, ...condition } = samplingFieldOf(drawable, asked);
  const { samples, ...cost } = await solveFlow(field, x0, how, inBatches({ ...condition, onProgress }));
  return { pixels: finiteImages("draw samples", toPixels(samples, drawable.normalization)), ...cost };
}

/** Noise that images come from, and what it cost to find it. */
export interface FoundNoise extends Omit<SolvedFlow, "samples"> {
  /** f32[N, C, H, W]. */
  readonly noise: Float32Array;
}

/** How images are led to noise. */
export interface ToNoise {
  /** Their classes, where the network is to know them. */
  readonly asked: Asked | undefined;
  readonly how: FlowSolver;
  /**
   * The time at which they enter the flow, in (0, 1]: as points of its path there, with some noise. At 1 an image is on
   * the edge of what the network knows: pixels that are black in all images could come from any noise, and get too little.
   */
  readonly entry: number;
  /** Of that noise. */
  readonly seed: number;
}

/**
 * Leads images back to the noise that they come from.
 *
 * @param pixels of N images, f32[N, C, H, W]: 0 black, 1 white
 * @throws {RunError} if a value is not finite
 * @throws {SolverError} if an adaptive solver cannot go on
 * @throws {TypeError} if the solver is stochastic
 */
export async function noiseOfImages(
  { model, normalization, shape }: Drawable,
  pixels: Float32Array,
  { asked, how, entry, seed }: ToNoise,
  onProgress: OnSamples,
): Promise<FoundNoise> {
  const { field, ...condition } = fieldOf(model, asked);
  const N = pixels.length / shape.reduce((product, length) => product * length, 1);
  const x1 = tensor(fromPixels(pixels, normalization), [N, ...shape]);
  const x0 = randomNormal(tensor(Uint32Array.of(seed, streams.entries, 0)), x1.shape);
  const { xt } = objectiveFor(model).path.at(x0, x1, full([N], entry));
  const { samples, ...cost } = await solveFlow(field, entry === 1 ? x1 : xt, how, {
    ...inBatches({ ...condition, onProgress }),
    back: true,
    start: entry,
  });
  return { noise: finiteImages("lead images back to noise", samples), ...cost };
}

/** Options for batches that tell of their progress and let signals through. */
function inBatches(options: { readonly condition?: Tensor; readonly onProgress: OnSamples }) {
  return {
    ...options,
    batch,
    async onProgress(done: number) {
      await options.onProgress(done);
      await yieldToSignals();
    },
  };
}
