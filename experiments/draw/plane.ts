import { EigenvalueDecomposition, Matrix, QrDecomposition } from "npm:ml-matrix@6.15.1";
import { uniforms } from "../../kernels/mod.ts";
import { encodeSafetensors, noise, SampleBatches, Sampler, type Snapshot } from "../../models/mod.ts";
import { type Dataset, type LabelledImages, subsetOrder } from "../data/dataset.ts";
import { pixelsOf } from "../data/images.ts";
import { join } from "node:path";
import type { PlaneTrajectories } from "../../viz/report/mod.ts";
import { makeFolder, readIfThere, writeAtomic } from "../run/run_folder.ts";
import { check, finiteNumber, listOf } from "../run/field_checks.ts";
import { runFile, runFolder } from "../run/files.ts";
import { yieldToEvents } from "../../kernels/devices/device.ts";
import { samplingField } from "./conditioning.ts";
import { type Drawable, type Drawing, finiteSnapshot } from "./samples.ts";
import { TensorFile, tensorsOf } from "../run/weights.ts";

/** The mean of images, and the directions of their largest variance. */
export interface PrincipalComponents {
  /** f32[P] */
  readonly mean: Float32Array;
  /** Unit vectors in order of falling variance, f32[K, P]. */
  readonly components: Float32Array;
  /** Share of the variance along each component, f32[K]. */
  readonly share: Float32Array;
}

/** Extra directions, which speed up the convergence of the last components. */
const spare = 26;
const iterations = 6;

/**
 * Finds the principal components of images by subspace iteration with a Rayleigh-Ritz step. It needs neither the P x P
 * covariance nor all of its eigenvectors; npm's ml-pca computes both and takes ten times as long.
 *
 * @param images f32[N, P]
 * @param P values per image
 * @param K number of components; those beyond P are 0
 * @returns components of fixed sign: the entry of largest magnitude is positive
 *
 * Source: Golub and Van Loan 2013, Matrix Computations, section 8.2.4; Halko, Martinsson and Tropp 2011
 */
export function principalComponents(images: Float32Array, P: number, K: number): PrincipalComponents {
  const N = images.length / P;
  const sum = new Float64Array(P);
  images.forEach((value, i) => sum[i % P] += value);
  const mean = Float32Array.from(sum, (value) => value / N);
  const centred = images.map((value, i) => value - mean[i % P]);
  const total = centred.reduce((sum, value) => sum + value * value, 0);
  const X = Matrix.from1DArray(N, P, centred);
  const L = Math.min(K + spare, P, N);
  let basis = Matrix.from1DArray(L, P, uniforms(0, 0, 0, L * P).map((value) => value - 0.5));
  let values: number[] = [];
  for (let i = 0; i < iterations; i++) {
    const rows = i === 0 ? basis : X.mmul(basis.transpose()).transpose().mmul(X); // Q X^T X
    const orthonormal = new QrDecomposition(rows.transpose()).orthogonalMatrix.transpose();
    const scores = X.mmul(orthonormal.transpose());
    const { realEigenvalues: found, eigenvectorMatrix } = new EigenvalueDecomposition(
      scores.transpose().mmul(scores),
      { assumeSymmetric: true },
    );
    const order = found.map((_, i) => i).sort((a, b) => found[b] - found[a]);
    basis = eigenvectorMatrix.transpose().subMatrixRow(order).mmul(orthonormal);
    values = order.map((i) => Math.max(found[i], 0));
  }
  const components = new Float32Array(K * P);
  components.set(basis.to1DArray().slice(0, K * P));
  for (let k = 0; k < K; k++) {
    const row = components.subarray(k * P, (k + 1) * P);
    const largest = row.reduce((best, value) => Math.abs(value) > Math.abs(best) ? value : best, 0);
    if (largest < 0) row.forEach((value, p) => row[p] = -value);
  }
  const share = new Float32Array(K);
  if (total > 0) share.set(values.slice(0, K).map((value) => value / total));
  return { mean, components, share };
}

/**
 * Coordinates of images along components.
 *
 * @param images f32[N, P]
 * @param K the first K components
 * @param centre whether to subtract the mean first: for images, not for velocities
 * @returns f32[N, K]
 */
export function project(
  images: Float32Array,
  { mean, components }: PrincipalComponents,
  K: number,
  centre = true,
): Float32Array {
  const P = mean.length;
  const N = images.length / P;
  const centred = centre ? images.map((value, i) => value - mean[i % P]) : images;
  const axes = Matrix.from1DArray(K, P, components.subarray(0, K * P)).transpose();
  return Float32Array.from(Matrix.from1DArray(N, P, centred).mmul(axes).to1DArray());
}

/** Maximum number of real images that the components are found from, and that are shown behind the trajectories. */
const maxReal = 2000;
const maxShown = 500;

/**
 * The plane of the first two principal components of real images, and some of these images in it. It depends only on the
 * data set, which makes runs comparable.
 *
 * @param train images of a data set; 2,000 are used: the first, or random ones if they are sorted by class
 * @param P values per image, C H W
 */
export function planeOf(train: LabelledImages, P: number): {
  readonly pca: PrincipalComponents;
  readonly real: PlaneTrajectories["real"];
} {
  const chosen = subsetOrder(train).subarray(0, maxReal);
  const images = pixelsOf(train.images, chosen, P);
  const pca = principalComponents(images, P, 2);
  const shown = chosen.subarray(0, maxShown);
  const { labels } = train;
  return {
    pca,
    real: {
      position: project(images.subarray(0, shown.length * P), pca, 2),
      classes: labels && Uint32Array.from(shown, (n) => labels[n]),
    },
  };
}

/** What a run's file holds of its trajectories: all but the judge's classes. */
export type StoredPlane = Omit<PlaneTrajectories, "judged">;

/**
 * Follows many samples from noise to data, and projects their trajectories to a plane.
 *
 * @param data training images, whose components span the plane
 */
export async function followInPlane(
  { model, shape, normalization }: Drawable,
  data: Pick<Dataset, "train">,
  { count: N, seed, steps, batch, conditioning }: Pick<Drawing, "count" | "seed" | "conditioning"> & {
    readonly steps: number;
    /** Largest batch of samples. */
    readonly batch: number;
  },
): Promise<StoredPlane> {
  const [C, H, W] = shape;
  const P = C * H * W;
  const M = steps + 1;
  const { pca, real } = planeOf(data.train, P);
  const arrays = {
    t: new Float32Array(M),
    position: new Float32Array(M * N * 2),
    velocity: new Float32Array(steps * N * 2),
    speed: new Float32Array(steps * N),
    straightness: new Float32Array(steps * N),
    image: new Float32Array(N * P),
  };
  /** Adds the samples from index `start`. */
  const add = (snapshots: readonly Snapshot[], start: number) => {
    const [x0, x1] = [snapshots[0].image, snapshots[snapshots.length - 1].image];
    const line = x1.map((value, i) => value - x0[i]);
    arrays.image.set(x1, start * P);
    snapshots.forEach(({ t, image, velocity }, m) => {
      arrays.t[m] = t;
      arrays.position.set(project(image, pca, 2), (m * N + start) * 2);
      if (!velocity) return;
      arrays.velocity.set(project(velocity, pca, 2, false), (m * N + start) * 2);
      for (let n = 0; n < x0.length / P; n++) {
        const v = velocity.subarray(n * P, (n + 1) * P);
        const u = line.subarray(n * P, (n + 1) * P);
        const [vv, uu, uv] = [dot(v, v), dot(u, u), dot(u, v)];
        arrays.speed[m * N + start + n] = Math.sqrt(vv / P);
        arrays.straightness[m * N + start + n] = vv > 0 && uu > 0 ? uv / Math.sqrt(vv * uu) : 0;
      }
    });
  };
  const { field, condition } = samplingField({ model }, conditioning);
  const batches = new SampleBatches(noise(seed, [N, ...shape]), batch, condition);
  const sampler = new Sampler(batches.field(field), batches.shape, { solver: "euler", steps });
  for (const { first, x0 } of batches) {
    const snapshots = await Array.fromAsync(sampler.trajectory(x0));
    await yieldToEvents();
    add(snapshots.map((snapshot) => finiteSnapshot(snapshot, normalization)), first);
  }
  return {
    ...arrays,
    conditioning: conditioning && {
      labels: conditioning.labels,
      guidance: conditioning.guidance.scale,
    },
    real,
    share: [pca.share[0], pca.share[1]],
    shape: C === 1 ? [M, N, H, W] : [M, N, C, H, W],
  };
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

const shares = check<PlaneTrajectories["share"]>(
  "two numbers",
  (value) => listOf(finiteNumber).accepts(value) && value.length === 2,
);

/** Required tensors of the file, with their shapes. */
const shapesOf = (M: number, N: number, size: readonly number[]) => ({
  t: [M],
  position: [M, N, 2],
  velocity: [M - 1, N, 2],
  speed: [M - 1, N],
  straightness: [M - 1, N],
  image: [N, ...size],
});

/**
 * Writes trajectories in a plane as `flow/paths.safetensors` of a run: f32 tensors named as the fields of
 * {@linkcode PlaneTrajectories}. The metadata holds the share of variance, and the guidance of conditioned samples.
 * Without labels there are no `real_classes`; files of version 1.0 also hold classes by a vote, which are not read.
 */
export async function writePlaneTrajectories(run: string, trajectories: StoredPlane): Promise<void> {
  const { conditioning, real, share, shape: [M, N, ...size] } = trajectories;
  const tensors = tensorsOf(shapesOf(M, N, size), trajectories);
  tensors.set("real_position", { shape: [real.position.length / 2, 2], data: real.position });
  const labels = { asked: conditioning?.labels, real_classes: real.classes };
  for (const [name, values] of Object.entries(labels)) {
    if (values) tensors.set(name, { shape: [values.length], data: Float32Array.from(values) });
  }
  const bytes = encodeSafetensors(tensors, {
    share: JSON.stringify(share),
    ...conditioning && { guidance: JSON.stringify(conditioning.guidance) },
  });
  await makeFolder(run, runFolder.flow);
  await writeAtomic(join(run, runFile.paths), bytes);
}

/** Reads the plane trajectories of a run; undefined if it has none. */
export async function readPlaneTrajectories(run: string): Promise<StoredPlane | undefined> {
  const path = join(run, runFile.paths);
  const bytes = await readIfThere(path, run);
  if (bytes === undefined) return undefined;
  const file = new TensorFile(bytes, path, "delete the file, and the run is shown without its trajectories");
  const [M] = file.shapeOf("t");
  const [N, ...size] = file.shapeOf("image");
  const [D] = file.shapeOf("real_position");
  if (size.length !== 2 && size.length !== 3) {
    throw file.mismatch("image", "f32[N, H, W] or f32[N, C, H, W]");
  }
  return {
    ...file.readAll(shapesOf(M, N, size)),
    conditioning: file.has("asked")
      ? { labels: file.labels("asked", N), guidance: file.field("guidance", finiteNumber) }
      : undefined,
    real: {
      position: file.read("real_position", D, 2),
      classes: file.has("real_classes") ? file.labels("real_classes", D) : undefined,
    },
    share: file.field("share", shares),
    shape: [M, N, ...size] as readonly number[] as PlaneTrajectories["shape"],
  };
}
