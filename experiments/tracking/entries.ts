/** MLflow's metrics, params and tags, with names and lengths that a server accepts. */

/** A value at a step and a time. */
export interface MetricEntry {
  readonly key: string;
  /** NaN, Infinity and -Infinity are strings. */
  readonly value: number | string;
  /** Whole milliseconds since 1970. */
  readonly timestamp: number;
  readonly step: number;
}

/** A param or a tag. */
export interface TextEntry {
  readonly key: string;
  readonly value: string;
}

const keyLength = 250;
/** Most characters of a value; MLflow silently cuts longer ones. */
export const valueLengths = { param: 6000, tag: 8000 } as const;

/**
 * A name that MLflow accepts: letters, digits and `_ - . : / space`, and a normalised path.
 *
 * @returns e.g. `lr_` for `lr%`; `_` if nothing is left
 */
export function keyOf(name: string): string {
  const spelled = name.replace(/[^\p{L}\p{N}_\-.:/ ]/gu, "_");
  const parts = spelled.split("/").map((part) => part.replace(/^\.+$/, "_").replaceAll("..", "._"));
  return parts.filter((part) => part !== "").join("/").slice(0, keyLength).replace(/\/$/, "") || "_";
}

/**
 * A metric that a server accepts. Steps and times are whole: at a fraction the server would drop all that follows.
 */
export function metricEntry(key: string, value: number, timestamp: number, step: number): MetricEntry {
  return {
    key: keyOf(key),
    value: Number.isFinite(value) ? value : String(value),
    timestamp: Math.trunc(timestamp),
    step: Math.trunc(step),
  };
}

/** A param or tag that a server accepts: always text, ending in `...` if it had to be cut. */
export function textEntry(kind: keyof typeof valueLengths, key: string, value: unknown): TextEntry {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const most = valueLengths[kind];
  return { key: keyOf(key), value: text.length > most ? text.slice(0, most - 3) + "..." : text };
}

/** Splits entries into requests within the server's limits on number and bytes. */
export function batches<Entry>(entries: readonly Entry[], most: number, mostBytes = 900_000): Entry[][] {
  const all: Entry[][] = [];
  let bytes = Infinity;
  for (const entry of entries) {
    const size = new TextEncoder().encode(JSON.stringify(entry)).length + 1;
    if (bytes + size > mostBytes || all[all.length - 1].length >= most) {
      all.push([]);
      bytes = 0;
    }
    all[all.length - 1].push(entry);
    bytes += size;
  }
  return all;
}
