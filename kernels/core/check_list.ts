/**
 * Checks that a caller gave a list.
 *
 * @param task what needs it, as in `Cannot ${task}`
 * @param subject its name, with its verb: `axes are`
 * @param expected what it is a list of
 * @throws {TypeError} if it is none, such as a single one of what it should hold
 */
export function checkList(task: string, subject: string, given: unknown, expected: string): void {
  if (Array.isArray(given)) return;
  throw new TypeError(`Cannot ${task}: ${subject} ${given} (expected a list of ${expected})`);
}
