import { join } from "node:path";
import { writeAtomic } from "../run/atomic_write.ts";
import type { RunStatus } from "./client.ts";
import { readJson } from "../run/read_file.ts";
import { runFile } from "../run/layout.ts";

/** A file as it was sent. */
export interface SentFile {
  readonly size: number;
  /** Time of its last change, milliseconds since 1970. */
  readonly modified: number;
  readonly sha256: string;
}

/** The latest value of a metric. */
export interface Latest {
  /** null in a file where it is no finite number. */
  readonly value: number | null;
  readonly step: number;
}

/** What a server has of a run, the content of `mlflow.json`. It holds no credentials. */
export interface Cursor {
  /** Address of the server. */
  server: string;
  experimentId: string | null;
  /** The server's id of the run. */
  runId: string | null;
  artifactUri: string | null;
  status: RunStatus | null;
  /** Bytes of `metrics.jsonl` that are sent. */
  metricsBytes: number;
  /** Of the metrics that are sent. */
  latest: Record<string, Latest>;
  /** Images over steps that are sent, files sent again after a resumption included. */
  images: number;
  params: Record<string, string>;
  tags: Record<string, string>;
  /** The data sets as they were sent. */
  inputs: string | null;
  files: Record<string, SentFile>;
  /** What the server will never take, and why. */
  refused: Record<string, string>;
}

/** A cursor of a server that has nothing. */
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

/**
 * Reads what a server has of a run; one server's cursor says nothing of another.
 *
 * @param server its address; without one, whichever the folder names
 */
export async function readCursor(run: string, server?: string): Promise<Cursor | undefined> {
  const saved = await readJson(join(run, runFile.cursor)) as Cursor | undefined;
  if (saved === undefined || (server !== undefined && saved.server !== server)) return undefined;
  return { ...newCursor(saved.server), ...saved };
}

/** @throws {RunError} if the folder cannot be written */
export async function writeCursor(run: string, cursor: Cursor): Promise<void> {
  await writeAtomic(join(run, runFile.cursor), JSON.stringify(cursor, null, 1) + "\n");
}
