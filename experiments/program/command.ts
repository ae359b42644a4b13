import { DeviceError, UserError } from "../../kernels/mod.ts";
import { printable, say } from "../terminal/output.ts";

/** Training cannot go on; the message says at which step and what can be done. */
export class TrainingError extends UserError {
  override name = "TrainingError";
}

/** An error as a user sees it: one line if it is a {@linkcode UserError}, else its stack trace. */
export function describeError(error: unknown): string {
  if (!(error instanceof UserError)) return Deno.inspect(error, { colors: false });
  const line = `${error.name}: ${error.message}`;
  // What a compiler of kernels says has several lines; a line break in anything else comes from a file or a server.
  return error instanceof DeviceError ? line : printable(line);
}

/** Runs a task: a {@linkcode UserError} becomes one line, any other error keeps its stack trace; both exit with code 1. */
export async function runTask(task: () => Promise<void>): Promise<void> {
  try {
    await task();
  } catch (error) {
    say(describeError(error));
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
