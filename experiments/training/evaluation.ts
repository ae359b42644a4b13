import {
  concat,
  mean,
  randomNormal,
  randomUniform,
  record,
  square,
  subtract,
  type Tensor,
  tensor,
} from "../../kernels/mod.ts";
import { path, type VelocityField } from "../../models/mod.ts";
import { streams } from "../../models/streams.ts";
import { hearSignals } from "../program/command.ts";
import type { ImageSource } from "../data/image_source.ts";

/** Batches whose losses may be under way to the host at once. */
const readAhead = 16;

/** The loss of each image at the time that was drawn for it, f32[N] both. */
export interface TimedLosses {
  readonly t: Float32Array;
  readonly loss: Float32Array;
}

/**
 * Measures the flow-matching loss on held-out images with noise and times that are drawn once and for all, so that two
 * measurements differ by the network alone. It uses the weights the model has when it is made, also if they change later.
 */
export class Evaluation {
  readonly #indices: Tensor;
  readonly #noiseKey = tensor(new Uint32Array(3));
  readonly #timeKey = tensor(new Uint32Array(3));
  readonly #step;

  constructor(model: VelocityField, source: ImageSource, readonly batchSize: number, readonly seed: number) {
    this.#indices = tensor(new Uint32Array(batchSize));
    this.#step = record(() => {
      const x1 = source.batch(this.#indices);
      const x0 = randomNormal(this.#noiseKey, x1.shape);
      const t = randomUniform(this.#timeKey, [batchSize]);
      const { xt, u } = path(x0, x1, t);
      return concat([mean(square(subtract(model.velocity(xt, t), u)), [1, 2, 3]), t], 0);
    });
  }

  /**
   * Mean loss over images.
   *
   * @param images indices of the images; each counts once
   */
  async loss(images: Uint32Array): Promise<number> {
    return meanLoss(await this.losses(images));
  }

  /**
   * The loss of each image.
   *
   * @param images indices of the images
   * @returns losses and times in the order of the images
   */
  async losses(images: Uint32Array): Promise<TimedLosses> {
    const t = new Float32Array(images.length);
    const loss = new Float32Array(images.length);
    let open: Promise<void>[] = [];
    const settle = async () => {
      await Promise.all(open);
      open = [];
      await hearSignals();
    };
    for (let start = 0, batch = 0; start < images.length; start += this.batchSize, batch++) {
      const count = Math.min(this.batchSize, images.length - start);
      // A last batch that is not full is filled up with its first image, and only its own losses count.
      this.#indices.write(
        Uint32Array.from({ length: this.batchSize }, (_, i) => images[start + (i < count ? i : 0)]),
      );
      this.#noiseKey.write(Uint32Array.of(this.seed, streams.heldOutNoise, batch));
      this.#timeKey.write(Uint32Array.of(this.seed, streams.heldOutTime, batch));
      this.#step.run();
      open.push(
        this.#step.result.read().then((values) => {
          loss.set(values.subarray(0, count), start);
          t.set(values.subarray(this.batchSize, this.batchSize + count), start);
        }),
      );
      if (open.length >= readAhead) await settle();
    }
    await settle();
    return { t, loss };
  }
}

/** Mean of the losses of images. */
export function meanLoss({ loss }: TimedLosses): number {
  return loss.reduce((sum, value) => sum + value, 0) / loss.length;
}
