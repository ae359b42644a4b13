import type { Metrics } from "../run/metrics_log.ts";
import type { RunStatus } from "./client.ts";

/** How a run can end. */
export type Ending = Exclude<RunStatus, "RUNNING">;

/** Where a run is told. Its files are written into its folder directly; a tracker that sends them looks there. */
export interface Tracker extends AsyncDisposable {
  /**
   * Tells what was measured at a step, now. Returns at once: training never waits for who is told.
   *
   * @throws {RunError} if the run folder cannot be written
   */
  log(metrics: Metrics): void;
  /**
   * Tells that the run is over; a second call does nothing. Disposing without it means that the run failed.
   *
   * @param reason why it failed
   */
  end(status: Ending, reason?: string): Promise<void>;
}

/** Does the work of a run; an error in it ends the run as failed, with the error's message. */
export async function tracked<T>(tracker: Tracker, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // Where the folder cannot be written, that may be the error itself, and it is the first one to report.
    await tracker.end("FAILED", error instanceof Error ? error.message : String(error)).catch(() => {});
    throw error;
  }
}
