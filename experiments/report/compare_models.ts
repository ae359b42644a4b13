import { scope, type Tensor, tensor } from "../../kernels/mod.ts";
import { loadCheckpoint, noise, Sampler, toPixels, velocityToPixels } from "../../models/mod.ts";
import { sizeInWords } from "../../viz/mod.ts";
import type { Comparison } from "../../viz/report/mod.ts";
import type { Drawable } from "../draw/samples.ts";
import { RunError } from "../run/atomic_write.ts";
import { readFile } from "../run/contained.ts";
import { findWeights, noWeights } from "../run/layout.ts";
import { say } from "../program/output.ts";

/** A network, and the classes that it knows, 0 without. */
interface Compared extends Drawable {
  readonly classes: number;
}

/** Samples, and Euler steps of their trajectories: the points at which models are compared. */
const samples = 5;
const steps = 20;
/** Of the noise that all models start from. */
const seed = 0;

/**
 * Solves trajectories of each model from the same noise, and evaluates all models at their points. Models that know
 * classes draw one class after the other, without guidance.
 *
 * @param runs folders of runs; the device in use computes
 * @returns velocities in pixels per unit of t; undefined, with a line on the standard error stream, if the runs scale
 * pixels differently, so that no point means the same to them
 * @throws {RunError} if a run has no weights, or the images of two runs differ in size
 */
export async function compareModels(runs: readonly string[]): Promise<Comparison | undefined> {
  const models: Compared[] = [];
  for (const run of runs) models.push(await loadRun(run)); // one by one: the first error is always the same
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
  const P = size.reduce((product, axis) => product * axis, 1);
  const shape = [samples, ...size];
  const x0 = noise(seed, shape);
  const t = new Float32Array(steps);
  const points: Float32Array[] = [];
  const velocities: Float32Array[][] = [];
  const difference: number[][][][] = [];
  for (const p of models.keys()) {
    points.push(new Float32Array(samples * steps * P));
    velocities.push(models.map(() => new Float32Array(samples * steps * P)));
    const place = (values: Float32Array, i: number, into: Float32Array) => {
      for (let s = 0; s < samples; s++) into.set(values.subarray(s * P, (s + 1) * P), (s * steps + i) * P);
    };
    let i = 0;
    for await (const { t: time, image, velocity } of samplerOf(models[p], shape).trajectory(x0)) {
      if (!velocity) break; // the end
      t[i] = time;
      place(toPixels(image, normalization), i, points[p]);
      for (const [r, other] of models.entries()) {
        const v = r === p ? velocity : await velocityOf(other, image, shape, time);
        place(velocityToPixels(v, normalization), i, velocities[p][r]);
      }
      i++;
    }
    difference.push(velocities[p].map((a) => velocities[p].map((b) => differences(a, b, [samples, steps]))));
  }
  const labels = models.map(labelsOf).find((labels) => labels !== undefined);
  return {
    runs: [...runs.keys()],
    t,
    ...labels && { labels: [...labels] },
    shape: [samples, steps, ...size],
    points,
    velocities,
    difference,
  };
}

/** Root mean square of a - b, f32[S, T, ...], at each of the T times. */
export function differences(a: Float32Array, b: Float32Array, [S, T]: readonly [number, number]): number[] {
  const P = a.length / (S * T);
  const sums = new Float64Array(T);
  for (let i = 0; i < a.length; i++) sums[Math.floor(i / P) % T] += (a[i] - b[i]) ** 2;
  return Array.from(sums, (sum) => Number(Math.sqrt(sum / (S * P)).toPrecision(6)));
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

/** The class of each sample; undefined without classes. */
function labelsOf({ classes }: Compared): Uint32Array<ArrayBuffer> | undefined {
  return classes > 0 ? Uint32Array.from({ length: samples }, (_, s) => s % classes) : undefined;
}

function conditionOf(compared: Compared): { readonly condition?: Tensor } {
  const labels = labelsOf(compared);
  return labels ? { condition: tensor(labels) } : {};
}

function samplerOf(compared: Compared, shape: number[]): Sampler {
  return new Sampler(compared.model, shape, { solver: "euler", steps, ...conditionOf(compared) });
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
