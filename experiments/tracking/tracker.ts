import type { Metrics } from "../run/metrics_log.ts";
import type { RunStatus } from "./client.ts";

/** How a run can end. */
export type Ending = Exclude<RunStatus, "RUNNING">;

/** Records a run. Files are written directly into the run folder, where a tracker that sends them finds them. */
export interface Tracker extends AsyncDisposable {
  /**
   * Records what was measured at a step. Returns at once: training never waits for a server.
   *
   * @throws {RunError} if the run folder cannot be written
   */
  log(metrics: Metrics): void;
  /**
   * Ends the run; a second call does nothing. Disposing of the tracker without it means that the run failed.
   *
   * @param reason why the run failed
   */
  end(status: Ending, reason?: string): Promise<void>;
}

/** Does the work of a run; an error ends the run as failed, with the error's message as reason. */
export async function tracked<T>(tracker: Tracker, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // The error may be that the folder cannot be written, so this may fail, too; the first error is the one to report.
    await tracker.end("FAILED", error instanceof Error ? error.message : String(error)).catch(() => {});
    throw error;
  }
}
