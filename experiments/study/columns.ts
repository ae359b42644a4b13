/** The columns of a study: what its tables, its chart and `study.csv` show of a network. */

import type { Evaluation } from "../evaluation/evaluation.ts";
import { keysOf } from "../evaluation/figures.ts";
import type { Metrics } from "../run/metrics_log.ts";
import type { RunConfig } from "../settings/run_config.ts";
import type { RunRecord } from "../tracking/record.ts";
import type { Cell } from "./cells.ts";

/** A finished cell, and what the files of its run say. */
export interface CellFiles {
  readonly cell: Cell;
  readonly record: RunRecord;
  readonly config: RunConfig;
  readonly metrics: readonly Metrics[];
  readonly evaluation: Evaluation;
}

/** What a network costs. */
interface Cost {
  /** Heading of its column. */
  readonly title: string;
  /** Its value for a cell; undefined if the files lack it. */
  readonly of: (files: CellFiles) => number | null | undefined;
  readonly format: (value: number) => string;
  /** Its name in a conclusion, `at 4.6 times the arithmetic`; without one, conclusions leave it out. */
  readonly noun?: string;
  /** Title of its axis in the chart; without one, it has no panel. */
  readonly axis?: string;
  /** Whether it grows with each step of training, so that milestones have less of it. */
  readonly grows?: boolean;
}

const rows = {
  parameters: {
    title: "parameters",
    of: ({ record }) => record.parameterCount,
    format: whole,
    noun: "parameters",
    axis: "parameters",
  },
  /** Of one evaluation for one image. */
  multiplyAdds: {
    title: "multiply-adds",
    of: ({ evaluation }) => evaluation.multiplyAdds,
    format: (value) => `${Number((value / 1e6).toPrecision(3))} M`,
    noun: "arithmetic",
  },
  /** Training images, counting repeats. */
  images: {
    title: "images",
    of: ({ cell, config }) => cell.steps * config.batchSize,
    format: whole,
    axis: "images trained on",
    grows: true,
  },
  /** Duration of training. */
  seconds: {
    title: "seconds",
    of: ({ metrics }) => Number(metrics.findLast((line) => "elapsed_seconds" in line)?.elapsed_seconds ?? 0),
    format: (value) => value.toFixed(1),
    axis: "seconds of training",
    grows: true,
  },
} as const satisfies Record<string, Cost>;

export type CostName = keyof typeof rows;

/** Values by the names of costs. */
export type ByCost<Value> = Readonly<Partial<Record<CostName, Value>>>;

/** The costs of a network by name, in the order of their columns. */
export const costs: Readonly<Record<CostName, Cost>> = rows;

export const costNames = Object.keys(costs) as readonly CostName[];

/** A value for each cost; costs without one are left out. */
export function byCost<Value>(of: (name: CostName) => Value | null | undefined): ByCost<Value> {
  const values = costNames.map((name) => [name, of(name)] as const);
  return Object.fromEntries(values.filter(([, value]) => value !== undefined && value !== null));
}

/** The figures in tables, if measured; `study.csv` has all. */
export const shownFigures: readonly string[] = keysOf([
  "frechet",
  "kernel",
  "confident",
  "asked_class",
  "coverage",
  "velocity_error",
  "bits_per_dimension",
]);

/** Formats a number, rounded to an integer with separators: `32,000`. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString("en");
}
