import { gatherImages, gatherRows, packBytes, reshape, type Tensor, tensor } from "../../kernels/mod.ts";
import type { BatchSource, HostExamples, Normalization, TrainingData } from "../../models/mod.ts";
import type { TrainingConfig } from "../settings/training.ts";
import type { Dataset, LabelledImages } from "./dataset.ts";

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

/** Images that stay on the device as bytes and come as normalised batches. */
export class ImageSource implements BatchSource {
  /** The same images in host memory, with labels if they have any. */
  readonly host: HostExamples;
  readonly #bytes: Tensor;
  readonly #labels: Tensor | undefined;
  /** Number of classes; 0 without labels. */
  readonly classes: number;

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
    labels?: ImageLabels,
  ) {
    this.#bytes = packBytes(images);
    this.#labels = labels && tensor(Uint32Array.from(labels.values));
    this.classes = labels?.classes ?? 0;
    this.host = hostImages(images, this.#pixels, normalization, labels?.values);
  }

  /** [C, H, W] of an image. */
  get shape(): readonly [number, number, number] {
    return [this.size.channels, this.size.height, this.size.width];
  }

  /** Image information for checkpoints. */
  get info(): { readonly normalization: Normalization; readonly imageSize: readonly [number, number] } {
    return { normalization: this.normalization, imageSize: [this.size.height, this.size.width] };
  }

  /** Images f32[N, C, H, W] at indices u32[N], with their labels u32[N]; uses device ops, for recorded steps. */
  batch(indices: Tensor): TrainingData {
    const { scale, shift } = this.normalization;
    const images = gatherImages(this.#bytes, indices, { pixels: this.#pixels, scale: scale / 255, shift });
    return {
      x1: reshape(images, [indices.size, ...this.shape]),
      ...this.#labels && { condition: gatherRows(this.#labels, indices) },
    };
  }

  get #pixels(): number {
    return this.size.channels * this.size.height * this.size.width;
  }
}

function hostImages(
  images: Uint8Array,
  size: number,
  { scale, shift }: Normalization,
  labels: Uint8Array | undefined,
): HostExamples {
  return {
    size,
    values(examples) {
      const values = new Float32Array(examples.length * size);
      examples.forEach((image, n) => {
        for (let i = 0; i < size; i++) values[n * size + i] = images[image * size + i] * scale / 255 + shift;
      });
      return values;
    },
    ...labels && { labels: (examples: Uint32Array) => Uint32Array.from(examples, (image) => labels[image]) },
  };
}
