import { closest } from "npm:fastest-levenshtein@1.0.16";

/**
 * The known name that is most like a given one, for messages about names that are not known.
 *
 * @returns undefined if no name is known
 */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  const names = [...known];
  return names.length === 0 ? undefined : closest(name, names);
}

/**
 * Checks that an object has no fields but the known ones.
 *
 * @param of what the settings are of, for the message
 * @throws {TypeError} naming the unknown setting and the nearest known one
 */
export function rejectUnknown(settings: object, known: readonly string[], of: string): void {
  for (const name of Object.keys(settings)) {
    if (known.includes(name)) continue;
    throw new TypeError(
      `Unknown setting "${name}" of ${of}: did you mean "${nearest(name, known)}"? (known: ${
        known.join(", ")
      })`,
    );
  }
}
