import {
  gatherImages,
  gatherRows,
  packBytes,
  randomBits,
  reshape,
  type Tensor,
  tensor,
} from "../../kernels/mod.ts";
import {
  type BatchSource,
  type HostExamples,
  type NoiseDraw,
  type Normalization,
  type StagedBatch,
  streams,
} from "../../models/mod.ts";
import type { RunConfig } from "../settings/run_config.ts";
import { type Dataset, firstIndices } from "./dataset.ts";
import { rowsOf } from "./images.ts";

/** A part of a data set, with its labels for a conditional network. */
export function sourceOf(
  data: Dataset,
  part: "train" | "test",
  { conditional, normalization }: {
    readonly conditional: RunConfig["conditional"];
    readonly normalization: Normalization;
  },
): ImageSource {
  const { images, labels } = data[part];
  const values = conditional === true && labels ? { values: labels, classes: data.classes } : undefined;
  return new ImageSource(images, data, normalization, values);
}

/** Changes an image u8[C, H, W] in place. */
type Change = (image: Uint8Array, example: number, draw: NoiseDraw) => void;

/** Images as normalised batches; they stay on the device as bytes. */
export class ImageSource implements BatchSource {
  /** The same images in host memory, with labels if they have any. */
  readonly host: HostExamples;
  /** Number of classes; 0 without labels. */
  readonly classes: number;
  readonly #images: Uint8Array;
  readonly #bytes: Tensor;
  readonly #labels: Tensor | undefined;

  /**
   * Copies images to the device.
   *
   * @param images u8[N, C, H, W]
   * @param labels become the condition of a batch
   */
  constructor(
    images: Uint8Array,
    readonly size: Pick<Dataset, "channels" | "height" | "width">,
    readonly normalization: Normalization,
    labels?: { readonly values: Uint8Array; readonly classes: number },
  ) {
    this.#images = images;
    this.#bytes = packBytes(images);
    this.#labels = labels && tensor(Uint32Array.from(labels.values));
    this.classes = labels?.classes ?? 0;
    this.host = {
      size: this.#pixels,
      values: (examples) => this.#normalized(this.#rows(examples)),
      ...labels && { labels: (examples) => Uint32Array.from(examples, (image) => labels.values[image]) },
    };
  }

  /** [C, H, W] of an image. */
  get shape(): readonly [number, number, number] {
    return [this.size.channels, this.size.height, this.size.width];
  }

  /** Image information for checkpoints. */
  get info(): { readonly normalization: Normalization; readonly imageSize: readonly [number, number] } {
    return { normalization: this.normalization, imageSize: [this.size.height, this.size.width] };
  }

  /** Makes room for a batch: images f32[N, C, H, W], with their labels u32[N] as the condition. */
  stage(batchSize: number): StagedBatch {
    const indices = tensor(new Uint32Array(batchSize));
    return {
      write: (examples) => indices.write(examples),
      batch: () => this.#batchOf(this.#bytes, indices, indices),
    };
  }

  /**
   * The same images, mirrored and shifted at random, differently at each step. How an image changes depends only on the
   * seed, the step and the image, so a resumed run sees the same.
   *
   * @param flip whether half of them are mirrored, left to right
   * @param shift maximum shift in pixels along each axis; edge pixels are repeated
   * @returns the source itself if there is nothing to do
   */
  augmented({ flip, shift }: Pick<RunConfig, "flip" | "shift">): BatchSource {
    if (!flip && shift === 0) return this;
    const [, H, W] = this.shape;
    const change: Change = (image, example, { seed, step }) => {
      const [stepSeed] = randomBits(seed, streams.augmentation, step, 1);
      const bits = randomBits(stepSeed, streams.augmentation, example, 3);
      const by = (i: number) => Math.floor(bits[i] * 2 ** -32 * (2 * shift + 1)) - shift;
      move(image, [H, W], { down: by(0), right: by(1), mirrored: flip && bits[2] >= 2 ** 31 });
    };
    return {
      shape: this.shape,
      stage: (batchSize) => { // the images are changed in host memory
        const bytes = packBytes(new Uint8Array(batchSize * this.#pixels));
        const words = new Uint32Array(bytes.size);
        const [places, indices] = [tensor(firstIndices(batchSize)), tensor(new Uint32Array(batchSize))];
        return {
          write: (examples, draw) => {
            indices.write(examples);
            new Uint8Array(words.buffer).set(this.#rows(examples, { change, draw }));
            bytes.write(words);
          },
          batch: () => this.#batchOf(bytes, places, indices),
        };
      },
      host: {
        ...this.host,
        values: (examples, draw) => this.#normalized(this.#rows(examples, draw && { change, draw })),
      },
    };
  }

  /** Bytes of images in host memory, u8[N, C H W]. */
  #rows(
    examples: Uint32Array,
    changed?: { readonly change: Change; readonly draw: NoiseDraw },
  ): Uint8Array<ArrayBuffer> {
    const rows = rowsOf(this.#images, examples, this.#pixels);
    if (!changed) return rows;
    const { change, draw } = changed;
    examples.forEach((example, n) => {
      change(rows.subarray(n * this.#pixels, (n + 1) * this.#pixels), example, draw);
    });
    return rows;
  }

  /** Bytes of images in the network's units. */
  #normalized(bytes: Uint8Array): Float32Array<ArrayBuffer> {
    const { scale, shift } = this.normalization;
    const values = new Float32Array(bytes.length);
    for (let i = 0; i < bytes.length; i++) values[i] = bytes[i] * scale / 255 + shift;
    return values;
  }

  #batchOf(bytes: Tensor, places: Tensor, indices: Tensor) {
    const { scale, shift } = this.normalization;
    const images = gatherImages(bytes, places, { pixels: this.#pixels, scale: scale / 255, shift });
    return {
      x1: reshape(images, [places.size, ...this.shape]),
      ...this.#labels && { condition: gatherRows(this.#labels, indices) },
    };
  }

  get #pixels(): number {
    return this.size.channels * this.size.height * this.size.width;
  }
}

/** Mirrors an image u8[C, H, W], then shifts it. */
function move(
  image: Uint8Array,
  [H, W]: readonly [number, number],
  { down, right, mirrored }: { readonly down: number; readonly right: number; readonly mirrored: boolean },
): void {
  const before = image.slice();
  const inside = (at: number, length: number) => Math.min(Math.max(at, 0), length - 1);
  for (let row = 0; row < image.length / W; row++) { // of all channels
    const h = row % H;
    const from = (row - h + inside(h - down, H)) * W;
    for (let w = 0; w < W; w++) {
      const column = inside(w - right, W);
      image[row * W + w] = before[from + (mirrored ? W - 1 - column : column)];
    }
  }
}
