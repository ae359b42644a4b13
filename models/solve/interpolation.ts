/** Weights of what is known of a step, in x and in its slope at a time within the step. */
export interface InterpolationWeights {
  /** Of x at the start and at the end, of v at the start and at the end, and of the correction. */
  readonly x: readonly [x0: number, x1: number, v0: number, v1: number, dense: number];
  /** Of the same, in dx/dt. */
  readonly slope: readonly [x0: number, x1: number, v0: number, v1: number, dense: number];
}

/**
 * A solver's own interpolation within a step: the cubic through x and v at both ends (Hermite), plus the correction
 * s^2 (1 - s)^2 dt sum_i dense_i k_i of solvers that have one. The cubic has error O(dt^4), enough for a solver of
 * order 3; with its correction, that of dopri5 has O(dt^5).
 *
 * @param share of the step, in [0, 1]; at both ends the values are those of the step, to the bit
 * @param dt length of the step, not 0; the correction already contains it
 * Source: Hairer, Nørsett and Wanner 1993, Solving Ordinary Differential Equations I, section II.6
 */
export function interpolation(share: number, dt: number): InterpolationWeights {
  const [s, r] = [share, 1 - share];
  const fall = s * s * (3 - 2 * s);
  const change = 6 * s * r / dt;
  return {
    x: [1 - fall, fall, dt * s * r * r, -dt * s * s * r, s * s * r * r],
    slope: [-change, change, r * (1 - 3 * s), s * (3 * s - 2), 2 * s * r * (r - s) / dt],
  };
}
