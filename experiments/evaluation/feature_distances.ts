import { EigenvalueDecomposition, Matrix } from "npm:ml-matrix@6.15.1";
import {
  bootstrap,
  checkPair,
  columnMeans,
  type Estimate,
  type Points,
  productBlocks,
  type Resampling,
} from "../../models/mod.ts";

export interface FrechetOptions extends Resampling {
  /**
   * Shrinks covariances towards that of a round cloud, as far as few points require, so that two of each are enough.
   * The distance is then a different figure, comparable only between equal numbers of points.
   */
  readonly shrunk?: boolean;
}

/**
 * Fréchet distance between two sets of features, modelled as normal distributions, with its interval: |m_r - m_s|^2 +
 * tr(C_r + C_s - 2 (C_r C_s)^(1/2)), with unbiased covariances.
 *
 * It is biased upwards for few samples, so only compare it between equal numbers of samples. The interval covers other
 * samples of the same network against the same reference; see `bootstrap()`.
 *
 * @param reference features of real images, f32[N, F], N at least 2 F
 * @param samples features of samples, f32[M, F], M at least 2 F
 *
 * Source: Heusel et al. 2017, arXiv:1706.08500, equation 6; Ledoit and Wolf 2004, A well-conditioned estimator for
 * large-dimensional covariance matrices, section 3.2 (shrinkage)
 */
export function frechetDistance(
  reference: Points,
  samples: Points,
  { shrunk = false, ...resampling }: FrechetOptions = {},
): Estimate {
  checkPair("take the Fréchet distance", reference, samples, shrunk ? 2 : 2 * reference.width);
  const [r, s] = [momentsOf(reference, shrunk), momentsOf(samples, shrunk)];
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
  const slope = shrink(Matrix.eye(reference.width).sub(map), s.shrinkage); // shrinking is its own transpose
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

/** Mean, differences from it [N, F], and unbiased covariance [F, F], shrunk by a share, in f64. */
function momentsOf(points: Points, shrunk: boolean) {
  const { values, rows, width } = points;
  const mean = columnMeans(points);
  const centred = Matrix.from1DArray(rows, width, values).subRowVector(mean);
  const covariance = centred.transpose().mmul(centred).div(rows - 1);
  const shrinkage = shrunk ? shrinkageOf(centred, covariance) : 0;
  return { mean, centred, covariance: shrink(covariance, shrinkage), shrinkage };
}

/** The share of a round cloud that brings a covariance nearest to the true one, in expectation. */
function shrinkageOf(centred: Matrix, covariance: Matrix): number {
  const { rows: N, columns: F } = centred;
  const squares = (matrix: Matrix) => matrix.to1DArray().reduce((sum, value) => sum + value * value, 0);
  const biased = (N - 1) / N;
  const [mean, norm] = [biased * covariance.trace() / F, biased ** 2 * squares(covariance)];
  const fourth = centred.to2DArray().reduce(
    (sum, row) => sum + row.reduce((length, value) => length + value * value, 0) ** 2,
    0,
  );
  const [error, distance] = [(fourth / N - norm) / N, norm - F * mean ** 2];
  return distance > 0 ? Math.min(Math.max(error / distance, 0), 1) : 1;
}

/** (1 - share) M + share tr(M) / F I. */
function shrink(matrix: Matrix, share: number): Matrix {
  if (share === 0) return matrix;
  const round = Matrix.eye(matrix.rows).mul(share * matrix.trace() / matrix.rows);
  return matrix.clone().mul(1 - share).add(round);
}

/** V f(D) V^T of a symmetric matrix V D V^T without negative eigenvalues. */
function functionOf(symmetric: Matrix, f: (eigenvalue: number) => number): Matrix {
  const { realEigenvalues, eigenvectorMatrix } = decomposed(symmetric);
  const scaled = eigenvectorMatrix.clone().mulRowVector(realEigenvalues.map((x) => f(Math.max(x, 0))));
  return scaled.mmul(eigenvectorMatrix.transpose());
}

function decomposed(symmetric: Matrix): EigenvalueDecomposition {
  return new EigenvalueDecomposition(symmetric, { assumeSymmetric: true });
}

/**
 * Kernel distance (KID) between two sets of features, with its interval: the unbiased squared maximum mean discrepancy with
 * the kernel k(x, y) = (x y / F + 1)^3, over all samples instead of subsets. It can be negative, since it is unbiased.
 *
 * Inner products are f32 on the current device, sums are f64. The interval covers other samples of the same network against
 * the same reference; see `bootstrap()`.
 *
 * @param reference features of real images, f32[N, F], N at least 2
 * @param samples features of samples, f32[M, F], M at least 2
 *
 * Source: Binkowski et al. 2018, arXiv:1801.01401, equation 4 and section 3
 */
export async function kernelDistance(
  reference: Points,
  samples: Points,
  resampling?: Resampling,
): Promise<Estimate> {
  checkPair("take the kernel distance", reference, samples, 2);
  const [within, amongReal, toReal] = [
    await meanKernels(samples),
    await meanKernels(reference),
    await meanKernels(samples, reference),
  ];
  const value = average(within) + average(amongReal) - 2 * average(toReal);
  return bootstrap(value, within.map((mean, n) => 2 * (mean - toReal[n])), resampling);
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

function average(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
