import { scope, type Tensor, tensor } from "../../kernels/mod.ts";
import { loadCheckpoint, noise, Sampler, toPixels, velocityToPixels } from "../../models/mod.ts";
import { sizeInWords } from "../../viz/mod.ts";
import type { Comparison } from "../../viz/report/mod.ts";
import type { Drawable } from "../draw/samples.ts";
import { RunError } from "../run/atomic_write.ts";
import { readFile } from "../run/read_file.ts";
import { findWeights, noWeights } from "../run/run_weights.ts";
import { say } from "../terminal/output.ts";

/** A network, and the classes that it knows, 0 without. */
interface Compared extends Drawable {
  readonly classes: number;
}

/** Samples, and Euler steps on their paths: the points at which models are compared. */
const samples = 5;
const steps = 20;
/** Of the noise that all models start from. */
const seed = 0;

/**
 * Follows samples of each model from the same noise, and asks all models for their velocities at the points they pass.
 * Those that know classes are asked for one class after the other, without guidance.
 *
 * @param runs folders of runs; the device in use computes
 * @returns velocities in pixels per unit of t; undefined, with a line on the standard error stream, if the runs scale
 * pixels differently, so that no point means the same to them
 * @throws {RunError} if a run has no weights, or the images of two runs differ in size
 */
export async function compareModels(runs: readonly string[]): Promise<Comparison | undefined> {
  const models: Compared[] = [];
  for (const run of runs) models.push(await loadRun(run)); // in turn: of two errors always the same is told
  const [{ normalization, shape: size }] = models;
  const { scale, shift } = normalization;
  const resized = models.findIndex(({ shape }) => `${shape}` !== `${size}`);
  if (resized >= 0) {
    throw new RunError(
      `Cannot compare ${runs[0]} and ${runs[resized]}: their images are ${sizeInWords(size)} and ` +
        `${sizeInWords(models[resized].shape)} (expected one size)`,
    );
  }
  const other = models.findIndex(({ normalization: n }) => n.scale !== scale || n.shift !== shift);
  if (other >= 0) {
    say(`No comparison of velocities: ${runs[0]} and ${runs[other]} scale pixels differently`);
    return undefined;
  }
  const [C, H, W] = size;
  const P = C * H * W;
  const shape = [samples, ...size];
  const x0 = noise(seed, shape);
  const t = new Float32Array(steps);
  const points: Float32Array[] = [];
  const velocities: Float32Array[][] = [];
  for (const p of models.keys()) {
    points.push(new Float32Array(samples * steps * P));
    velocities.push(models.map(() => new Float32Array(samples * steps * P)));
    const place = (values: Float32Array, i: number, into: Float32Array) => {
      for (let s = 0; s < samples; s++) into.set(values.subarray(s * P, (s + 1) * P), (s * steps + i) * P);
    };
    let i = 0;
    for await (const { t: time, image, velocity } of samplerOf(models[p], shape).trajectory(x0)) {
      if (!velocity) break; // the end of the path
      t[i] = time;
      place(toPixels(image, normalization), i, points[p]);
      for (const [r, other] of models.entries()) {
        const v = r === p ? velocity : await velocityOf(other, image, shape, time);
        place(velocityToPixels(v, normalization), i, velocities[p][r]);
      }
      i++;
    }
  }
  const labels = models.map(labelsOf).find((labels) => labels !== undefined);
  return {
    t,
    ...labels && { labels: [...labels] },
    shape: C === 1 ? [samples, steps, H, W] : [samples, steps, C, H, W],
    points,
    velocities,
  };
}

function velocityOf(
  compared: Compared,
  image: Float32Array,
  shape: number[],
  t: number,
): Promise<Float32Array> {
  const v = scope(() => {
    const { condition } = conditionOf(compared);
    return compared.model.velocity(
      tensor(image, shape),
      tensor(new Float32Array(shape[0]).fill(t)),
      condition,
    );
  });
  return v.read();
}

/** The class that each sample is asked to be of; undefined without classes. */
function labelsOf({ classes }: Compared): Uint32Array<ArrayBuffer> | undefined {
  return classes > 0 ? Uint32Array.from({ length: samples }, (_, s) => s % classes) : undefined;
}

function conditionOf(compared: Compared): { readonly condition?: Tensor } {
  const labels = labelsOf(compared);
  return labels ? { condition: tensor(labels) } : {};
}

function samplerOf(compared: Compared, shape: number[]): Sampler {
  return new Sampler(compared.model, shape, { steps, ...conditionOf(compared) });
}

async function loadRun(run: string): Promise<Compared> {
  const weights = findWeights(run);
  if (!weights) throw new RunError(`Cannot compare ${run}: ${noWeights} (expected the weights of a run)`);
  const { model, info: { normalization, config }, shape } = loadCheckpoint(
    await readFile(weights.path),
    weights.path,
  );
  return { model, normalization, shape, classes: config.classes ?? 0 };
}
