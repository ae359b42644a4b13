import { modelNameOf } from "../../models/mod.ts";
import { type FlowRow, imageSizeOf, sizeInWords } from "../../viz/mod.ts";
import { RunError } from "../run/atomic_write.ts";
import { wordsOf } from "./flow_words.ts";
import type { FlowSnapshots } from "./snapshot_files.ts";
import type { StoredFlow } from "./stored_flows.ts";

/** The rows of a picture, and what its reader should know. */
export interface FlowRows {
  readonly rows: readonly FlowRow[];
  /** `Sample 1` and so on, or the class that all runs asked of a sample. */
  readonly columnTitles: readonly string[];
  /** Columns of a grid of the samples of one run; undefined for one that is nearly square. */
  readonly columns?: number;
  /** The guidance, if it is the same for all runs. */
  readonly remark?: string;
  /** Set if the runs started from different noise. */
  readonly warning?: string;
}

/**
 * Rows for a picture: one for each run, with the samples that all of them store.
 *
 * @param samples their numbers; empty for all that every run stores
 * @throws {RunError} if a run does not store a sample, the runs have none in common, or their images differ in size
 */
export function flowRows(flows: readonly StoredFlow[], samples: readonly number[]): FlowRows {
  const common = flows[0].samples.map(({ k }) => k)
    .filter((k) => flows.every((flow) => flow.samples.some((sample) => sample.k === k)));
  const chosen = samples.length > 0 ? samples : common;
  if (chosen.length === 0) {
    throw new RunError(`Cannot draw ${namesOf(flows)} together: they store no sample of the same number`);
  }
  const sizes = flows.map((flow) => sizeInWords(imageSizeOf(flow.samples[0].trajectory)));
  const other = sizes.findIndex((size) => size !== sizes[0]);
  if (other > 0) {
    throw new RunError(
      `Cannot draw ${flows[0].name} and ${flows[other].name} together: their images are ` +
        `${sizes[0]} and ${sizes[other]} (expected one size)`,
    );
  }
  const labels = labelsOf(flows);
  const samplesOf = (flow: StoredFlow) =>
    chosen.map((k) => {
      const found = flow.samples.find((sample) => sample.k === k);
      if (found) return found;
      const known = flow.samples.map((sample) => sample.k).join(", ");
      throw new RunError(`Cannot draw sample ${k} of ${flow.name}: it stores ${known}`);
    });
  const drawn = flows.map(samplesOf);
  const rows = drawn.map((samples, row) => ({
    ...flows.length > 1 && { label: labels[row] },
    trajectories: samples.map(({ trajectory }) => trajectory),
  }));
  const seeds = flows.map((flow) => flow.samples[0].seed);
  return {
    rows,
    ...sharedWords(drawn),
    ...new Set(seeds).size > 1 && {
      warning: `The runs start from different noise: their seeds are ${seeds.join(", ")} in the order given`,
    },
  };
}

/** What to say of the samples of all runs: of their classes, if all were asked for the same in the same way. */
function sharedWords(flows: readonly (readonly FlowSnapshots[])[]): Omit<FlowRows, "rows" | "warning"> {
  const [{ titles, ...words }, ...others] = flows.map(wordsOf);
  const isShared = others.every((other) =>
    `${other.titles}` === `${titles}` && other.remark === words.remark
  );
  if (isShared) return { columnTitles: titles, ...words };
  return { columnTitles: flows[0].map(({ k }) => `Sample ${k}`) };
}

/** The networks' names where they tell the runs apart, else the runs' names. */
function labelsOf(flows: readonly StoredFlow[]): string[] {
  const models = flows.map(({ samples: [{ modelType }] }) => modelNameOf(modelType));
  return new Set(models).size === flows.length ? models : flows.map(({ name }) => name);
}

function namesOf(flows: readonly StoredFlow[]): string {
  return flows.map(({ name }) => name).join(", ");
}
