import { join } from "node:path";
import { reasonOf, RunError } from "../run/atomic_write.ts";
import { runFolder, weightsAtFile } from "../run/layout.ts";
import { isFiniteState, saveWeightsTo } from "./run_state.ts";
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
    const { run, network, source, keepAt } = this.#session;
    if (!keepAt.includes(step)) return;
    const weights = await network.trainer.averaged.state();
    if (!isFiniteState(weights)) return;
    try {
      await Deno.mkdir(join(run, runFolder.weights), { recursive: true });
    } catch (error) {
      throw new RunError(`Cannot keep the weights of step ${step} in ${run}: ${reasonOf(error)}`);
    }
    await saveWeightsTo(join(run, weightsAtFile(step)), network, source, weights);
  }
}
