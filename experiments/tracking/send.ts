import { RunError } from "../run/atomic_write.ts";
import { MlflowClient } from "./client.ts";
import { requireRecord, settleRecord } from "./current_record.ts";
import { nestedRuns } from "./files.ts";
import { awaitedServer, ServerError } from "./http.ts";
import { Mirror } from "./mirror.ts";
import { tryLockRun } from "../run/run_lock.ts";
import type { Choice } from "./settings.ts";

/** The outcome of sending a run. */
export interface Sent {
  readonly run: string;
  /** "busy": another program is working on it. */
  readonly state: "sent" | "busy";
  /** Number of metric points, and of files, that the server lacked. */
  readonly points: number;
  readonly files: number;
  /** What the server rejected for good, and why. */
  readonly refused: Readonly<Record<string, string>>;
  /** The run's page. */
  readonly page: string | undefined;
}

/** Whether an error is about one run: its server, as far as anybody knows, takes others. */
export function isOfRun(error: unknown): error is RunError | ServerError {
  if (!(error instanceof ServerError)) return error instanceof RunError;
  return error.details.status !== undefined || error.details.code !== undefined;
}

/**
 * Sends a server what it lacks of a run folder, then of the runs nested in it. A run without a program is marked as killed.
 * A nested run that cannot be sent is told after the others.
 *
 * @throws {ServerError} if the server cannot be reached or refuses
 * @throws {RunError} if a folder holds no run, or cannot be read or written
 */
export async function* sendRun(
  run: string,
  { address, patience }: Required<Pick<Choice, "address" | "patience">>,
): AsyncGenerator<Sent> {
  await requireRecord(run, "send"); // before a lock is left in a folder that holds no run
  {
    using lock = await tryLockRun(run);
    if (lock === undefined) {
      yield { run, state: "busy", points: 0, files: 0, refused: {}, page: undefined };
      return;
    }
    await settleRecord(run);
    let page: string | undefined;
    const client = new MlflowClient(awaitedServer(address, patience));
    const mirror = new Mirror(run, client, { onFound: (found) => page = found });
    const counts = await mirror.pass();
    yield { run, state: "sent", ...counts, refused: mirror.refused, page };
  }
  const errors: (RunError | ServerError)[] = [];
  for (const nested of await nestedRuns(run)) {
    try {
      yield* sendRun(nested, { address, patience });
    } catch (error) {
      if (!isOfRun(error)) throw error;
      errors.push(error);
    }
  }
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new RunError(errors.map(({ message }) => message).join("; "));
}
