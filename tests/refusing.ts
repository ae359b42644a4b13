/** Checks that arguments that count something refuse what is not such a number, in words. */

import assert from "node:assert/strict";

/** What counts nothing. Calls skip those that mean something to them. */
export const notCounts: readonly number[] = [
  1.5,
  NaN,
  -2,
  Infinity,
  2 ** 60,
  "2" as unknown as number,
  null as unknown as number,
];

/** A call that gives a number to one argument. */
export type Counting = (value: number) => unknown;

/** Asserts that a call refuses every one of some values with an error in words, at once or by its promise. */
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
  }
}
