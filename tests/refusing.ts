import assert from "node:assert/strict";

/** Checks that arguments for counts refuse values that are not counts, with a clear error. */

/** Values that are not counts. Calls skip those that are valid for them. */
export const notCounts: readonly number[] = [
  1.5,
  NaN,
  -2,
  Infinity,
  2 ** 60,
  "2" as unknown as number,
  null as unknown as number,
];

/** A call with one argument to test. */
export type Counting = (value: number) => unknown;

/** Asserts that a call refuses each of some values with a clear error, thrown or by its promise. */
export async function assertRefuses(name: string, call: Counting, values: readonly number[] = notCounts) {
  for (const value of values) {
    let refusal: unknown;
    try {
      await call(value);
    } catch (error) {
      refusal = error;
    }
    assert.ok(refusal instanceof Error, `${name} takes ${value}`);
    assert.match(refusal.message, /^Cannot /, `${name} with ${value}: ${refusal.stack}`);
    if (typeof value === "string") assert.ok(refusal.message.includes(`"${value}"`), refusal.message);
  }
}

/** Lists of numbers for comparisons. */

/** Numbers in ascending order. */
export const sorted = (values: Iterable<number>) => [...values].sort((a, b) => a - b);

/** The numbers from 0 to n - 1. */
export const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);
