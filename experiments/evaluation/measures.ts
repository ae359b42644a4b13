import { EigenvalueDecomposition, Matrix } from "npm:ml-matrix@6.15.1";
import {
  bootstrap,
  checkPair,
  checkPoints,
  columnMeans,
  type Estimate,
  type Judgement,
  meanEstimate,
  MeasureError,
  nearestNeighbours,
  type Neighbours,
  type OnPairs,
  pickPoints,
  type Points,
  productBlocks,
  proportion,
  type Resampling,
  type TimedLosses,
} from "../../models/mod.ts";
import { squaredDistance } from "../../models/measures/points.ts";
import type { TimeBin } from "../../viz/report/mod.ts";

/**
 * Fréchet distance between two sets of features, modelled as normal distributions, with its interval: |m_r - m_s|^2 +
 * tr(C_r + C_s - 2 (C_r C_s)^(1/2)), with unbiased covariances.
 *
 * It is biased upwards for few samples, so only compare it between equal numbers of samples. The interval covers other
 * samples of the same network against the same reference, f32[N, F]; both need at least 2 F.
 *
 * Source: Heusel et al. 2017, arXiv:1706.08500, equation 6
 */
export function frechetDistance(reference: Points, samples: Points, resampling?: Resampling): Estimate {
  checkPair("take the Fréchet distance", reference, samples, 2 * reference.width);
  const [r, s] = [momentsOf(reference), momentsOf(samples)];
  const root = functionOf(r.covariance, Math.sqrt);
  const inner = root.mmul(s.covariance).mmul(root);
  const { realEigenvalues } = decomposed(inner);
  const trace = realEigenvalues.reduce((sum, value) => sum + Math.sqrt(Math.max(value, 0)), 0);
  const shift = Float64Array.from(s.mean, (value, f) => value - r.mean[f]);
  const value = shift.reduce((sum, x) => sum + x * x, 0) + r.covariance.trace() + s.covariance.trace() -
    2 * trace;
  // Derivative of the distance by C_s: I - C_r^(1/2) (C_r^(1/2) C_s C_r^(1/2))^(-1/2) C_r^(1/2), from
  // the symmetric derivative of the trace of a square root.
  const least = 1e-14 * reference.width * Math.max(...realEigenvalues);
  const map = root.mmul(functionOf(inner, (x) => x > least ? 1 / Math.sqrt(x) : 0)).mmul(root);
  const slope = Matrix.eye(reference.width).sub(map);
  return bootstrap(Math.max(value, 0), influences(s.centred, shift, slope), resampling);
}

/** 2 (m_s - m_r) d + d^T slope d for each sample, where d is its difference from the mean, f64[M]. */
function influences(centred: Matrix, shift: Float64Array, slope: Matrix): Float64Array {
  const A = slope.to2DArray();
  return Float64Array.from(centred.to2DArray(), (d) => {
    let sum = 0;
    for (let f = 0; f < d.length; f++) {
      let inner = 2 * shift[f];
      for (let g = 0; g < d.length; g++) inner += A[f][g] * d[g];
      sum += d[f] * inner;
    }
    return sum;
  });
}

/** Mean, differences from it [N, F], and unbiased covariance [F, F], in f64. */
function momentsOf(points: Points) {
  const mean = columnMeans(points);
  const centred = Matrix.from1DArray(points.rows, points.width, points.values).subRowVector(mean);
  return { mean, centred, covariance: centred.transpose().mmul(centred).div(points.rows - 1) };
}

/** V f(D) V^T of a symmetric matrix V D V^T without negative eigenvalues. */
function functionOf(symmetric: Matrix, f: (eigenvalue: number) => number): Matrix {
  const { realEigenvalues, eigenvectorMatrix } = decomposed(symmetric);
  const scaled = eigenvectorMatrix.clone().mulRowVector(realEigenvalues.map((x) => f(Math.max(x, 0))));
  return scaled.mmul(eigenvectorMatrix.transpose());
}

const decomposed = (symmetric: Matrix) => new EigenvalueDecomposition(symmetric, { assumeSymmetric: true });

/**
 * Kernel distance (KID) between two sets of features, with its interval: the unbiased squared maximum mean discrepancy with
 * the kernel k(x, y) = (x y / F + 1)^3, over all samples instead of subsets. It can be negative, since it is unbiased.
 *
 * Inner products are f32 on the current device, sums are f64.
 *
 * Source: Binkowski et al. 2018, arXiv:1801.01401, equation 4 and section 3
 */
export async function kernelDistance(
  reference: Points,
  samples: Points,
  resampling?: Resampling,
): Promise<Estimate> {
  checkPair("take the kernel distance", reference, samples, 2);
  const [within, amongReal] = [await meanKernels(samples), await meanKernels(reference)];
  const toReal = await meanKernels(samples, reference);
  const value = average(within) + average(amongReal) - 2 * average(toReal);
  return bootstrap(value, within.map((mean, n) => 2 * (mean - toReal[n])), resampling);
}

/**
 * The kernel distance of samples from few real images, less that of other real images from the same few: the distance of
 * real images is 0 on average, so this changes nothing but chance. It takes away what the few happen to be, which would
 * otherwise move every distance from them by far more than samples differ. The interval covers other samples, other few and
 * other real images.
 *
 * @param others real images that are not among the few
 */
export async function kernelDistanceToFew(few: Points, samples: Points, others: Points): Promise<Estimate> {
  checkPair("take the kernel distance", few, samples, 2);
  checkPair("take the kernel distance", few, others, 2);
  const sides: { readonly value: number; readonly influence: Float64Array; readonly toFew: Float64Array }[] =
    [];
  for (const images of [samples, others]) {
    const within = await meanKernels(images);
    const toFew = await meanKernels(images, few);
    sides.push({
      value: average(within) - 2 * average(toFew),
      influence: within.map((mean, n) => 2 * (mean - toFew[n])),
      toFew: await meanKernels(few, images),
    });
  }
  const [own, real] = sides;
  const value = own.value - real.value;
  const ofFew = own.toFew.map((mean, n) => 2 * (real.toFew[n] - mean));
  const variance = [own.influence, real.influence, ofFew]
    .reduce((sum, influence) => sum + varianceOfMean(influence), 0);
  const margin = 1.96 * Math.sqrt(variance);
  return { value, low: value - margin, high: value + margin };
}

/** The variance of the mean of values that are drawn independently. */
function varianceOfMean(values: Float64Array): number {
  const mean = average(values);
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return squares / Math.max(values.length - 1, 1) / values.length;
}

/** The mean of k(a_i, b_j) over j for each i, f64[N]; without b, the mean of k(a_i, a_j) over j other than i. */
async function meanKernels(a: Points, to?: Points): Promise<Float64Array> {
  const b = to ?? a;
  const sums = new Float64Array(a.rows);
  for await (const block of productBlocks(a, b)) {
    for (let i = block.a.from; i < block.a.to; i++) {
      const from = (i - block.a.from) * block.stride - block.b.from;
      let sum = 0;
      for (let j = block.b.from; j < block.b.to; j++) {
        const base = block.values[from + j] / a.width + 1;
        if (to || i !== j) sum += base * base * base;
      }
      sums[i] += sum;
    }
  }
  return sums.map((sum) => sum / (to ? b.rows : b.rows - 1));
}

const average = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * How many samples are new, with the nearest training images of each, by exact distances between pixels. A sample is
 * authentic (AuthPct) if it is farther from its nearest training image than this image is from its own nearest
 * neighbour; a low share means copying. A copied part, or a copy that was moved or brightened, is not noticed.
 *
 * @param train images, f32[N, F], N at least 2
 * @param samples f32[M, F]
 * @param k nearest training images to return per sample
 * @param onPairs called with the number of pairs compared since the last call, in total at most {@linkcode maxPairs}
 *
 * Source: Alaa et al. 2022, arXiv:2102.08921, section 3.3
 */
export async function authenticity(
  train: Points,
  samples: Points,
  k = 1,
  onPairs?: OnPairs,
): Promise<{ readonly authentic: Estimate; readonly nearest: Neighbours }> {
  const task = "measure authenticity";
  checkPoints(task, "training images", train, 2);
  checkPair(task, train, samples);
  const nearest = await nearestNeighbours(samples, train, k, onPairs);
  const rows = Array.from({ length: samples.rows }, (_, n) => nearest.indices[n * k]);
  const distinct = [...new Set(rows)];
  // The first of the two neighbours is the training image itself, or a copy of it.
  const { squared } = await nearestNeighbours(pickPoints(train, distinct), train, 2, onPairs);
  const own = new Map(distinct.map((row, n) => [row, squared[2 * n + 1]]));
  const authentic = rows.filter((row, n) => nearest.squared[n * k] > own.get(row)!).length;
  return { authentic: proportion(authentic, samples.rows), nearest };
}

/** Upper bound on the pairs that {@linkcode authenticity} compares; fewer if samples share a nearest training image. */
export function maxPairs(train: Points, samples: Points): number {
  return 2 * train.rows * samples.rows;
}

/** Images of a class that are compared with each other. */
const maxOfClass = 200;

/**
 * How different images of one class are: the mean distance of an image from the others of its class, of 200 at most.
 *
 * @param images pixels, one image per row
 * @param labels the class of each row
 * @returns the mean over images, with its interval; undefined if no class has two images
 */
export function classSpread(images: Points, labels: ArrayLike<number>): Estimate | undefined {
  const byClass = Map.groupBy(Array.from({ length: images.rows }, (_, n) => n), (n) => labels[n]);
  const distances = [...byClass.values()].map((all) => all.slice(0, maxOfClass))
    .filter((members) => members.length > 1)
    .flatMap((members) =>
      members.map((a) =>
        members.reduce((sum, b) => sum + Math.sqrt(squaredDistance(images, a, images, b)), 0) /
        (members.length - 1)
      )
    );
  return distances.length > 0 ? meanEstimate(distances) : undefined;
}

/**
 * The most probable class of each image, u32[N], with its probability, f32[N]; a tie goes to the first.
 *
 * @param probabilities f32[N, classes]
 */
export function verdicts(probabilities: Float32Array, classes: number) {
  const N = probabilities.length / classes;
  const confidence = Float32Array.from(
    { length: N },
    (_, n) => Math.max(...probabilities.subarray(n * classes, (n + 1) * classes)),
  );
  return {
    confidence,
    classes: Uint32Array.from(confidence, (p, n) => probabilities.indexOf(p, n * classes) - n * classes),
  };
}

/** Number of samples in each class, u32[classes]. */
export function classHistogram(labels: ArrayLike<number>, classes: number): Uint32Array {
  if (labels.length === 0) {
    throw new MeasureError("Cannot count classes: there are no labels (expected at least one)");
  }
  const counts = new Uint32Array(classes);
  for (let n = 0; n < labels.length; n++) {
    if (!Number.isInteger(labels[n]) || labels[n] < 0 || labels[n] >= classes) {
      throw new MeasureError(
        `Cannot count classes: label ${n} is ${labels[n]} (expected a whole number from 0 to ${classes - 1})`,
      );
    }
    counts[labels[n]]++;
  }
  return counts;
}

/**
 * Entropy of the samples' classes in bits, with its interval: log2(classes) if all are equally frequent, 0 for a single
 * class.
 *
 * Source: Shannon 1948, A mathematical theory of communication
 */
export function classEntropy(labels: ArrayLike<number>, classes: number, resampling?: Resampling): Estimate {
  const bits = (count: number) => count > 0 ? -Math.log2(count / labels.length) : 0;
  const surprise = Float64Array.from(classHistogram(labels, classes), bits);
  const terms = Float64Array.from(labels, (label) => surprise[label]);
  const { value, low, high } = meanEstimate(terms, resampling);
  return { value, low: Math.max(low, 0), high: Math.min(high, Math.log2(classes)) };
}

/** Means of losses over equal bins of t. */
export function binByTime({ t, loss }: TimedLosses, bins = 10): TimeBin[] {
  const sums = new Float64Array(bins);
  const images = new Uint32Array(bins);
  t.forEach((time, i) => {
    const bin = Math.min(Math.floor(time * bins), bins - 1);
    sums[bin] += loss[i];
    images[bin]++;
  });
  return Array.from(sums, (sum, bin) => ({
    from: bin / bins,
    to: (bin + 1) / bins,
    images: images[bin],
    loss: images[bin] > 0 ? sum / images[bin] : null,
  }));
}

/** Lowest probability at which a judge is confident of a class. */
const confidentFrom = 0.9;

/** How often a judge is confident of images, which classes it sees, and how often these are the labels, if any. */
export function recognised({ probabilities }: Judgement, classes: number, labels?: ArrayLike<number>) {
  const seen = verdicts(probabilities, classes);
  const N = seen.confidence.length;
  return {
    confident: proportion(seen.confidence.filter((p) => p >= confidentFrom).length, N),
    ...labels &&
      { asked_class: proportion(seen.classes.filter((label, n) => label === labels[n]).length, N) },
    class_entropy: classEntropy(seen.classes, classes),
  };
}
