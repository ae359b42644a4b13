/**
 * A note from which `./denow` restarts a training, since no program survives a panic of Deno, such as after the loss of
 * a GPU.
 */

import { ConfigError } from "./setting.ts";
import { integer } from "./kinds.ts";
import { reasonOf, RunError } from "../run/atomic_write.ts";

/** The flag `--restarts`. */
export const restarts = integer({
  doc: "with ./denow: when the process dies, continue from the last checkpoint, at most N times",
  default: 0,
});

/** The environment variable in which `denow` names the file of the note. */
const variable = "DENOW_NOTE";

/**
 * A file that `denow` reads when the process ends: if it is absent, the process ended normally; if it holds a step and
 * a run, the process died, and that run can be resumed; if it is empty, the process died before there was anything to
 * resume.
 */
export class RestartNote implements Disposable {
  #path: string | undefined;

  private constructor(path: string) {
    this.#path = path;
  }

  /** @throws {ConfigError} if `denow` did not start this process */
  static open(restarts: number): RestartNote {
    const { state } = Deno.permissions.querySync({ name: "env", variable });
    const path = state === "granted" ? Deno.env.get(variable) : undefined;
    if (path) return new RestartNote(path);
    throw new ConfigError(
      `Cannot use --restarts ${restarts}: only ./denow task can restart a run; leave it out, and if the process ` +
        "dies, continue with --resume RUN",
    );
  }

  /** Notes that a run can be resumed at a step. @throws {RunError} if the note cannot be written */
  write(run: string, step: number): void {
    if (this.#path === undefined) return;
    try {
      // Not emptied first: the process may die at any moment. A later note is never shorter.
      using file = Deno.openSync(this.#path, { write: true });
      file.writeSync(new TextEncoder().encode(`${step} ${run}\n`));
    } catch (error) {
      throw new RunError(
        `Cannot note for --restarts that ${run} has reached step ${step}: ${reasonOf(error)}`,
      );
    }
  }

  /** Leaves the note as it is, as if the process died. */
  keep(): void {
    this.#path = undefined;
  }

  /** Removes the note: the process ends normally, or was told to. */
  [Symbol.dispose](): void {
    if (this.#path === undefined) return;
    try {
      Deno.removeSync(this.#path);
    } catch { /* denow is ending, too, and has removed it */ }
    this.#path = undefined;
  }
}
