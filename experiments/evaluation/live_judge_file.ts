import { join } from "node:path";
import { decodeJudge, decodeSafetensors, encodeSafetensors } from "../../models/mod.ts";
import type { LiveJudge } from "../../viz/report/mod.ts";
import { RunError, writeAtomic } from "../run/atomic_write.ts";
import { runFile } from "../run/layout.ts";
import { readIfThere } from "../run/contained.ts";

/**
 * Writes what the report's page judges fresh samples by: `judge.safetensors`, the judge's file as it is, and
 * `reference.safetensors` with `features`, f32[N, F], of test images.
 *
 * @throws {RunError} if a file cannot be written
 */
export async function writeLiveJudge(run: string, { weights, reference }: LiveJudge): Promise<void> {
  const { values: data, rows, width } = reference;
  await writeAtomic(join(run, runFile.judge), weights);
  const features = { shape: [rows, width], data };
  await writeAtomic(join(run, runFile.reference), encodeSafetensors(new Map([["features", features]])));
}

/**
 * Reads what the report's page judges fresh samples by.
 *
 * @returns undefined if one of the files is missing, as in runs that were not evaluated
 * @throws {RunError} if a file cannot be read, or holds no features
 * @throws {SafetensorsError} if a file is damaged
 * @throws as `decodeJudge`
 */
export async function readLiveJudge(run: string): Promise<LiveJudge | undefined> {
  const path = join(run, runFile.reference), judge = join(run, runFile.judge);
  const weights = await readIfThere(judge, run);
  const bytes = await readIfThere(path, run);
  if (!weights || !bytes) return undefined;
  decodeJudge(weights, judge);
  const features = decodeSafetensors(bytes, path).tensors.get("features");
  if (features?.shape.length === 2 && features.data.every(Number.isFinite)) {
    const [rows, width] = features.shape;
    return { weights, reference: { values: features.data, rows, width } };
  }
  throw new RunError(
    `Cannot read ${path}: it holds no finite features f32[N, F]; delete the file, or evaluate the run again`,
  );
}
