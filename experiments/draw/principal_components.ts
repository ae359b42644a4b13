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
  const mean = meanOf(images, N, P);
  const centred = images.map((value, i) => value - mean[i % P]);
  const total = centred.reduce((sum, value) => sum + value * value, 0);
  const L = Math.min(K + spare, P);
  let basis = orthonormal(uniforms(0, 0, 0, L * P).map((value) => value - 0.5), L, P);
  let values = new Float64Array(L);
  for (let i = 0; i < iterations; i++) {
    const scores = timesTransposed(centred, basis, N, L, P); // X Q, f64[N, L]
    ({ basis, values } = rayleighRitz(scores, basis, N, L, P));
    if (i + 1 < iterations) basis = orthonormal(transposedTimes(basis, centred, N, L, P), L, P);
  }
  const components = new Float32Array(K * P);
  components.set(basis.subarray(0, K * P));
  fixSigns(components, K, P);
  const share = new Float32Array(K);
  if (total > 0) share.set(values.subarray(0, K).map((value) => value / total));
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
  return Float32Array.from(timesTransposed(centred, components.subarray(0, K * P), N, K, P));
}

type Numbers = Float32Array | Float64Array;

function meanOf(images: Float32Array, N: number, P: number): Float32Array {
  const sum = new Float64Array(P);
  images.forEach((value, i) => sum[i % P] += value);
  return Float32Array.from(sum, (value) => value / N);
}

/** a b^T for a[N, P] and b[L, P]. */
function timesTransposed(a: Numbers, b: Numbers, N: number, L: number, P: number): Float64Array {
  const y = new Float64Array(N * L);
  for (let n = 0; n < N; n++) {
    for (let l = 0; l < L; l++) {
      let sum = 0;
      for (let p = 0; p < P; p++) sum += a[n * P + p] * b[l * P + p];
      y[n * L + l] = sum;
    }
  }
  return y;
}

/** Q (X^T X) for Q[L, P] and X[N, P]: one step of the power method. */
function transposedTimes(basis: Numbers, x: Numbers, N: number, L: number, P: number): Float64Array {
  const scores = timesTransposed(x, basis, N, L, P);
  const y = new Float64Array(L * P);
  for (let n = 0; n < N; n++) {
    for (let l = 0; l < L; l++) {
      const score = scores[n * L + l];
      for (let p = 0; p < P; p++) y[l * P + p] += score * x[n * P + p];
    }
  }
  return y;
}

/** Rotates the basis to the eigenvectors of the covariance within its span, in order of falling eigenvalue. */
function rayleighRitz(scores: Float64Array, basis: Float64Array, N: number, L: number, P: number) {
  const small = Matrix.zeros(L, L);
  for (let n = 0; n < N; n++) {
    for (let i = 0; i < L; i++) {
      for (let j = 0; j <= i; j++) {
        small.set(i, j, small.get(i, j) + scores[n * L + i] * scores[n * L + j]);
      }
    }
  }
  for (let i = 0; i < L; i++) for (let j = i + 1; j < L; j++) small.set(i, j, small.get(j, i));
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(small, {
    assumeSymmetric: true,
  });
  const order = realEigenvalues.map((_, i) => i).sort((a, b) => realEigenvalues[b] - realEigenvalues[a]);
  const turned = new Float64Array(L * P);
  order.forEach((column, l) => {
    for (let i = 0; i < L; i++) {
      const weight = eigenvectorMatrix.get(i, column);
      for (let p = 0; p < P; p++) turned[l * P + p] += weight * basis[i * P + p];
    }
  });
  return {
    basis: turned,
    values: Float64Array.from(order, (column) => Math.max(realEigenvalues[column], 0)),
  };
}

/** Modified Gram-Schmidt over rows, twice for accuracy; a linearly dependent row becomes 0. */
function orthonormal(rows: Numbers, L: number, P: number): Float64Array {
  const q = Float64Array.from(rows);
  for (let l = 0; l < L; l++) {
    const row = q.subarray(l * P, (l + 1) * P);
    const before = lengthOf(row);
    for (let pass = 0; pass < 2; pass++) {
      for (let k = 0; k < l; k++) {
        const other = q.subarray(k * P, (k + 1) * P);
        const overlap = row.reduce((sum, value, p) => sum + value * other[p], 0);
        for (let p = 0; p < P; p++) row[p] -= overlap * other[p];
      }
    }
    const norm = lengthOf(row);
    const scale = norm > 1e-10 * before ? 1 / norm : 0;
    for (let p = 0; p < P; p++) row[p] *= scale;
  }
  return q;
}

/** Euclidean length of a row. Not `Math.hypot`, since a row may have more values than a call takes arguments. */
function lengthOf(row: Float64Array): number {
  return Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
}

function fixSigns(components: Float32Array, K: number, P: number): void {
  for (let k = 0; k < K; k++) {
    const row = components.subarray(k * P, (k + 1) * P);
    const largest = row.reduce((best, value) => Math.abs(value) > Math.abs(best) ? value : best, 0);
    if (largest < 0) row.forEach((value, p) => row[p] = -value);
  }
}
