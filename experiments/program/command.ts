import { DeviceError, ShapeError } from "../../kernels/mod.ts";
import { CheckpointError, SafetensorsError, StateError } from "../../models/mod.ts";
import { DataError } from "../data/dataset.ts";
import { PythonError } from "../python/python_environment.ts";
import { RunError } from "../run/run_folder.ts";
import { ConfigError } from "../settings/setting.ts";
import { ServerError } from "../tracking/http.ts";

/** Training cannot go on; the message says at which step and what can be done. */
export class TrainingError extends Error {
  override name = "TrainingError";
}

/** Errors whose message is all that a user needs. */
const explained = [
  CheckpointError,
  ConfigError,
  DataError,
  DeviceError,
  PythonError,
  RunError,
  SafetensorsError,
  ServerError,
  ShapeError,
  StateError,
  TrainingError,
];

/** Runs a task: an error that explains itself becomes one line, any other keeps its trace; both exit with code 1. */
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

/** Yields to the event loop, which delivers signals; a device that computes in this thread holds them up. */
export function yieldToSignals(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** A `yieldToSignals` that yields at most ten times a second, for loops with short iterations. */
export function throttledYieldToSignals(): () => Promise<void> {
  let yieldedMs = performance.now();
  return async () => {
    if (performance.now() - yieldedMs < 100) return;
    await yieldToSignals();
    yieldedMs = performance.now();
  };
}

/**
 * Listens for Ctrl-C and SIGTERM: the first sets `stopped`, the second ends the program at once.
 *
 * @param onStop called at the first signal
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
