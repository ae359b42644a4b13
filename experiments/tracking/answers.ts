/** What an MLflow server may answer, checked field by field: a server is as little trusted as a file. */

import type { TextEntry } from "./entries.ts";

/** What a run can be, in MLflow's words. */
export const runStatuses = ["RUNNING", "FINISHED", "FAILED", "KILLED"] as const;

/** Status of a run, in MLflow's words. */
export type RunStatus = typeof runStatuses[number];

const statuses: readonly unknown[] = runStatuses;

/** A run as the server returns it. */
export interface ServerRun {
  readonly info: {
    readonly run_id: string;
    readonly run_name: string | undefined;
    readonly status: RunStatus;
    readonly start_time: number | undefined;
    readonly end_time: number | undefined;
    readonly artifact_uri: string;
    readonly lifecycle_stage: "active" | "deleted";
  };
  readonly data: {
    readonly metrics: readonly { readonly key: string; readonly value: number }[];
    readonly params: readonly TextEntry[];
    readonly tags: readonly TextEntry[];
  };
}

/** A page of a list. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** Asks for the next page; undefined on the last. */
  readonly token: string | undefined;
}

/** An answer lacks a field; the message names it. */
export class AnswerError extends Error {}

type Fields = Readonly<Record<string, unknown>>;

/** Reads the answer to `experiments/get-by-name`. @throws {AnswerError} */
export function experimentOf(answer: unknown): { id: string; deleted: boolean } {
  const experiment = fields(fields(answer, "an object").experiment, "experiment");
  return {
    id: text(experiment.experiment_id, "experiment_id"),
    deleted: experiment.lifecycle_stage === "deleted",
  };
}

/** Reads the answer to `experiments/create`. @throws {AnswerError} */
export function createdExperimentOf(answer: unknown): string {
  return text(fields(answer, "an object").experiment_id, "experiment_id");
}

/** Reads the answer to `runs/get` and `runs/create`. @throws {AnswerError} */
export function runOf(answer: unknown): ServerRun {
  return serverRun(fields(answer, "an object").run);
}

/** Reads the answer to `runs/search`. @throws {AnswerError} */
export function runsOf(answer: unknown): Page<ServerRun> {
  const { runs, next_page_token: token } = fields(answer, "an object");
  return { items: list(runs, "runs").map(serverRun), token: optionalText(token) || undefined };
}

/** Reads the answer to `artifacts/list`. @throws {AnswerError} */
export function filesOf(answer: unknown): { path: string; isFolder: boolean }[] {
  return list(fields(answer, "an object").files, "files").map((file) => {
    const { path, is_dir } = fields(file, "files");
    return { path: text(path, "path"), isFolder: is_dir === true };
  });
}

function serverRun(value: unknown): ServerRun {
  const run = fields(value, "run");
  const info = fields(run.info, "info");
  const data = run.data === undefined ? {} : fields(run.data, "data");
  return {
    info: {
      run_id: text(info.run_id, "run_id"),
      run_name: optionalText(info.run_name),
      status: statuses.includes(info.status) ? info.status as RunStatus : "RUNNING", // e.g. SCHEDULED
      start_time: time(info.start_time),
      end_time: time(info.end_time),
      artifact_uri: optionalText(info.artifact_uri) ?? "",
      lifecycle_stage: info.lifecycle_stage === "deleted" ? "deleted" : "active",
    },
    data: {
      metrics: list(data.metrics, "metrics").map((metric) => {
        const { key, value } = fields(metric, "metrics");
        return { key: text(key, "key"), value: Number(value) };
      }),
      params: list(data.params, "params").map(entry),
      tags: list(data.tags, "tags").map(entry),
    },
  };
}

function entry(value: unknown): TextEntry {
  const { key, value: content } = fields(value, "an entry");
  return { key: text(key, "key"), value: optionalText(content) ?? "" };
}

function fields(value: unknown, name: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw new AnswerError(name);
}

function list(value: unknown, name: string): readonly unknown[] {
  if (value === undefined) return []; // MLflow leaves out what is empty
  if (Array.isArray(value)) return value;
  throw new AnswerError(name);
}

function text(value: unknown, name: string): string {
  if (typeof value === "string" && value !== "") return value.toWellFormed();
  throw new AnswerError(name);
}

function optionalText(value: unknown): string | undefined {
  return typeof value === "string" ? value.toWellFormed() : undefined;
}

/** A time that a date can hold. */
function time(value: unknown): number | undefined {
  return typeof value === "number" && Math.abs(value) <= 8.64e15 ? value : undefined;
}
