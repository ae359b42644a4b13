import { closest, distance } from "npm:fastest-levenshtein@1.0.16";

/**
 * The known name that a misspelt one most likely means.
 *
 * @param name what was given; case is ignored
 * @param known the names to choose from
 * @returns the nearest known name, or undefined where more than a third of the letters differ
 */
export function nearest(name: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const given = name.toLowerCase();
  const best = closest(given, known);
  const limit = Math.ceil(Math.max(given.length, best.length) / 3);
  return distance(given, best) <= limit ? best : undefined;
}
