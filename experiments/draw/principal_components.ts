import { EigenvalueDecomposition, Matrix } from "npm:ml-matrix@6.15.1";
import { uniforms } from "../../kernels/mod.ts";

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
const spare = 8;
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
    basis = orthonormal(i === 0 ? basis : X.mmul(basis.transpose()).transpose().mmul(X)); // Q X^T X
    ({ basis, values } = rayleighRitz(X.mmul(basis.transpose()), basis));
  }
  const components = new Float32Array(K * P);
  components.set(basis.to1DArray().slice(0, K * P));
  fixSigns(components, K, P);
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

/** Rotates the basis to the eigenvectors of the covariance within its span, in order of falling eigenvalue. */
function rayleighRitz(scores: Matrix, basis: Matrix) {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(
    scores.transpose().mmul(scores),
    { assumeSymmetric: true },
  );
  const order = realEigenvalues.map((_, i) => i).sort((a, b) => realEigenvalues[b] - realEigenvalues[a]);
  const vectors = eigenvectorMatrix.transpose().subMatrixRow(order);
  return { basis: vectors.mmul(basis), values: order.map((i) => Math.max(realEigenvalues[i], 0)) };
}

/** Modified Gram-Schmidt over rows, twice for accuracy; a linearly dependent row becomes 0. */
function orthonormal(rows: Matrix): Matrix {
  const basis: number[][] = [];
  for (const row of rows.to2DArray()) {
    const before = lengthOf(row);
    for (let pass = 0; pass < 2; pass++) {
      for (const other of basis) {
        const overlap = row.reduce((sum, value, p) => sum + value * other[p], 0);
        for (let p = 0; p < row.length; p++) row[p] -= overlap * other[p];
      }
    }
    const norm = lengthOf(row);
    const scale = norm > 1e-10 * before ? 1 / norm : 0;
    basis.push(row.map((value) => value * scale));
  }
  return new Matrix(basis);
}

/** Euclidean length of a row. Not `Math.hypot`, since a row may have more values than a call takes arguments. */
function lengthOf(row: readonly number[]): number {
  return Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
}

function fixSigns(components: Float32Array, K: number, P: number): void {
  for (let k = 0; k < K; k++) {
    const row = components.subarray(k * P, (k + 1) * P);
    const largest = row.reduce((best, value) => Math.abs(value) > Math.abs(best) ? value : best, 0);
    if (largest < 0) row.forEach((value, p) => row[p] = -value);
  }
}
