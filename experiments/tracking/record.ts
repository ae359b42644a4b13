import { join } from "node:path";
import { RunError, writeAtomic } from "../run/atomic_write.ts";
import {
  count,
  type FieldCheck,
  fieldProblem,
  fieldsOf,
  listOf,
  oneOf,
  optional,
  text,
  time,
} from "../run/field_checks.ts";
import { readJson } from "../run/contained.ts";
import { type RunStatus, runStatuses } from "./answers.ts";
import { runFile } from "../run/layout.ts";

/** The data that a run trains on. */
export interface RecordedDataset {
  readonly name: string;
  /** SHA-256 of the training images, in hex. */
  readonly digest: string;
  readonly source: string;
  /** Not in records of version 0.1, whose images have one channel. */
  readonly channels?: number;
  readonly height: number;
  readonly width: number;
  /** Number of classes, 0 for data without labels; not in records of version 0.1. */
  readonly classes?: number;
  /** What the classes are called, by label; only where they have names. */
  readonly classNames?: readonly string[] | null;
  /** Images that the network learns from. */
  readonly train: number;
  readonly validation: number;
  readonly test: number;
}

/** Identity and status of a run, the content of `run.json`. Times are milliseconds since 1970. */
export interface RunRecord {
  /** Our own id, the same on every server. */
  readonly id: string;
  readonly name: string;
  readonly experiment: string;
  readonly status: RunStatus;
  readonly startedAt: number;
  /** null while the run is running. */
  readonly endedAt: number | null;
  /** Why it failed. */
  readonly reason: string | null;
  readonly user: string | null;
  /** The task that made it. */
  readonly source: string;
  readonly gitBranch: string | null;
  readonly parameterCount: number | null;
  readonly dataset: RecordedDataset | null;
  /** In a comparison: the id of the run that this one represents. */
  readonly standsFor: string | null;
}

const orText = optional(text);

const dataset = fieldsOf({
  ...{ name: text, digest: text, source: text },
  ...{ height: count, width: count, train: count, validation: count, test: count },
  ...{ channels: optional(count), classes: optional(count), classNames: optional(listOf(text)) },
});

/** Fields that a record must have; the others are null where they are missing. */
const checks: Readonly<Record<keyof RunRecord, FieldCheck>> = {
  ...{ id: text, name: text, experiment: text, source: text },
  ...{ status: oneOf(runStatuses), startedAt: time, endedAt: optional(time) },
  ...{ reason: orText, user: orText, gitBranch: orText, standsFor: orText },
  ...{ parameterCount: optional(count), dataset: optional(dataset) },
};

/**
 * Reads the record of a run.
 *
 * @returns undefined if the folder has none
 * @throws {RunError} if the file cannot be read, or a field is not what it must be
 */
export async function readRecord(folder: string): Promise<RunRecord | undefined> {
  const path = join(folder, runFile.record);
  const json = await readJson(path);
  if (json === undefined) return undefined;
  const optional = { endedAt: null, reason: null, user: null, gitBranch: null, standsFor: null };
  const record = { ...optional, parameterCount: null, dataset: null, ...json };
  const problem = fieldProblem(record, checks);
  if (problem === undefined) return record as unknown as RunRecord;
  throw new RunError(
    `Cannot read ${path}: ${problem}; correct it, or delete the file: the run is then described by its others`,
  );
}

/** @throws {RunError} if the folder cannot be written */
export async function writeRecord(folder: string, record: RunRecord): Promise<void> {
  await writeAtomic(join(folder, runFile.record), JSON.stringify(record, null, 2) + "\n");
}
