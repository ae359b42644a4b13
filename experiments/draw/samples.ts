import { type Tensor, tensor } from "../../kernels/mod.ts";
import {
  type FlowSolver,
  fromPixels,
  noise,
  sample,
  type SolvedFlow,
  solveFlow,
  toPixels,
} from "../../models/mod.ts";
import { optionsOf } from "../../models/nets/networks.ts";
import { yieldToSignals } from "../program/command.ts";
import { RunError } from "../run/atomic_write.ts";
import { type Asked, fieldOf } from "./asked.ts";
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
  { model, normalization, shape }: Drawable,
  { count, seed, steps, solver, asked }: Drawing,
): Promise<Float32Array> {
  const { field, ...condition } = fieldOf(model, asked);
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
  { model, normalization }: Drawable,
  x0: Tensor,
  asked: Asked | undefined,
  how: FlowSolver,
  onProgress: OnSamples,
): Promise<DrawnSamples> {
  const { path = "linear" } = optionsOf(model) ?? {};
  if (how.method === "stochastic" && path !== "linear") {
    throw new RunError(
      `Cannot draw samples by ${how.solver}: the network is for the ${path} path (expected another solver)`,
    );
  }
  const { field, ...condition } = fieldOf(model, asked);
  const { samples, ...cost } = await solveFlow(field, x0, how, inBatches({ ...condition, onProgress }));
  return { pixels: finiteImages("draw samples", toPixels(samples, normalization)), ...cost };
}

/** Noise that images come from, and what it cost to find it. */
export interface FoundNoise extends Omit<SolvedFlow, "samples"> {
  /** f32[N, C, H, W]. */
  readonly noise: Float32Array;
}

/**
 * Leads images back to the noise that they come from.
 *
 * @param pixels of N images, f32[N, C, H, W]: 0 black, 1 white
 * @param asked the classes of the images, where the network is to know them
 * @throws {RunError} if a value is not finite
 * @throws {SolverError} if an adaptive solver cannot go on
 * @throws {TypeError} if the solver is stochastic
 */
export async function noiseOfImages(
  { model, normalization, shape }: Drawable,
  pixels: Float32Array,
  asked: Asked | undefined,
  how: FlowSolver,
  onProgress: OnSamples,
): Promise<FoundNoise> {
  const { field, ...condition } = fieldOf(model, asked);
  const x1 = fromPixels(pixels, normalization);
  const N = pixels.length / shape.reduce((product, length) => product * length, 1);
  const options = inBatches({ ...condition, onProgress });
  const { samples, ...cost } = await solveFlow(field, tensor(x1, [N, ...shape]), how, {
    ...options,
    back: true,
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
