import { permutation, streams } from "../../models/random.ts";
import { ConfigError } from "../settings/setting.ts";

/** Indices of the images that a network learns from, and of those that validate it. */
export interface ImageSplit {
  readonly train: Uint32Array;
  readonly validation: Uint32Array;
}

/**
 * Splits a data set into training and validation images.
 *
 * @param trainLimit largest number of training images, 0 for all
 * @returns indices of images; the validation images are the same whatever the limit
 * @throws {ConfigError} if the training images do not fill a batch
 */
export function splitImages(
  count: number,
  { seed, valFraction, trainLimit, batchSize }: {
    seed: number;
    valFraction: number;
    trainLimit: number;
    batchSize: number;
  },
): ImageSplit {
  const order = permutation(seed, streams.split, 0, count);
  const kept = count - Math.round(count * valFraction);
  const train = order.slice(0, trainLimit > 0 ? Math.min(trainLimit, kept) : kept);
  if (batchSize > train.length) {
    const flag = train.length > 0 ? "--batch-size" : "--val-fraction";
    throw new ConfigError(
      `Cannot take batches of ${batchSize} images from ${train.length} training images: use a smaller ${flag}`,
    );
  }
  return { train, validation: order.slice(kept) };
}
