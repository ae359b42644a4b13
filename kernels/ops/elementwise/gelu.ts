/**
 * Error function to f64 accuracy, by the series erf(x) = 2/sqrt(pi) exp(-x^2) sum_n 2^n x^(2n+1) / (2n+1)!!,
 * whose terms are all of one sign.
 *
 * Source: Abramowitz and Stegun 1964, 7.1.6
 */
export function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= 2 * x * x / (2 * n + 1);
    sum += term;
  }
  return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
}

/** Standard normal density phi(x) and distribution function Phi(x). */
const phi = (x: number) => Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
const Phi = (x: number) => (1 + erf(x / Math.SQRT2)) / 2;

/** x Phi(x). */
export const geluOf = (x: number): number => x * Phi(x);
/** d/dx x Phi(x) = Phi(x) + x phi(x). */
export const geluSlope = (x: number): number => Phi(x) + x * phi(x);
