import { closest, distance } from "npm:fastest-levenshtein@1.0.16";

/**
 * The known name that a misspelt one most likely means.
 *
 * @param name what was given; case is ignored
 * @param known the names to choose from
 * @returns undefined where more than a third of the letters differ from every known name
 */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  const spelled = new Map([...known].map((word) => [word.toLowerCase(), word]));
  if (spelled.size === 0) return undefined;
  const given = name.toLowerCase();
  const found = closest(given, [...spelled.keys()]);
  const limit = Math.ceil(Math.max(given.length, found.length) / 3);
  return distance(given, found) <= limit ? spelled.get(found) : undefined;
}

/**
 * The message about a name that is not known, e.g.
 * `Unknown solver "huen": did you mean "heun"? (known: euler, midpoint, heun, rk4)`.
 *
 * @param what the kind of name
 * @param of what it is a name of, for the message
 */
export function unknownName(what: string, name: string, known: readonly string[], of?: string): string {
  const meant = nearest(name, known);
  const where = of === undefined ? "" : ` of ${of}`;
  const question = meant === undefined ? "" : `: did you mean "${meant}"?`;
  return `Unknown ${what} "${name}"${where}${question} (known: ${known.join(", ")})`;
}

/**
 * Checks that an object has no fields but the known ones.
 *
 * @param of what the settings are of, for the message
 * @throws {TypeError} naming the unknown setting, the nearest known one if there is one, and all known ones
 */
export function rejectUnknown(settings: object, known: readonly string[], of: string): void {
  const unknown = Object.keys(settings).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new TypeError(unknownName("setting", unknown, known, of));
}
