import { join } from "node:path";
import { findContained } from "../run/contained.ts";
import { readConfig } from "../settings/tasks/train_config.ts";
import type { Artifact, Measured, TrainedRun } from "./artifact.ts";
import { examples } from "./examples.ts";
import { flowGif } from "./flow_gif.ts";
import { flows } from "./flows.ts";
import { paths } from "./paths.ts";
import { report } from "./report.ts";
import { samples } from "./samples.ts";
import { testLoss } from "./test_loss.ts";

/** The artifacts by name, in the order they are made. The report is last because it shows the others. */
export const artifacts = {
  testLoss,
  samples,
  flows,
  flowGif,
  paths,
  examples,
  report,
} as const satisfies Readonly<Record<string, Artifact>>;

/**
 * Writes all artifacts of a trained run.
 *
 * @param measured called with the metrics of an artifact before the next one
 * @param stopped checked before each artifact
 * @returns whether all were written
 * @throws {RunError} if one cannot be written
 */
export async function writeArtifacts(
  trained: TrainedRun,
  measured: (values: Measured) => Promise<void>,
  stopped: () => Promise<boolean>,
): Promise<boolean> {
  for (const artifact of Object.values<Artifact>(artifacts)) {
    if (!artifact.wanted(trained.config)) continue;
    if (await stopped()) return false;
    const values = await artifact.write(trained);
    if (values) await measured(values);
  }
  return true;
}

/**
 * Makes the missing artifacts that can be made from a run's folder, except the report, which the caller may customise.
 *
 * @throws {ConfigError} if the folder's `config.json` cannot be read
 * @throws {RunError} if an artifact cannot be written, or a file leads out of the folder
 */
export async function completeArtifacts(run: string): Promise<void> {
  const files = { run, config: readConfig(run) };
  for (const artifact of Object.values<Artifact>(artifacts)) {
    if (artifact === report || artifact.needs === "network" || !artifact.wanted(files.config)) continue;
    const isThere = (path: string) => findContained(join(run, path), run) !== undefined;
    if (artifact.needs.every(isThere) && !isThere(artifact.file(files.config))) {
      await artifact.write(files);
    }
  }
}
