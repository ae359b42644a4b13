import { drawFlows } from "../../draw/draw_flows.ts";
import { flowRows } from "../../draw/flow_rows.ts";
import { findFlowSnapshots } from "../../draw/snapshot_files.ts";
import type { StoredFlow } from "../../draw/stored_flows.ts";
import { animating } from "../../settings/tasks/animate.ts";
import { cellFolder, type Study } from "../study.ts";
import { type Setup, sharedSeed } from "./setups.ts";

/** Most rows and columns. */
const most = { setups: 12, samples: 5 };
/** Fewer frames than of one run, as the picture is larger. */
const frames = 40;

/** An animation of setups from the same noise. */
export interface ComparisonGif {
  readonly bytes: Uint8Array;
  /** The seed of the runs, and so of the noise. */
  readonly seed: number;
  /** Labels of the rows. */
  readonly labels: readonly string[];
}

/**
 * Draws samples of all setups on their way, a row each, from the same noise: by the runs of the seed that most setups have
 * finished.
 *
 * @returns undefined if no two setups store flows of one seed
 * @throws {RunError} if a flow cannot be read, or images of setups differ in size
 */
export async function comparisonGif(
  study: Study,
  setups: readonly Setup[],
): Promise<ComparisonGif | undefined> {
  const seed = sharedSeed(setups);
  if (seed === undefined) return undefined;
  const flows: (StoredFlow & { readonly label: string })[] = [];
  for (const { label, records } of setups) {
    const record = records.find((record) => record.seed === seed);
    if (!record || flows.length === most.setups) continue;
    const samples = await findFlowSnapshots(cellFolder(study, { id: record.cell }));
    if (samples.length > 0) flows.push({ name: record.cell, key: record.cell, samples, label });
  }
  if (flows.length < 2) return undefined;
  const common = flows[0].samples.map(({ k }) => k)
    .filter((k) => flows.every(({ samples }) => samples.some((sample) => sample.k === k)));
  const { rows, warning: _, ...words } = flowRows(flows, common.slice(0, most.samples));
  const labels = flows.map(({ label }) => label);
  const options = { ...animating.resolve({ field: "none", frames, scale: 4 }), help: false, runs: [] };
  const { bytes } = await drawFlows(
    { ...words, rows: rows.map((row, i) => ({ ...row, label: labels[i] })) },
    options,
  );
  return { bytes, seed, labels };
}
