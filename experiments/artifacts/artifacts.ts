import { join } from "node:path";
import { readConfig } from "../settings/tasks/train_config.ts";
import type { Artifact, Measured, TrainedRun } from "./artifact.ts";
import { flowGif } from "./flow_gif.ts";
import { flows } from "./flows.ts";
import { paths } from "./paths.ts";
import { report } from "./report.ts";
import { samples } from "./samples.ts";
import { testLoss } from "./test_loss.ts";

/** What a run leaves behind by name, in the order in which it is made; the report is last, for it shows the others. */
export const artifacts = { testLoss, samples, flows, flowGif, paths, report } as const satisfies Readonly<
  Record<string, Artifact>
>;

/**
 * Makes all that a run of its configuration leaves.
 *
 * @param measured hears what an artifact measured, before the next is made
 * @param stopped asked before each
 * @returns whether all were made
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
 * Makes what a run's folder lacks and has the files for; the report, which can be made in several ways, is left out.
 *
 * @throws {ConfigError} if the folder's `config.json` cannot be read
 * @throws {RunError} if an artifact cannot be made
 */
export async function completeArtifacts(run: string): Promise<void> {
  const files = { run, config: readConfig(run) };
  for (const artifact of Object.values<Artifact>(artifacts)) {
    if (artifact === report || artifact.needs === "network" || !artifact.wanted(files.config)) continue;
    const there = await Promise.all(artifact.needs.map((path) => isFile(join(run, path))));
    if (there.every(Boolean) && !await isFile(join(run, artifact.file(files.config)))) {
      await artifact.write(files);
    }
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
