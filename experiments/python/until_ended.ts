import type { Stop } from "../program/command.ts";
import { yieldToSignals } from "../terminal/yield_to_signals.ts";
import { PythonError } from "./python_environment.ts";

/**
 * Waits until a server that this program has started ends.
 *
 * @param what its name
 * @param process told to end when this program is stopped
 * @param where to look for the reason if it ends by itself
 * @returns what this program exits with
 * @throws {PythonError} if it failed
 */
export async function untilEnded(
  what: string,
  { status }: Pick<Deno.ChildProcess, "status">,
  stop: Stop,
  where: string,
): Promise<number> {
  const { success, code, signal } = await status;
  await yieldToSignals(); // Ctrl-C reaches both programs
  if (stop.signal.aborted) return stop.exitCode;
  if (success) return 0;
  const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
  throw new PythonError(`Cannot go on serving: ${what} ended ${how}; see ${where}`);
}
