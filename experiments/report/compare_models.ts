import { scope, tensor } from "../../kernels/mod.ts";
import { type Checkpoint, noise, Sampler, toPixels, velocityToPixels } from "../../models/mod.ts";
import { formatSize } from "../../viz/mod.ts";
import type { Comparison } from "../../viz/report/mod.ts";
import { loadWeights } from "../networks/own_network.ts";
import { readFile, RunError } from "../run/run_folder.ts";
import { findWeights, noWeights } from "../run/weights.ts";
import { say } from "../cli/output.ts";
import { ConfigError } from "../cli/settings.ts";

/** Number of samples; models are compared at the points of their trajectories. */
const samples = 5;
/** Number of Euler steps of each. */
const steps = 20;
/** Seed of the noise that all models start from. */
const seed = 0;

/**
 * Solves trajectories of each model from the same noise, and evaluates all models at their points. Models with classes
 * draw one class after another, without guidance.
 *
 * @param runs folders of runs
 * @returns velocities in pixels per unit of t; undefined, with a line on stderr, if the runs scale pixels differently, so
 * that their points are not comparable
 */
export async function compareModels(runs: readonly string[]): Promise<Comparison | undefined> {
  const models: Checkpoint[] = [];
  try {
    for (const run of runs) { // in order, so that the first error is always the same
      const weights = findWeights(run);
      if (!weights) throw new RunError(`Cannot compare ${run}: ${noWeights} (expected the weights of a run)`);
      models.push(await loadWeights(await readFile(weights.path), weights.path));
    }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    say(`Cannot compare velocities: ${error.message}`); // it needs a module
    return undefined;
  }
  const [{ shape: size, info: { normalization } }] = models;
  const resized = models.findIndex(({ shape }) => `${shape}` !== `${size}`);
  if (resized >= 0) {
    throw new RunError(
      `Cannot compare ${runs[0]} and ${runs[resized]}: their images are ${formatSize(size)} and ` +
        `${formatSize(models[resized].shape)} (expected one size)`,
    );
  }
  const other = models.findIndex(({ info: { normalization: { scale, shift } } }) =>
    scale !== normalization.scale || shift !== normalization.shift
  );
  if (other >= 0) {
    say(`Cannot compare velocities: ${runs[0]} and ${runs[other]} scale pixels differently`);
    return undefined;
  }
  const P = size.reduce((product, axis) => product * axis, 1);
  const shape = [samples, ...size];
  const x0 = noise(seed, shape);
  const all = () => new Float32Array(samples * steps * P);
  const points = models.map(all);
  const velocities = models.map(() => models.map(all));
  const t = new Float32Array(steps);
  for (const [p, { model }] of models.entries()) {
    let i = 0;
    const place = (values: Float32Array, into: Float32Array) => {
      for (let s = 0; s < samples; s++) into.set(values.subarray(s * P, (s + 1) * P), (s * steps + i) * P);
    };
    const sampler = new Sampler(model, shape, { solver: "euler", steps, ...conditionOf(models[p]) });
    for await (const { t: time, image, velocity } of sampler.trajectory(x0)) {
      if (!velocity) break; // the end
      t[i] = time;
      place(toPixels(image, normalization), points[p]);
      for (const [r, other] of models.entries()) {
        const t = () => tensor(new Float32Array(samples).fill(time));
        const drawn = () => other.model.velocity(tensor(image, shape), t(), conditionOf(other).condition);
        const v = r === p ? velocity : await scope(drawn).read();
        place(velocityToPixels(v, normalization), velocities[p][r]);
      }
      i++;
    }
  }
  const labels = models.map(labelsOf).find((labels) => labels !== undefined);
  return {
    runs: [...runs.keys()],
    t,
    labels: labels && [...labels],
    shape: [samples, steps, ...size],
    points,
    velocities,
    difference: velocities.map((own) => own.map((a) => own.map((b) => differences(a, b, [samples, steps])))),
  };
}

/** Root mean square of a - b, f32[S, T, ...], at each of the T times. */
export function differences(a: Float32Array, b: Float32Array, [S, T]: readonly [number, number]): number[] {
  const P = a.length / (S * T);
  const sums = new Float64Array(T);
  for (let i = 0; i < a.length; i++) sums[Math.floor(i / P) % T] += (a[i] - b[i]) ** 2;
  return Array.from(sums, (sum) => Number(Math.sqrt(sum / (S * P)).toPrecision(6)));
}

/** The class of each sample; undefined if the model has no classes. */
function labelsOf({ info: { config: { classes = 0 } } }: Checkpoint): Uint32Array<ArrayBuffer> | undefined {
  return classes > 0 ? Uint32Array.from({ length: samples }, (_, s) => s % classes) : undefined;
}

function conditionOf(checkpoint: Checkpoint) {
  const labels = labelsOf(checkpoint);
  return labels ? { condition: tensor(labels) } : {};
}
