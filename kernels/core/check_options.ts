/**
 * Refuses options that a function does not have, such as those of other libraries: without effect, they would give other
 * numbers silently.
 *
 * @param task what has the options, as in `Cannot ${task}`
 * @param others what is left of the given ones
 * @param known names of the function's own
 * @throws {TypeError} if any is left
 */
export function refuseOthers(task: string, others: object, known: readonly string[]): void {
  for (const name in others) {
    throw new TypeError(`Cannot ${task}: unknown option ${name} (expected ${known.join(", ")})`);
  }
}
