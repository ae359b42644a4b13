import { MlflowClient } from "./client.ts";
import { mustStand, settle } from "./adopt.ts";
import { nestedRuns } from "./files.ts";
import { awaitedServer } from "./http.ts";
import { Mirror } from "./mirror.ts";
import { tryLockRun } from "../run/run_lock.ts";
import type { Choice } from "./settings.ts";

/** What sending a run came to. */
export interface Sent {
  readonly run: string;
  /** "busy": another program works on it. */
  readonly state: "sent" | "busy";
  /** Points of metrics and files that the server lacked. */
  readonly points: number;
  readonly files: number;
  /** What the server will never take, and why. */
  readonly refused: Readonly<Record<string, string>>;
  /** The run's page. */
  readonly page: string | undefined;
}

/**
 * Brings a server to what run folders hold: the given one, then those nested in it. A run that was killed is told so.
 *
 * @throws {ServerError} if the server cannot be reached or refuses
 * @throws {RunError} if a folder is no run, or cannot be read or written
 */
export async function* sendRun(
  run: string,
  { address, patience }: Required<Pick<Choice, "address" | "patience">>,
): AsyncGenerator<Sent> {
  await mustStand(run, "send"); // before a lock is left in a folder that is none
  {
    using lock = await tryLockRun(run);
    if (lock === undefined) {
      yield { run, state: "busy", points: 0, files: 0, refused: {}, page: undefined };
      return;
    }
    await settle(run);
    let page: string | undefined;
    const client = new MlflowClient(awaitedServer(address, patience));
    const mirror = new Mirror(run, client, { onFound: (found) => page = found });
    const counts = await mirror.pass();
    yield { run, state: "sent", ...counts, refused: mirror.refused, page };
  }
  for (const nested of await nestedRuns(run)) yield* sendRun(nested, { address, patience });
}
