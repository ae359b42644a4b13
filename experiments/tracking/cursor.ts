import { join } from "node:path";
import { RunError, writeAtomic } from "../run/atomic_write.ts";
import {
  count,
  type FieldCheck,
  fieldProblem,
  fieldsOf,
  finiteNumber,
  optional,
  tableOf,
  text,
} from "../run/field_checks.ts";
import type { RunStatus } from "./client.ts";
import { readJson } from "../run/contained.ts";
import { runFile } from "../run/layout.ts";

/** A file as sent. */
export interface SentFile {
  readonly size: number;
  /** Time of its last change, milliseconds since 1970. */
  readonly modified: number;
  readonly sha256: string;
}

/** The latest value of a metric. */
export interface Latest {
  /** null, in JSON, if it is not finite. */
  readonly value: number | null;
  readonly step: number;
}

/** How much of a run a server has, the content of `mlflow.json`. It contains no credentials. */
export interface Cursor {
  /** Address of the server. */
  server: string;
  experimentId: string | null;
  /** The server's id of the run. */
  runId: string | null;
  artifactUri: string | null;
  status: RunStatus | null;
  /** Bytes of `metrics.jsonl` that have been sent. */
  metricsBytes: number;
  /** The latest values that have been sent. */
  latest: Record<string, Latest>;
  /** Images that have been sent, including those sent again after a run was resumed. */
  images: number;
  params: Record<string, string>;
  tags: Record<string, string>;
  /** The data sets as sent. */
  inputs: string | null;
  files: Record<string, SentFile>;
  /** What the server rejected for good, and why. */
  refused: Record<string, string>;
}

/** The cursor of a server that has nothing yet. */
export function newCursor(server: string): Cursor {
  return {
    server,
    experimentId: null,
    runId: null,
    artifactUri: null,
    status: null,
    metricsBytes: 0,
    latest: {},
    images: 0,
    params: {},
    tags: {},
    inputs: null,
    files: {},
    refused: {},
  };
}

const orText = optional(text);

const checks: Readonly<Record<keyof Cursor, FieldCheck>> = {
  ...{ server: text, experimentId: orText, runId: orText, artifactUri: orText, inputs: orText },
  ...{ status: optional(text), metricsBytes: count, images: count },
  latest: tableOf(fieldsOf({ value: optional(finiteNumber), step: finiteNumber })),
  ...{ params: tableOf(text), tags: tableOf(text), refused: tableOf(text) },
  files: tableOf(fieldsOf({ size: count, modified: finiteNumber, sha256: text })),
};

/**
 * Reads how much of a run a server has. A cursor is about one server only.
 *
 * @param server its address; not given: the server that the folder names
 * @throws {RunError} if the file cannot be read, or a field is not what it must be
 */
export async function readCursor(run: string, server?: string): Promise<Cursor | undefined> {
  const path = join(run, runFile.cursor);
  const saved = await readJson(path);
  if (saved === undefined || (server !== undefined && saved.server !== server)) return undefined;
  const cursor = { ...newCursor(""), ...saved };
  const problem = "server" in saved ? fieldProblem(cursor, checks) : "it names no server";
  if (problem === undefined) return cursor;
  throw new RunError(
    `Cannot read ${path}: ${problem}; delete the file: deno task sync --mlflow URI then sends what the server lacks`,
  );
}

/** @throws {RunError} if the folder cannot be written */
export async function writeCursor(run: string, cursor: Cursor): Promise<void> {
  await writeAtomic(join(run, runFile.cursor), JSON.stringify(cursor, null, 1) + "\n");
}

/**
 * Notes that a run goes on and that lines of its metrics may be replaced: a server then gets all that stand there, and how
 * the run stands, also from another program. The caller holds the run's lock.
 *
 * @throws {RunError} if the file cannot be read or written
 */
export async function rewindCursor(run: string): Promise<void> {
  const cursor = await readCursor(run);
  if (cursor) await writeCursor(run, { ...cursor, status: null, metricsBytes: 0, latest: {} });
}
