/** Whether a value is a whole number in a range: what counts something, or is a size, an index or a seed. */
export function isCount(value: unknown, least = 0, most: number = Number.MAX_SAFE_INTEGER): value is number {
  return Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most;
}

/** The largest number that a u32 holds. */
export const maxU32: number = 2 ** 32 - 1;

/**
 * Checks a number that counts something.
 *
 * @param task what needs it, as in `Cannot ${task}`
 * @param name of the argument
 * @throws {RangeError} if it is not a whole number from `least` to `most`
 */
export function checkCount(task: string, name: string, value: unknown, least = 1, most?: number): void {
  if (isCount(value, least, most)) return;
  const range = most === undefined ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new RangeError(`Cannot ${task}: ${name} is ${value} (expected a whole number ${range})`);
}
