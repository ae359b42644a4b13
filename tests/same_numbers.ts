/** Comparison of many numbers: `deepEqual` prints all of them, and a failing test then takes gigabytes. */

import assert from "node:assert/strict";

type Numbers = ArrayLike<number> & object;

const isNumbers = (value: unknown): value is Numbers =>
  ArrayBuffer.isView(value) && !(value instanceof DataView) ||
  Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === "number");

const kindOf = (value: unknown) =>
  Object(value) === value ? (value as object).constructor?.name ?? "object" : typeof value;

/** Asserts that two values are equal to the bit: numbers in arrays, or in objects, maps and arrays of these. */
export function assertSameNumbers(actual: unknown, expected: unknown, what = "values"): void {
  if (isNumbers(actual) && isNumbers(expected)) return compare(actual, expected, what);
  if (actual instanceof Map && expected instanceof Map) {
    return assertSameNumbers(Object.fromEntries(actual), Object.fromEntries(expected), what);
  }
  const isPlain = (value: unknown): value is Record<string, unknown> =>
    Array.isArray(value) || kindOf(value) === "Object";
  if (!isPlain(actual) || !isPlain(expected)) return assert.deepEqual(actual, expected, what);
  assert.equal(kindOf(actual), kindOf(expected), what);
  assert.deepEqual(Object.keys(actual), Object.keys(expected), `parts of ${what}`);
  for (const key of Object.keys(expected)) assertSameNumbers(actual[key], expected[key], `${what}, ${key}`);
}

function compare(actual: Numbers, expected: Numbers, what: string): void {
  assert.equal(kindOf(actual), kindOf(expected), `type of ${what}`);
  assert.equal(actual.length, expected.length, `number of ${what}`);
  let first = -1, count = 0;
  for (let i = 0; i < expected.length; i++) {
    if (Object.is(actual[i], expected[i])) continue;
    if (count++ === 0) first = i;
  }
  if (count === 0) return;
  const differ = `${actual[first]}, not ${expected[first]}; ${count} of ${expected.length} differ`;
  assert.fail(`${what}: number ${first} is ${differ}`);
}
