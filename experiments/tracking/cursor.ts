import { join } from "node:path";
import { startCommand } from "../run/program_files.ts";
import { readFields, writeJson } from "../run/run_folder.ts";
import {
  type Checked,
  count,
  fieldsOf,
  finiteNumber,
  orNull,
  tableOf,
  textField,
} from "../run/field_checks.ts";
import { runFile } from "../run/files.ts";

const sentFile = fieldsOf({
  size: count,
  /** Time of its last change, milliseconds since 1970. */
  modified: finiteNumber,
  sha256: textField,
});

const checks = {
  /** Address of the server. */
  server: textField,
  /** The server's id of the run. */
  runId: orNull(textField),
  /** Bytes of `metrics.jsonl` that have been sent. */
  metricsBytes: count,
  /** The latest values that have been sent; null if not finite, because JSON has no such numbers. */
  latest: tableOf(fieldsOf({ value: orNull(finiteNumber), step: finiteNumber })),
  /** Images that have been sent, including those sent again after a run was resumed. */
  images: count,
  params: tableOf(textField),
  tags: tableOf(textField),
  /** The data sets that have been sent. */
  inputs: orNull(textField),
  files: tableOf(sentFile),
  /** What the server rejected permanently, and why. */
  refused: tableOf(textField),
};
const cursor = fieldsOf(checks);

/** A file that has been sent. */
export type SentFile = Checked<typeof sentFile>;

/** The part of a run that a server has: the content of `mlflow.json`. It contains no credentials. */
export type Cursor = {
  -readonly [Name in keyof Checked<typeof cursor>]: Checked<typeof cursor>[Name];
};

/** The cursor for a server that has nothing yet. */
export function newCursor(server: string, runId: string | null = null): Cursor {
  const nothing = { metricsBytes: 0, latest: {}, images: 0, params: {}, tags: {}, inputs: null };
  return { server, runId, ...nothing, files: {}, refused: {} };
}

/**
 * Reads which part of a run a server has. A cursor is for one server only.
 *
 * @param server its address; by default the server named in the folder
 * @throws {RunError} if the file cannot be read, or a field is invalid
 */
export async function readCursor(run: string, server?: string): Promise<Cursor | undefined> {
  const advice = `delete the file: ${startCommand("sync")} --mlflow URI then sends what the server lacks`;
  const { server: _, ...nothing } = newCursor("");
  const cursor = await readFields(join(run, runFile.cursor), checks, advice, nothing);
  return server === undefined || cursor?.server === server ? cursor : undefined;
}

/** Writes which part of a run a server has. @throws {RunError} if the folder cannot be written */
export async function writeCursor(run: string, cursor: Cursor): Promise<void> {
  await writeJson(join(run, runFile.cursor), cursor);
}

/**
 * Resets the cursor when a run is resumed, because lines of its metrics may be replaced: the next pass sends all
 * metrics again. The caller holds the run's lock.
 *
 * @throws {RunError} if the file cannot be read or written
 */
export async function rewindCursor(run: string): Promise<void> {
  const cursor = await readCursor(run);
  if (cursor) await writeCursor(run, { ...cursor, metricsBytes: 0, latest: {} });
}
