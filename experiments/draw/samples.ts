import { type FlowSolver, noise, sample, type SolvedFlow, solveFlow, toPixels } from "../../models/mod.ts";
import { optionsOf } from "../../models/nets/networks.ts";
import { yieldToSignals } from "../terminal/yield_to_signals.ts";
import { RunError } from "../run/atomic_write.ts";
import { fieldOf } from "./asked.ts";
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

/**
 * Draws samples by any solver, and tells how far it is. Those by fixed steps are those of `drawSamples`, to the bit.
 *
 * @param onProgress called with the number of samples done; a batch counts by its share of the time
 * @throws {RunError} if a value is not finite, or the network's path is not one that the solver can follow
 * @throws {SolverError} if an adaptive solver cannot go on
 */
export async function drawSamplesInBatches(
  { model, normalization, shape }: Drawable,
  { count, seed, asked }: Pick<Drawing, "count" | "seed" | "asked">,
  how: FlowSolver,
  onProgress: (done: number) => void | Promise<void>,
): Promise<DrawnSamples> {
  const { path = "linear" } = optionsOf(model) ?? {};
  if (how.method === "stochastic" && path !== "linear") {
    throw new RunError(
      `Cannot draw samples by ${how.solver}: the network is for the ${path} path (expected another solver)`,
    );
  }
  const { field, ...condition } = fieldOf(model, asked);
  const { samples, ...cost } = await solveFlow(field, noise(seed, [count, ...shape]), how, {
    batch,
    ...condition,
    async onProgress(done) {
      await onProgress(done);
      await yieldToSignals();
    },
  });
  return { pixels: finiteImages("draw samples", toPixels(samples, normalization)), ...cost };
}
