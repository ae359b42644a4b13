import { yieldToSignals } from "../terminal/yield_to_signals.ts";
import { PythonError } from "./python_environment.ts";

/**
 * Waits until a server that this program has started ends. To stop it is its usual end.
 *
 * @param what its name
 * @param stopped aborted when this program is told to stop it
 * @param where to look for the reason if it ends by itself
 * @throws {PythonError} if it failed
 */
export async function untilEnded(
  what: string,
  { status }: Pick<Deno.ChildProcess, "status">,
  stopped: AbortSignal,
  where: string,
): Promise<void> {
  const { success, code, signal } = await status;
  await yieldToSignals(); // Ctrl-C reaches both programs
  if (success || stopped.aborted) return;
  const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
  throw new PythonError(`Cannot go on serving: ${what} ended ${how}; see ${where}`);
}
