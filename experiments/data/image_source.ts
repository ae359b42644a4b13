import { gatherImages, gatherRows, packBytes, reshape, type Tensor, tensor } from "../../kernels/mod.ts";
import type {
  BatchSource,
  HostExamples,
  NoiseDraw,
  Normalization,
  StagedBatch,
  TrainingData,
} from "../../models/mod.ts";
import type { TrainingConfig } from "../settings/training.ts";
import { type Dataset, firstIndices, type LabelledImages } from "./dataset.ts";
import { type Images, rowsOf, StoredImages } from "./images.ts";

/** Labels of images, one each, and the number of classes. */
export interface ImageLabels {
  readonly values: Uint8Array;
  readonly classes: number;
}

/** Labels of part of a data set for a conditional run; undefined for any other run. */
export function labelsFor(
  { conditional }: Pick<TrainingConfig, "conditional">,
  { labels }: LabelledImages,
  { classes }: Pick<Dataset, "classes">,
): ImageLabels | undefined {
  return conditional === true && labels ? { values: labels, classes } : undefined;
}

/** Images as normalised batches: they stay on the device as bytes, or come from a file that is larger. */
export class ImageSource implements BatchSource {
  /** The same images in host memory, with labels if they have any. */
  readonly host: HostExamples;
  /** Makes room for batches of images in a file; undefined for images on the device. */
  readonly stage: BatchSource["stage"];
  readonly #images: Images;
  readonly #bytes: Tensor | undefined;
  readonly #labels: Tensor | undefined;
  /** Number of classes; 0 without labels. */
  readonly classes: number;

  /**
   * Copies images to the device, unless they are in a file.
   *
   * @param images u8[N, C, H, W]
   * @param labels become the condition of a batch
   */
  constructor(
    images: Images,
    readonly size: Pick<Dataset, "channels" | "height" | "width">,
    readonly normalization: Normalization,
    labels?: ImageLabels,
  ) {
    this.#images = images;
    this.#bytes = images instanceof StoredImages ? undefined : packBytes(images);
    this.#labels = labels && tensor(Uint32Array.from(labels.values));
    this.classes = labels?.classes ?? 0;
    if (!this.#bytes) this.stage = (batchSize) => this.staged(batchSize);
    this.host = {
      size: this.#pixels,
      values: (examples) => this.normalized(this.rows(examples)),
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

  /**
   * Images f32[N, C, H, W] at indices u32[N], with their labels u32[N]; uses device ops, for recorded steps. Of images in a
   * file, which are not on the device, it makes empty ones, for planning.
   */
  batch(indices: Tensor): TrainingData {
    return this.#bytes
      ? this.#batchOf(this.#bytes, indices, indices)
      : this.#batchOf(packBytes(new Uint8Array(indices.size * this.#pixels)), indices, indices);
  }

  /** Bytes of images in host memory, u8[N, C H W]. @throws {DataError} if their file cannot be read */
  rows(examples: Uint32Array): Uint8Array<ArrayBuffer> {
    return rowsOf(this.#images, examples, this.#pixels);
  }

  /** Bytes of images in the network's units. */
  normalized(bytes: Uint8Array): Float32Array<ArrayBuffer> {
    const { scale, shift } = this.normalization;
    const values = new Float32Array(bytes.length);
    for (let i = 0; i < bytes.length; i++) values[i] = bytes[i] * scale / 255 + shift;
    return values;
  }

  /**
   * Makes room on the device for batches of images from host memory.
   *
   * @param change changes the bytes of a batch, u8[N, C H W]
   */
  staged(
    batchSize: number,
    change: (bytes: Uint8Array, examples: Uint32Array, draw: NoiseDraw) => void = () => {},
  ): StagedBatch {
    const bytes = packBytes(new Uint8Array(batchSize * this.#pixels));
    const words = new Uint32Array(bytes.size);
    const places = tensor(firstIndices(batchSize));
    return {
      write: (examples, draw) => {
        const rows = this.rows(examples);
        change(rows, examples, draw);
        new Uint8Array(words.buffer).set(rows);
        bytes.write(words);
      },
      batch: (indices) => this.#batchOf(bytes, places, indices),
    };
  }

  #batchOf(bytes: Tensor, places: Tensor, indices: Tensor): TrainingData {
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
