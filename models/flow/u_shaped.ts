import {
  abs,
  add,
  divide,
  less,
  log,
  maximum,
  minimum,
  multiply,
  negate,
  randomUniform,
  sqrt,
  square,
  subtract,
  where,
} from "../../kernels/mod.ts";
import type { TimeDistribution } from "./time_distribution.ts";

/** Below this a, times differ from uniform ones by less than 1e-5, and asinh(x) / a in f32 would lose as much. */
const leastSteep = 0.03;

/**
 * Density e^(a t) + e^(a (1 - t)), that is cosh(a (t - 1/2)) up to a factor, by its inverse distribution function
 * t = 1/2 + asinh((2 u - 1) sinh(a / 2)) / a with u ~ U[0, 1).
 *
 * @param a how much steeper the ends are, above 0, at most 40
 * @throws {RangeError} if it is not
 * Source: Lee, Lin and Fanti 2024, arXiv:2405.20340, section 3.1, for reflow with a = 4
 */
export function uShaped({ a }: { a: number }): TimeDistribution {
  if (!(a > 0 && a <= 40)) {
    throw new RangeError(`Cannot draw u_shaped times: a is ${a} (expected a number above 0, at most 40)`);
  }
  if (a < leastSteep) return { draw: (key, n) => randomUniform(key, [n]) };
  return {
    draw(key, n) {
      const u = randomUniform(key, [n]);
      const x = multiply(abs(subtract(multiply(u, 2), 1)), Math.sinh(a / 2));
      const away = divide(log(add(x, sqrt(add(square(x), 1)))), a); // asinh(x) / a, the distance from the middle
      const t = add(where(less(u, 0.5), negate(away), away), 0.5);
      return minimum(maximum(t, 0), 1); // rounding may pass an end
    },
  };
}
