import { type Drawable, drawableOf } from "../draw/samples.ts";
import { readAutoguidance } from "../draw/conditioning.ts";
import { weightsFile } from "../run/layout.ts";
import { saveAveraged } from "./run_state.ts";
import type { TrainingSession } from "./session.ts";

/** The share of a run after which its weights are kept: at a half, samples gain less; see docs/conditions.md. */
const share = 1 / 6;

/** Keeps what a network was early in its training, where its samples are guided away from it. */
export class EarlyWeights {
  readonly #session: TrainingSession;

  constructor(session: TrainingSession) {
    this.#session = session;
  }

  /** Whether a run keeps them: one without labels that guides. */
  get #wanted(): boolean {
    const { conditional, guidance } = this.#session.config;
    return conditional !== true && guidance !== 1;
  }

  /** The step after which they are kept; Infinity if they are not, or a run of so many steps has no end yet. */
  stepOf(totalSteps: number): number {
    return this.#wanted ? Math.ceil(totalSteps * share) : Infinity;
  }

  /** Writes the averaged weights as they are now, if they are finite. @throws {RunError} if the file cannot be written */
  async keep(): Promise<void> {
    await saveAveraged(this.#session, weightsFile("early"));
  }

  /** The trained network, and what its samples are guided away from. */
  async drawable(): Promise<Drawable> {
    const { run, config, network, source } = this.#session;
    const autoguidance = this.#wanted ? await readAutoguidance(run, config.guidance) : undefined;
    return { ...drawableOf(network.averaged, source), autoguidance };
  }
}
