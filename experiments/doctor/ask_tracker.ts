import { chooseTracking, readEnvironment } from "../tracking/settings.ts";
import { MlflowClient } from "../tracking/client.ts";
import { HttpServer } from "../tracking/http.ts";
import type { Tracker } from "./machine.ts";

/** Once, and a few seconds: who asks waits. */
const patience = { maxRetries: 0, backoffFactor: 0, timeoutMs: 5000 };

/**
 * Asks the server that a run would be sent to for its experiment.
 *
 * @returns undefined if none is named
 * @throws {ConfigError} if its address cannot be used
 * @throws {ServerError} if it does not answer soon, or not as a tracking server does
 */
export async function askTracker(
  flags: { readonly mlflow: string | null; readonly experiment: string | null },
): Promise<Tracker | undefined> {
  const { address, experiment } = chooseTracking(flags, readEnvironment());
  if (address === undefined) return undefined;
  const client = new MlflowClient(new HttpServer(address, patience));
  return { url: address.url, experiment, exists: await client.experiment(experiment) !== undefined };
}
