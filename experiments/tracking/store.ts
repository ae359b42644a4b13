import type { RunStatus } from "./client.ts";

/** A run in a list of runs. Times are milliseconds since 1970. */
export interface RunSummary {
  /** How the store names it: a folder, or a server's id. */
  readonly key: string;
  readonly name: string;
  readonly experiment: string;
  readonly status: RunStatus;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly params: Readonly<Record<string, string>>;
  /** The latest value of every metric. */
  readonly metrics: Readonly<Record<string, number>>;
}

/** Where runs can be found: run folders, or a server. */
export interface RunStore {
  /** What it is, for messages. */
  readonly description: string;
  /** Its runs, oldest first; of one experiment only, if it is named. */
  list(experiment?: string): Promise<RunSummary[]>;
  /** Paths of a run's files. */
  files(run: RunSummary): Promise<string[]>;
  /** A file's content. */
  read(run: RunSummary, path: string): Promise<Uint8Array>;
}
