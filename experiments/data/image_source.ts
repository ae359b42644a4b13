import { gatherImages, packBytes, reshape, type Tensor } from "../../kernels/mod.ts";
import type { BatchSource, Examples, HostExamples, Normalization } from "../../models/mod.ts";
import type { Dataset } from "./dataset.ts";
import type { TrainingConfig } from "../settings/tasks/train_config.ts";

/** The normalisation to a range of pixels. */
export function normalizationTo(range: TrainingConfig["normalize"]): Normalization {
  return range === "-1..1" ? { scale: 2, shift: -1 } : { scale: 1, shift: 0 };
}

/** Images that stay on the device as bytes and come out as normalised batches. */
export class ImageSource implements BatchSource {
  /** The same images in host memory, with their labels if there are any. */
  readonly host: HostExamples;
  readonly #bytes: Tensor;

  /**
   * @param images u8[N, C, H, W]
   * @param labels u8[N], if there are any
   */
  constructor(
    images: Uint8Array,
    readonly size: Pick<Dataset, "channels" | "height" | "width">,
    readonly normalization: Normalization,
    labels?: Uint8Array,
  ) {
    this.#bytes = packBytes(images);
    this.host = hostImages(images, size, normalization, labels);
  }

  /** [C, H, W] of an image. */
  get shape(): readonly [number, number, number] {
    return [this.size.channels, this.size.height, this.size.width];
  }

  /** What a checkpoint records about its images. */
  get info(): { readonly normalization: Normalization; readonly imageSize: readonly [number, number] } {
    return { normalization: this.normalization, imageSize: [this.size.height, this.size.width] };
  }

  /** The images of u32[N] indices, f32[N, C, H, W]; a device op, for recorded steps. */
  batch(indices: Tensor): Examples {
    const { scale, shift } = this.normalization;
    const pixels = this.shape.reduce((product, length) => product * length, 1);
    const images = gatherImages(this.#bytes, indices, { pixels, scale: scale / 255, shift });
    return { x1: reshape(images, [indices.size, ...this.shape]) };
  }
}

function hostImages(
  images: Uint8Array,
  { channels, height, width }: Pick<Dataset, "channels" | "height" | "width">,
  { scale, shift }: Normalization,
  labels: Uint8Array | undefined,
): HostExamples {
  const size = channels * height * width;
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
