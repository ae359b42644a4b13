import { yieldToEvents } from "../../kernels/core/yield_to_events.ts";
import type { Library } from "../library.ts";
import { PlaneTraining } from "../plane_training.ts";
import { PlaneViews } from "../plane_views.ts";
import type { PlaygroundSettings } from "../settings.ts";

/** Milliseconds of a burst of training, and between bursts. */
const [burstMs, pauseMs] = [12, 30];

/** An untrained copy of a network, trained slowly enough for the reader to follow. */
export class SlowCopy {
  readonly training: PlaneTraining;
  readonly views: PlaneViews;
  /** Identifies the copy. */
  readonly key: string;
  #steps = 0;

  constructor(library: Library, settings: PlaygroundSettings, key: string) {
    this.training = new PlaneTraining(library, settings);
    this.views = new PlaneViews(library, this.training);
    this.key = key;
  }

  /** Sets the number of steps to train, at most that of the settings. */
  continueTo(steps: number): void {
    this.#steps = Math.min(steps, this.training.settings.steps);
  }

  /** Whether it has steps left to train. */
  get lags(): boolean {
    return this.training.step < this.#steps;
  }

  /** Trains a step; later, more and more steps at a time. */
  async train(): Promise<void> {
    const { training } = this;
    const end = Math.min(this.#steps, training.step + Math.ceil(0.06 * training.step + 0.1));
    while (training.step < end) {
      await training.train(burstMs, end - training.step);
      await yieldToEvents("task");
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
