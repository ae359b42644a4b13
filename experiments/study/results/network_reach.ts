import { loadCheckpoint } from "../../../models/mod.ts";
import { readExamples } from "../../data/example_file.ts";
import { readFile } from "../../run/read_file.ts";
import { findWeights } from "../../run/run_weights.ts";
import { cellFolder, type Study } from "../study.ts";
import { type ReachSummary, reachSummary } from "./reach_summary.ts";
import { type Setup, variedSettings } from "./setups.ts";
import { type Reach, timeReach } from "./time_reach.ts";

/** Settings that change what time and attention can do in a network. */
const structural = ["model", "attn", "groups", "timeEmbedding"];

/** Whether a study compares networks of which it is worth to know where time reaches. */
export function comparesNetworks(setups: readonly Setup[]): boolean {
  const varied = variedSettings(setups.map(({ settings }) => settings));
  return varied.some((name) => structural.includes(name));
}

/**
 * Measures in all finished networks of a study where time reaches, and what attention does. The device in use computes.
 *
 * @returns a summary for each setup with weights and test images
 * @throws {RunError} if a file cannot be read
 */
export async function networkReach(study: Study, setups: readonly Setup[]): Promise<ReachSummary[]> {
  const summaries: ReachSummary[] = [];
  for (const { label, records } of setups) {
    const found: Reach[] = [];
    for (const { cell } of records) {
      const reach = await reachOf(cellFolder(study, { id: cell }));
      if (reach) found.push(reach);
    }
    const summary = reachSummary(label, found);
    if (summary) summaries.push(summary);
  }
  return summaries;
}

async function reachOf(run: string): Promise<Reach | undefined> {
  const [weights, examples] = [findWeights(run), await readExamples(run)];
  if (!weights || !examples) return undefined;
  const { model, info: { normalization }, shape } = loadCheckpoint(
    await readFile(weights.path),
    weights.path,
  );
  return await timeReach({ model, normalization, shape }, examples);
}
