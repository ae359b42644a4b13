import { whenRun } from "../../kernels/record/trace.ts";

/** Whether a step has begun: updates wait for that, as their settings are those of no step before. */
export class BegunStep {
  #begun = false;

  /** A step begins. */
  begin(): void {
    this.#begun = true;
  }

  /** None has begun since a state was restored. */
  reset(): void {
    this.#begun = false;
  }

  /**
   * Checks it whenever an update runs, which in a recorded step is later.
   *
   * @param task what the update does, as in `Cannot ${task}`
   * @throws {Error} when it runs before a step has begun
   */
  check(task: string): void {
    whenRun(() => {
      if (!this.#begun) {
        throw new Error(`Cannot ${task}: no step has begun (expected beforeStep() before each)`);
      }
    });
  }
}
