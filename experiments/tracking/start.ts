import { userInfo } from "node:os";
import { basename, resolve } from "node:path";
import { runGit } from "../run/environment.ts";
import type { RunLock } from "../run/run_lock.ts";
import { readCursor } from "./cursor.ts";
import { FolderTracker, type RunStart } from "./folder_tracker.ts";
import { MlflowTracker } from "./mlflow_tracker.ts";
import { type Choice, chooseTracking, readEnvironment } from "./settings.ts";
import type { Tracker } from "./tracker.ts";

/** What a training run records at its start. */
export interface TrackingStart extends Pick<RunStart, "startedAt" | "resumedAt" | "gauges"> {
  readonly choice: Choice;
  readonly about: Pick<RunStart["about"], "source" | "parameterCount" | "dataset">;
  /** Shows a line to the user. */
  readonly say: (message: string) => void;
}

/**
 * Chooses where a run is recorded: by its flags, the environment or, for a resumed run, the server that already has it.
 *
 * @throws {ConfigError} if the server cannot be used
 */
export async function trackingOf(
  flags: Parameters<typeof chooseTracking>[0],
  resumed: string | null,
): Promise<Choice> {
  const known = resumed === null ? undefined : (await readCursor(resumed))?.server;
  return chooseTracking(flags, readEnvironment(), known);
}

/**
 * Starts or continues to record a run: in its folder, and on a server if one is chosen.
 *
 * @param lock the run's lock, which the caller releases after disposing of the tracker
 * @throws {RunError} if the folder cannot be written, or a new run would begin where there is one
 */
export async function startTracking(
  lock: RunLock,
  { choice, about, say, ...start }: TrackingStart,
): Promise<Tracker> {
  const folder = await FolderTracker.start(lock, {
    ...start,
    about: {
      ...about,
      name: choice.runName ?? basename(resolve(lock.run)),
      experiment: choice.experiment,
      user: userName(),
      gitBranch: await runGit("rev-parse", "--abbrev-ref", "HEAD") ?? null,
      standsFor: null,
    },
  });
  const { address, patience } = choice;
  if (address === undefined) return folder;
  return new MlflowTracker(folder, { address, patience, say });
}

/** The name of the user; null without permission to ask. */
export function userName(): string | null {
  // Deno requires all three, and its types lack the first.
  const kinds = ["userInfo", "uid", "gid"] as NonNullable<Deno.SysPermissionDescriptor["kind"]>[];
  const may = kinds.every((kind) => Deno.permissions.querySync({ name: "sys", kind }).state === "granted");
  try {
    return may ? userInfo().username : null;
  } catch {
    return null; // a user without a name
  }
}
