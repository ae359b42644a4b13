import { join } from "node:path";
import { writeAtomic } from "../run/atomic_write.ts";
import { readJson } from "../run/read_file.ts";
import type { RunStatus } from "./client.ts";
import { runFile } from "../run/layout.ts";

/** What a run trains on. */
export interface RecordedDataset {
  readonly name: string;
  /** SHA-256 of the training images, in hex. */
  readonly digest: string;
  readonly source: string;
  /** Not in records of version 0.1, whose images have one channel. */
  readonly channels?: number;
  readonly height: number;
  readonly width: number;
  /** Number of classes; not in records of version 0.1. */
  readonly classes?: number;
  /** Images that the network learns from. */
  readonly train: number;
  readonly validation: number;
  readonly test: number;
}

/** What a run is, the content of `run.json`. Times are milliseconds since 1970. */
export interface RunRecord {
  /** Ours, the same on every server. */
  readonly id: string;
  readonly name: string;
  readonly experiment: string;
  readonly status: RunStatus;
  readonly startedAt: number;
  /** null while it runs. */
  readonly endedAt: number | null;
  /** Why it failed. */
  readonly reason: string | null;
  readonly user: string | null;
  /** The script or task. */
  readonly source: string;
  readonly gitBranch: string | null;
  readonly parameterCount: number | null;
  readonly dataset: RecordedDataset | null;
  /** The id of the run that this one stands for in a comparison. */
  readonly standsFor: string | null;
}

/**
 * Reads what a folder says of its run.
 *
 * @returns undefined if the folder is no run
 * @throws {RunError} if the file cannot be read
 */
export async function readRecord(folder: string): Promise<RunRecord | undefined> {
  const json = await readJson(join(folder, runFile.record));
  return json === undefined ? undefined : json as unknown as RunRecord;
}

/** @throws {RunError} if the folder cannot be written */
export async function writeRecord(folder: string, record: RunRecord): Promise<void> {
  await writeAtomic(join(folder, runFile.record), JSON.stringify(record, null, 2) + "\n");
}
