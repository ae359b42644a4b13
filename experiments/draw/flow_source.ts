import { basename, join, resolve } from "node:path";
import type { FlowRow } from "../../viz/mod.ts";
import { RunError } from "../run/atomic_write.ts";
import { modelNameOf } from "../../models/mod.ts";
import { type FlowSnapshots, readFlowSnapshots } from "./flow_snapshots.ts";
import { ConfigError, didYouMean } from "../settings/setting.ts";
import { FolderStore } from "../tracking/folder_store.ts";
import { openStore, type StoreChoice } from "../tracking/open_store.ts";
import { loadSnapshots } from "./load_snapshots.ts";
import type { RunSummary } from "../tracking/store.ts";

/** A run and the evolutions it stores. */
export interface StoredFlow {
  readonly name: string;
  /** Its folder, or its id on a server. */
  readonly key: string;
  readonly samples: readonly FlowSnapshots[];
  /** What a store tells of the run, where it was found by its experiment. */
  readonly summary?: RunSummary;
}

/**
 * Loads the evolutions of runs: of named folders, or of all or named runs of an experiment.
 *
 * @param runs folders, or names or ids of runs of the experiment
 * @param where a server or `experiment` says that runs are looked up in a store
 * @throws {ConfigError} if nothing says which runs, or there is no run of a name
 * @throws {RunError} if a run has no snapshots
 */
export async function loadFlows(runs: readonly string[], where: StoreChoice): Promise<StoredFlow[]> {
  const stored = where.from === "server" || where.mlflow !== null || where.experiment !== null;
  if (!stored && runs.length === 0) {
    throw new ConfigError("Missing RUN: name the folder of a run, or an --experiment (see --help)");
  }
  return stored ? await fromStore(runs, where) : await Promise.all(runs.map((run) => fromFolder(run, where)));
}

async function fromFolder(run: string, { root }: StoreChoice): Promise<StoredFlow> {
  const folder = await isFolder(run) ? run : join(root, run);
  if (!await isFolder(folder)) {
    const known = (await new FolderStore(root).list()).map(({ key }) => key);
    throw new ConfigError(`Cannot find the run ${run}: there is no such folder${nearestOf(run, known)}`);
  }
  return { name: basename(resolve(folder)), key: folder, samples: await readFlowSnapshots(folder) };
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch {
    return false;
  }
}

async function fromStore(runs: readonly string[], where: StoreChoice): Promise<StoredFlow[]> {
  const store = openStore(where);
  const flows = (await loadSnapshots(store, where.experiment ?? undefined))
    .map(({ run, samples }) => ({ name: run.name, key: run.key, samples, summary: run }));
  if (flows.length === 0) {
    const experiment = where.experiment === null ? "" : ` of experiment ${where.experiment}`;
    throw new RunError(`Cannot find snapshots: no run${experiment} in ${store.description} stores any`);
  }
  if (runs.length === 0) return flows;
  return runs.map((run) => {
    const found = flows.find(({ key }) => key === run) ?? flows.findLast(({ name }) => name === run);
    if (found) return found;
    const known = flows.map(({ name }) => name);
    throw new ConfigError(
      `Cannot find a run ${run} with snapshots in ${store.description}${nearestOf(run, known)}`,
    );
  });
}

/** The nearest name, or all there are if that is a few. */
function nearestOf(name: string, known: readonly string[]): string {
  const meant = didYouMean(name, known);
  if (meant !== "" || known.length === 0) return meant;
  return known.length <= 10 ? ` (there are ${known.join(", ")})` : " (see deno task runs)";
}

/** What all rows of a picture share, and what a reader of it should be told. */
export interface FlowRows {
  readonly rows: readonly FlowRow[];
  /** `Sample 1` and so on. */
  readonly columnTitles: readonly string[];
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
  const sizes = flows.map((flow) => flow.samples[0].evolution.shape.slice(1).join(" x "));
  const other = sizes.findIndex((size) => size !== sizes[0]);
  if (other > 0) {
    throw new RunError(
      `Cannot draw ${flows[0].name} and ${flows[other].name} together: their images are ` +
        `${sizes[0]} and ${sizes[other]} (expected one size)`,
    );
  }
  const labels = labelsOf(flows);
  const rows = flows.map((flow, row) => ({
    ...flows.length > 1 && { label: labels[row] },
    evolutions: chosen.map((k) => {
      const found = flow.samples.find((sample) => sample.k === k);
      if (found) return found.evolution;
      const known = flow.samples.map((sample) => sample.k).join(", ");
      throw new RunError(`Cannot draw sample ${k} of ${flow.name}: it stores ${known}`);
    }),
  }));
  const seeds = flows.map((flow) => flow.samples[0].seed);
  return {
    rows,
    columnTitles: chosen.map((k) => `Sample ${k}`),
    ...new Set(seeds).size > 1 && {
      warning: `The runs start from different noise: their seeds are ${seeds.join(", ")} in the order given`,
    },
  };
}

/** Short names of models where they tell runs apart, else the runs' names. */
function labelsOf(flows: readonly StoredFlow[]): string[] {
  const models = flows.map(({ samples: [{ modelType }] }) => modelNameOf(modelType));
  return new Set(models).size === flows.length ? models : flows.map(({ name }) => name);
}

function namesOf(flows: readonly StoredFlow[]): string {
  return flows.map(({ name }) => name).join(", ");
}
