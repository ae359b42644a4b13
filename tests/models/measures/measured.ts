import assert from "node:assert/strict";
import type { Points } from "../../../models/measures/points.ts";
import { randomBits, uniforms } from "../../../kernels/mod.ts";
import vectors from "../../vectors/measures.json" with { type: "json" };

export { vectors };

interface Settings {
  readonly counter: number;
  readonly rows: number;
  readonly width: number;
  readonly scale: number;
  readonly shift: number;
}

/** The same points as `points` of tests/vectors/make_measures.py. */
export function points({ counter, rows, width, scale, shift }: Settings): Points {
  const u = uniforms(vectors.seed, 0, counter, 4 * rows * width);
  const z = Float64Array.from({ length: rows * width }, (_, i) => {
    return u[4 * i] + u[4 * i + 1] + u[4 * i + 2] + u[4 * i + 3] - 2;
  });
  const before = (i: number) => i % width === 0 ? i + width - 1 : i - 1;
  return { values: Float32Array.from(z, (x, i) => scale * (x + 0.5 * z[before(i)]) + shift), rows, width };
}

/** Points, and their measures computed in Python. */
export const cases = Object.entries(vectors.cases).map(([name, { sets, ...expected }]) => ({
  name,
  expected,
  reference: points(sets.reference),
  samples: points(sets.samples),
  train: points(sets.train),
}));

/** Normally distributed points, different for each counter. */
export function normalPoints(counter: number, rows: number, width: number, scale = 1, shift = 0): Points {
  const bits = randomBits(1, 0, counter, 2 * rows * width);
  const values = Float32Array.from({ length: rows * width }, (_, i) => {
    const [a, b] = [(bits[2 * i] + 1) * 2 ** -32, bits[2 * i + 1] * 2 ** -32];
    return shift + scale * Math.sqrt(-2 * Math.log(a)) * Math.cos(2 * Math.PI * b);
  });
  return { values, rows, width };
}

/** Joins sets of points. */
export function joined(...sets: readonly Points[]): Points {
  return {
    values: Float32Array.from(sets.flatMap(({ values }) => [...values])),
    rows: sets.reduce((sum, { rows }) => sum + rows, 0),
    width: sets[0].width,
  };
}

/** Asserts a figure, up to a relative error. */
export function assertRelative(actual: number, expected: number, tolerance: number, what = "value"): void {
  const error = Math.abs(actual - expected) / Math.abs(expected);
  assert.ok(error <= tolerance, `${what} is ${actual} (expected ${expected})`);
}
