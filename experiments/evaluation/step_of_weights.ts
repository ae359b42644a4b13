import { join } from "node:path";
import { decodeSafetensors, SafetensorsError } from "../../models/mod.ts";
import { runFile } from "../run/layout.ts";
import { lastStep, readMetrics } from "../run/metrics_log.ts";
import { readIfThere } from "../run/contained.ts";
import { decodeProgress } from "../training/run_state.ts";
import type { RunRecord } from "../tracking/record.ts";

/**
 * The step of the weights that a run keeps. One that was killed has logged steps that its weights have not seen. Killed just
 * between the writes of its weights and of its state, it is given the step of the checkpoint before.
 *
 * @throws {RunError} if a file cannot be read
 */
export async function stepOfWeights(run: string, { status }: Pick<RunRecord, "status">): Promise<number> {
  const saved = status === "FINISHED" ? undefined : await savedStep(run);
  return saved ?? lastStep(await readMetrics(join(run, runFile.metrics)));
}

/** The step that a run would go on from; undefined where its state is not there, or damaged. */
async function savedStep(run: string): Promise<number | undefined> {
  const path = join(run, runFile.state);
  const bytes = await readIfThere(path);
  if (bytes === undefined) return undefined;
  try {
    const progress = decodeProgress(decodeSafetensors(bytes, path).metadata.progress);
    return typeof progress === "string" ? undefined : progress.step;
  } catch (error) {
    if (error instanceof SafetensorsError) return undefined;
    throw error;
  }
}
