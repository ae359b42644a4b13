import { makeContainedFolder } from "../run/contained.ts";
import { runFolder, weightsAtFile } from "../run/layout.ts";
import { saveAveraged } from "./run_state.ts";
import type { TrainingSession } from "./session.ts";

/** Keeps the averaged weights of the steps that a session is asked to, for whoever measures them later. */
export class KeptWeights {
  readonly #session: TrainingSession;

  constructor(session: TrainingSession) {
    this.#session = session;
  }

  /** The first such step after another; Infinity if there is none. */
  next(from: number): number {
    return Math.min(...this.#session.keepAt.filter((step) => step > from));
  }

  /** Writes the weights as they are after a step, if it is one of them and they are finite. @throws {RunError} if it cannot */
  async keep(step: number): Promise<void> {
    const { run, keepAt } = this.#session;
    if (!keepAt.includes(step)) return;
    await makeContainedFolder(run, runFolder.weights);
    await saveAveraged(this.#session, weightsAtFile(step));
  }
}
