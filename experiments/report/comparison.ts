import { scope, tensor } from "../../kernels/mod.ts";
import { loadCheckpoint, noise, Sampler } from "../../models/mod.ts";
import type { Comparison } from "../../viz/report/mod.ts";
import { RunError } from "../run/atomic_write.ts";
import type { Drawable } from "../draw/evolve.ts";
import { pixelsOf } from "../data/image_source.ts";
import { readFile } from "../run/read_file.ts";
import { findWeights } from "./weights.ts";

/** Samples, and Euler steps on their ways: the points at which models are compared. */
const samples = 5;
const steps = 20;
/** Of the noise that all models start from. */
const seed = 0;

/**
 * Follows samples of each model from the same noise, and asks all models for their velocities at the points they pass.
 *
 * @param runs folders of runs; the device in use computes
 * @returns velocities in pixels a unit of t; undefined, with a line on the standard error stream, if the runs scale
 * pixels differently, so that no point means the same to them
 * @throws {RunError} if a run has no weights
 */
export async function compareModels(runs: readonly string[]): Promise<Comparison | undefined> {
  const models: Drawable[] = [];
  for (const run of runs) models.push(await loadRun(run)); // in turn: of two errors always the same is told
  const [{ normalization, imageSize: [H, W] }] = models;
  const { scale, shift } = normalization;
  const other = models.findIndex(({ normalization: n }) => n.scale !== scale || n.shift !== shift);
  if (other >= 0) {
    console.error(`No comparison of velocities: ${runs[0]} and ${runs[other]} scale pixels differently`);
    return undefined;
  }
  const shape = [samples, 1, H, W];
  const x0 = noise(seed, shape);
  const points: Float32Array[] = [];
  const velocities: Float32Array[][] = [];
  for (const [p, { model }] of models.entries()) {
    points.push(new Float32Array(samples * steps * H * W));
    velocities.push(models.map(() => new Float32Array(samples * steps * H * W)));
    const place = (values: Float32Array, i: number, into: Float32Array) => {
      for (let s = 0; s < samples; s++) {
        into.set(values.subarray(s * H * W, (s + 1) * H * W), (s * steps + i) * H * W);
      }
    };
    let i = 0;
    for await (const { t, image, velocity } of new Sampler(model, shape, { steps }).trajectory(x0)) {
      if (!velocity) break; // the end of the way
      place(pixelsOf(image, normalization), i, points[p]);
      for (const [r, other] of models.entries()) {
        const v = r === p ? velocity : await velocityAt(other, image, shape, t);
        place(v.map((value) => value / scale), i, velocities[p][r]);
      }
      i++;
    }
  }
  const t = Float32Array.from({ length: steps }, (_, i) => i / steps);
  return { t, shape: [samples, steps, H, W], points, velocities };
}

function velocityAt(
  { model }: Drawable,
  image: Float32Array,
  shape: number[],
  t: number,
): Promise<Float32Array> {
  const v = scope(() => model.velocity(tensor(image, shape), tensor(new Float32Array(shape[0]).fill(t))));
  return v.read();
}

async function loadRun(run: string): Promise<Drawable> {
  const weights = await findWeights(run);
  if (typeof weights === "string") throw new RunError(`Cannot compare ${run}: ${weights}`);
  const { model, info } = loadCheckpoint(await readFile(weights.path), weights.path);
  return { model, ...info };
}
