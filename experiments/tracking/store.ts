import type { RunStatus } from "./client.ts";

/** Summary of a run. Times are milliseconds since 1970. */
export interface RunSummary {
  /** The store's name for it: a folder, or a server's id. */
  readonly key: string;
  readonly name: string;
  readonly experiment: string;
  readonly status: RunStatus;
  /** In a comparison: our id of the run that this one represents. */
  readonly standsFor?: string;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly params: Readonly<Record<string, string>>;
  /** Latest value of every metric. */
  readonly metrics: Readonly<Record<string, number>>;
}

/** A collection of runs: run folders, or a server. */
export interface RunStore {
  /** Its name in messages. */
  readonly description: string;
  /** Its runs, oldest first; of one experiment only, if given. */
  list(experiment?: string): Promise<RunSummary[]>;
  /** Paths of a run's files. */
  files(run: RunSummary): Promise<string[]>;
  /** A file's content. */
  read(run: RunSummary, path: string): Promise<Uint8Array>;
}
