import { DeviceError, ShapeError } from "../../kernels/mod.ts";
import { CheckpointError, SafetensorsError, StateError } from "../../models/mod.ts";
import { DataError } from "../data/dataset.ts";
import { RunError } from "../run/run_folder.ts";
import { ConfigError } from "../settings/setting.ts";
import { ServerError } from "../tracking/http.ts";

/** Training cannot go on; the message says at which step and what can be done. */
export class TrainingError extends Error {
  override name = "TrainingError";
}

/** Errors that say all a user needs in one line. */
const explained = [
  CheckpointError,
  ConfigError,
  DataError,
  DeviceError,
  RunError,
  SafetensorsError,
  ServerError,
  ShapeError,
  StateError,
  TrainingError,
];

/** Runs a task: an error that explains itself becomes one line and exit code 1, any other keeps its trace. */
export async function runTask(task: () => Promise<void>): Promise<void> {
  try {
    await task();
  } catch (error) {
    if (explained.some((kind) => error instanceof kind)) {
      console.error(`${(error as Error).name}: ${(error as Error).message}`);
    } else console.error(error);
    Deno.exit(1);
  }
}

/** Lets signals in: a device that computes in this thread leaves them no other time. */
export function hearSignals(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** As `hearSignals`, ten times a second at most: for a loop of short rounds. */
export function hearingSignals(): () => Promise<void> {
  let heardMs = performance.now();
  return async () => {
    if (performance.now() - heardMs < 100) return;
    await hearSignals();
    heardMs = performance.now();
  };
}

/**
 * A signal that Ctrl-C and SIGTERM raise, once; the second Ctrl-C ends the program at once.
 *
 * @param onStop called at the first
 */
export function stopSignal(
  onStop: (signal: Deno.Signal) => void,
): { readonly signal: AbortSignal; [Symbol.dispose](): void } {
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  const stop = new AbortController();
  const listeners = signals.map((signal) => {
    const listener = () => {
      if (stop.signal.aborted) Deno.exit(130);
      stop.abort();
      onStop(signal);
    };
    Deno.addSignalListener(signal, listener);
    return () => Deno.removeSignalListener(signal, listener);
  });
  return {
    signal: stop.signal,
    [Symbol.dispose]: () => listeners.forEach((remove) => remove()),
  };
}
