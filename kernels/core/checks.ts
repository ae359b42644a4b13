/** Whether a value is a whole number in a range: a count, a size, an index or a seed. */
export function isCount(value: unknown, least = 0, most: number = Number.MAX_SAFE_INTEGER): value is number {
  return Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most;
}

/** Short description of a value, for messages; text is in quotes. */
export function describeValue(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value !== "object" || value === null) {
    return typeof value === "function" ? "a function" : `${value}`;
  }
  if ("then" in value) return "a promise";
  return Array.isArray(value) ? "an array" : `an object of type ${value.constructor?.name ?? "Object"}`;
}

/** The largest number that a u32 holds. */
export const maxU32: number = 2 ** 32 - 1;

/**
 * Checks a number that counts something.
 *
 * @param task what needs it, as in `Cannot ${task}`
 * @param name the argument's name
 * @throws {RangeError} if it is not a whole number from `least` to `most`
 */
export function checkCount(task: string, name: string, value: unknown, least = 1, most?: number): void {
  if (isCount(value, least, most)) return;
  const range = most === undefined ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new RangeError(
    `Cannot ${task}: ${name} is ${describeValue(value)} (expected a whole number ${range})`,
  );
}

/**
 * Checks that an argument is a list.
 *
 * @param task what needs it, as in `Cannot ${task}`
 * @param subject its name, with its verb: `axes are`
 * @param expected what it is a list of
 * @throws {TypeError} if it is not one, such as a single item
 */
export function checkList(task: string, subject: string, value: unknown, expected: string): void {
  if (Array.isArray(value)) return;
  throw new TypeError(`Cannot ${task}: ${subject} ${value} (expected a list of ${expected})`);
}

/**
 * Refuses unknown options, such as those of other libraries, instead of ignoring them silently.
 *
 * @param task what the options are for, as in `Cannot ${task}`
 * @param unknown options that remain after the known ones were taken
 * @param known names of the known options
 * @throws {TypeError} if any option remains
 */
export function refuseUnknown(task: string, unknown: object, known: readonly string[]): void {
  for (const name in unknown) {
    throw new TypeError(`Cannot ${task}: unknown option ${name} (expected ${known.join(", ")})`);
  }
}
