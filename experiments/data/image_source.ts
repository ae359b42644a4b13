import { gatherImages, packBytes, reshape, type Tensor } from "../../kernels/mod.ts";
import type { Normalization } from "../../models/mod.ts";
import type { Dataset } from "./dataset.ts";
import type { TrainingConfig } from "../settings/config.ts";

/** The normalisation to a range of pixels. */
export function normalizationTo(range: TrainingConfig["normalize"]): Normalization {
  return range === "-1..1" ? { scale: 2, shift: -1 } : { scale: 1, shift: 0 };
}

/** Images that lie on the device as bytes and come out as normalised batches. */
export class ImageSource {
  readonly #bytes: Tensor;

  constructor(
    images: Uint8Array,
    readonly size: Pick<Dataset, "height" | "width">,
    readonly normalization: Normalization,
  ) {
    this.#bytes = packBytes(images);
  }

  /** [C, H, W] of an image. */
  get shape(): readonly [number, number, number] {
    return [1, this.size.height, this.size.width];
  }

  /** What a checkpoint says of its images. */
  get info(): { readonly normalization: Normalization; readonly imageSize: readonly [number, number] } {
    return { normalization: this.normalization, imageSize: [this.size.height, this.size.width] };
  }

  /** The images of u32[N] indices, f32[N, 1, H, W]; a device op, for recorded steps. */
  batch(indices: Tensor): Tensor {
    const { scale, shift } = this.normalization;
    const pixels = this.size.height * this.size.width;
    return reshape(gatherImages(this.#bytes, indices, { pixels, scale: scale / 255, shift }), [
      indices.size,
      ...this.shape,
    ]);
  }
}
