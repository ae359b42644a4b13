/**
 * The known name that is most like a given one, for messages about names that are not known.
 *
 * @returns undefined if no name is known
 * Source: Levenshtein 1966, Binary codes capable of correcting deletions, insertions and reversals
 */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Infinity;
  for (const candidate of known) {
    const distance = editDistance(name, candidate);
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
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

/** Fewest characters to insert, delete or replace to get from a to b. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}
