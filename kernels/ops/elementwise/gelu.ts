import { erf } from "./erf.ts";

/** Standard normal density phi(x) and distribution function Phi(x). */
const phi = (x: number) => Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
const Phi = (x: number) => (1 + erf(x / Math.SQRT2)) / 2;

/** x Phi(x). */
export const geluOf = (x: number): number => x * Phi(x);
/** d/dx x Phi(x) = Phi(x) + x phi(x). */
export const geluSlope = (x: number): number => Phi(x) + x * phi(x);
