import { DeviceError, ShapeError } from "../../kernels/mod.ts";
import { CheckpointError, JudgeError, SafetensorsError, SolverError, StateError } from "../../models/mod.ts";
import { DataError } from "../data/dataset.ts";
import { MeasureError } from "../../models/measures/points.ts";
import { PythonError } from "../python/python_environment.ts";
import { RunError } from "../run/run_folder.ts";
import { ConfigError } from "../settings/setting.ts";
import { ServerError } from "../tracking/http.ts";
import { SlurmError } from "./slurm_error.ts";
import { printable, say } from "../terminal/output.ts";

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
  JudgeError,
  MeasureError,
  PythonError,
  RunError,
  SafetensorsError,
  ServerError,
  ShapeError,
  SlurmError,
  SolverError,
  StateError,
  TrainingError,
];

/** Whether an error's message is all that a user needs; others are shown with their trace. */
export function isExplained(error: unknown): error is Error {
  return explained.some((kind) => error instanceof kind);
}

/** What a user is told of an error: a line if it explains itself, else its trace. */
export function told(error: unknown): string {
  if (!isExplained(error)) return Deno.inspect(error, { colors: false });
  const line = `${error.name}: ${error.message}`;
  // What a compiler of kernels says has several lines; a line break in anything else comes from a file or a server.
  return error instanceof DeviceError ? line : printable(line);
}

/** Runs a task: an error that explains itself becomes one line, any other keeps its trace; both exit with code 1. */
export async function runTask(task: () => Promise<void>): Promise<void> {
  try {
    await task();
  } catch (error) {
    say(told(error));
    Deno.exit(1);
  }
}

/** Exit codes of a program that a signal ended: 128 and the signal's number. */
const exitCodes: Partial<Record<Deno.Signal, number>> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/** Whether and how a user asked a task to stop. */
export interface Stop extends Disposable {
  /** Aborted at the first signal. */
  readonly signal: AbortSignal;
  /** What a task that stopped early exits with. */
  readonly exitCode: number;
}

/**
 * Listens for Ctrl-C, SIGTERM and the end of the terminal (SIGHUP): the first sets `signal`, the second ends the program
 * at once.
 *
 * @param onStop called at the first signal
 */
export function stopSignal(onStop: (signal: Deno.Signal) => void): Stop {
  const signals = Object.keys(exitCodes) as Deno.Signal[];
  const stop = new AbortController();
  let exitCode = 0;
  const listeners = signals.filter((signal) => Deno.build.os !== "windows" || signal !== "SIGTERM")
    .map((signal) => {
      const listener = () => {
        exitCode = exitCodes[signal]!;
        if (stop.signal.aborted) Deno.exit(exitCode);
        stop.abort();
        onStop(signal);
      };
      Deno.addSignalListener(signal, listener);
      return () => Deno.removeSignalListener(signal, listener);
    });
  return {
    signal: stop.signal,
    get exitCode() {
      return exitCode;
    },
    [Symbol.dispose]: () => listeners.forEach((remove) => remove()),
  };
}
