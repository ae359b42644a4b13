/** MLflow's metrics, params and tags, cut and spelled so that a server takes them whole. */

/** A value at a step and a time. */
export interface MetricEntry {
  readonly key: string;
  /** The numbers that JSON lacks are the words NaN, Infinity and -Infinity. */
  readonly value: number | string;
  /** Milliseconds since 1970, whole. */
  readonly timestamp: number;
  readonly step: number;
}

/** A param or a tag. */
export interface TextEntry {
  readonly key: string;
  readonly value: string;
}

const keyLength = 250;
/** Characters of a value that are kept; MLflow cuts longer ones without a word. */
export const valueLengths = { param: 6000, tag: 8000 } as const;

/**
 * A name as MLflow takes it: letters, digits and `_ - . : / space`, and a path that is its own shortest form.
 *
 * @returns e.g. `lr_` for `lr%`; `_` if nothing is left
 */
export function keyOf(name: string): string {
  const spelled = name.replace(/[^\p{L}\p{N}_\-.:/ ]/gu, "_");
  const parts = spelled.split("/").map((part) => part.replace(/^\.+$/, "_").replaceAll("..", "._"));
  return parts.filter((part) => part !== "").join("/").slice(0, keyLength).replace(/\/$/, "") || "_";
}

/**
 * A metric as a server takes it. Steps and times are whole: a fraction would make the server drop all that follows.
 */
export function metricEntry(key: string, value: number, timestamp: number, step: number): MetricEntry {
  return {
    key: keyOf(key),
    value: Number.isFinite(value) ? value : String(value),
    timestamp: Math.trunc(timestamp),
    step: Math.trunc(step),
  };
}

/** A param or tag as a server takes it: always text, cut with `...` where it is too long. */
export function textEntry(kind: keyof typeof valueLengths, key: string, value: unknown): TextEntry {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const most = valueLengths[kind];
  return { key: keyOf(key), value: text.length > most ? text.slice(0, most - 3) + "..." : text };
}

/** Splits entries into requests within the server's limits of entries and of bytes. */
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
