import { HeldOutLoss, meanLoss, type Model } from "../../models/mod.ts";
import type { ImageSource } from "../data/image_source.ts";
import { yieldToSignals } from "../terminal/yield_to_signals.ts";
import { heldOutOptions } from "../settings/training_config.ts";
import type { TrainingConfig } from "../settings/training.ts";

/** Measures the validation loss and keeps track of the lowest. */
export class Validation {
  /** The latest loss. */
  loss: number | undefined;
  /** The lowest loss. */
  lowest = Infinity;
  /** The step of the latest measurement. */
  step = 0;
  readonly #images: Uint32Array;
  #heldOut: HeldOutLoss | undefined;

  /** @param images the held-out images; the first `valBatches` batches are used, or all if it is 0 */
  constructor(
    readonly model: Model,
    readonly source: ImageSource,
    readonly config: TrainingConfig,
    images: Uint32Array,
  ) {
    const { valBatches, batchSize } = config;
    this.#images = valBatches > 0 ? images.slice(0, valBatches * batchSize) : images;
  }

  /** Number of images used. */
  get size(): number {
    return this.#images.length;
  }

  /** Measures the loss without keeping it. */
  async measure(): Promise<number> {
    this.#heldOut ??= new HeldOutLoss(this.model, this.source, heldOutOptions(this.config));
    return meanLoss(await this.#heldOut.losses(this.#images, yieldToSignals));
  }

  /** Measures and keeps the loss after a step. @returns whether it is the lowest so far */
  async run(step: number): Promise<boolean> {
    this.step = step;
    this.loss = await this.measure();
    if (!(this.loss < this.lowest)) return false;
    this.lowest = this.loss;
    return true;
  }
}
