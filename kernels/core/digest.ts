/**
 * A digest of texts, 16 hexadecimal digits, to tell versions apart; not for secrets.
 * Source: Fowler, Noll, Vo: FNV-1a.
 */
export function digestOf(texts: readonly string[]): string {
  let [low, high] = [0x811c9dc5, 0x01000193];
  for (const text of texts) {
    for (let i = 0; i <= text.length; i++) {
      const code = i < text.length ? text.charCodeAt(i) : 0xffff; // the end of a text counts, too
      low = Math.imul(low ^ code, 0x01000193);
      high = Math.imul(high ^ code ^ low >>> 15, 0x5bd1e995);
    }
  }
  return [low, high].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}
