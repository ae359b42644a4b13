import type { FlowSnapshots } from "./snapshot_files.ts";

/** What stands above the columns of stored samples, and what ends the title. */
export interface FlowWords {
  /** The class that each sample was asked to be of, or else `Sample 1` and so on. */
  readonly titles: readonly string[];
  /** Columns of a grid of the samples: one a class; undefined where there are none. */
  readonly columns?: number;
  /** The guidance, if there is any. */
  readonly remark?: string;
}

/** The words for samples of one network, or for those of the same numbers of several. */
export function wordsOf(samples: readonly Pick<FlowSnapshots, "k" | "label" | "guidance">[]): FlowWords {
  const labels = samples.flatMap(({ label }) => label ?? []);
  if (labels.length < samples.length) return { titles: samples.map(({ k }) => `Sample ${k}`) };
  const { guidance = 1 } = samples[0];
  return {
    titles: labels.map(String),
    columns: new Set(labels).size,
    ...guidance !== 1 && { remark: `guidance ${guidance}` },
  };
}

/** Rows of so many columns; without a number of them, one row. */
export function inRows<T>(samples: readonly T[], columns = samples.length): T[][] {
  const rows = Math.ceil(samples.length / columns);
  return Array.from({ length: rows }, (_, row) => samples.slice(row * columns, (row + 1) * columns));
}
