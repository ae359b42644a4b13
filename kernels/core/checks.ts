/**
 * An error whose message is all that a user needs: what was tried, why not, what was given and what to do.
 *
 * Programs print it as one line, without a stack trace. Every error of this library that a user can cause extends it.
 */
export class UserError extends Error {
  /** Class name, printed at the start of the line. */
  override readonly name: string = "UserError";
}

/**
 * Throws an error with the message of this library: `Cannot run groupNorm: epsilon is -1 (expected a number of at least 0)`.
 *
 * @param kind class of the error
 * @param what what was tried, why it cannot be, and what was given: all between `Cannot` and `(expected`
 * @param expected what was expected, and what to do; left out if `what` says it
 */
export function refuse(kind: new (message: string) => Error, what: string, expected?: string): never {
  throw new kind(expected === undefined ? `Cannot ${what}` : `Cannot ${what} (expected ${expected})`);
}

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
 */
export function checkCount(task: string, name: string, value: unknown, least = 1, most?: number): void {
  if (isCount(value, least, most)) return;
  const range = most === undefined ? `of at least ${least}` : `from ${least} to ${most}`;
  refuse(RangeError, `${task}: ${name} is ${describeValue(value)}`, `a whole number ${range}`);
}

/**
 * Checks that an argument is a list.
 *
 * @param task what needs it, as in `Cannot ${task}`
 * @param subject its name, with its verb: `axes are`
 * @param expected what it is a list of
 */
export function checkList(task: string, subject: string, value: unknown, expected: string): void {
  if (Array.isArray(value)) return;
  refuse(TypeError, `${task}: ${subject} ${value}`, `a list of ${expected}`);
}

/**
 * Refuses unknown options, such as those of other libraries, instead of ignoring them silently.
 *
 * @param task what the options are for, as in `Cannot ${task}`
 * @param unknown options that remain after the known ones were taken
 * @param known names of the known options
 */
export function refuseUnknown(task: string, unknown: object, known: readonly string[]): void {
  for (const name in unknown) {
    refuse(TypeError, `${task}: unknown option ${name}`, known.join(", "));
  }
}
