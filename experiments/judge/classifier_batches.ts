import { randomBits, type Tensor, tensor } from "../../kernels/mod.ts";
import { BatchOrder, type Normalization } from "../../models/mod.ts";
import { streams } from "../../models/random.ts";
import type { Dataset } from "../data/dataset.ts";

/** Most pixels by which an image is moved up or down, and left or right. */
const furthest = 1;

/** What batches are made of: labelled images, and their size. */
export type LabelledData = Pick<Dataset, "channels" | "height" | "width"> & {
  readonly train: { readonly images: Uint8Array; readonly labels: Uint8Array; readonly count: number };
};

/** Batches of training images in random order, each image moved by a few pixels; black comes in from the border. */
export class ClassifierBatches {
  /** What the network sees of the images, f32[N, C, H, W] on the device. */
  readonly x: Tensor;
  /** Their classes, u32[N] on the device. */
  readonly labels: Tensor;
  readonly #data: LabelledData;
  readonly #order: BatchOrder;
  readonly #values: Float32Array<ArrayBuffer>;
  readonly #seen: Float32Array;
  readonly #black: number;

  /**
   * Allocates a batch.
   *
   * @param seed of order and shifts, an integer in [0, 2^32)
   */
  constructor(
    data: LabelledData,
    { batchSize, seed, normalization }: { batchSize: number; seed: number; normalization: Normalization },
  ) {
    const { channels, height, width, train } = data;
    this.#data = data;
    this.#order = new BatchOrder(Uint32Array.from({ length: train.count }, (_, i) => i), batchSize, seed);
    this.#values = new Float32Array(batchSize * channels * height * width);
    this.#seen = Float32Array.from(
      { length: 256 },
      (_, byte) => normalization.scale * byte / 255 + normalization.shift,
    );
    this.#black = normalization.shift;
    this.x = tensor(this.#values, [batchSize, channels, height, width]);
    this.labels = tensor(new Uint32Array(batchSize));
  }

  /** Loads the batch of step 0, 1, ..., a function of seed and step. */
  load(step: number): void {
    const { seed, batchSize: N } = this.#order;
    const images = this.#order.batch(step);
    const shifts = randomBits(seed, streams.shifts, step, 2 * N);
    const shiftOf = (i: number) => Math.floor(shifts[i] * 2 ** -32 * (2 * furthest + 1)) - furthest;
    this.#values.fill(this.#black);
    images.forEach((image, n) => this.#place(image, n, shiftOf(2 * n), shiftOf(2 * n + 1)));
    this.x.write(this.#values);
    this.labels.write(Uint32Array.from(images, (image) => this.#data.train.labels[image]));
  }

  /** Writes an image to row n of the batch, moved down by `down` and right by `right`. */
  #place(image: number, n: number, down: number, right: number): void {
    const { channels: C, height: H, width: W, train: { images } } = this.#data;
    const [top, bottom] = [Math.max(0, -down), Math.min(H, H - down)];
    const [left, end] = [Math.max(0, -right), Math.min(W, W - right)];
    for (let c = 0; c < C; c++) {
      for (let h = top; h < bottom; h++) {
        const from = ((image * C + c) * H + h) * W;
        const to = ((n * C + c) * H + h + down) * W + right;
        for (let w = left; w < end; w++) this.#values[to + w] = this.#seen[images[from + w]];
      }
    }
  }
}
