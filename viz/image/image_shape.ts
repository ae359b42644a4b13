import { checkInteger } from "../check.ts";

/** Number, height and width of images of one channel. */
export type GreyShape = readonly [N: number, H: number, W: number];

/** Number, channels (1 grey, or 3: red, green, blue), height and width of images. */
export type ChannelsShape = readonly [N: number, C: number, H: number, W: number];

/** The shape of images; one channel needs no axis. */
export type ImagesShape = GreyShape | ChannelsShape;

/** Channels, height and width of an image. */
export type ImageSize = readonly [C: number, H: number, W: number];

/** The shape with its channels: [N, H, W] becomes [N, 1, H, W]. */
export function withChannels(shape: ImagesShape): ChannelsShape {
  const [N, ...size] = shape;
  return [N, ...sizeWithChannels(size)];
}

/**
 * Checks that images can be drawn: their sides are at least 1, and they have one or three channels.
 *
 * @param task task named in the error, e.g. `draw grid`
 * @param count name of the first axis in the error
 * @returns the shape [N, C, H, W]
 * @throws {RangeError} if an axis is out of range
 */
export function checkShape(task: string, shape: ImagesShape, count = "N"): ChannelsShape {
  const [N, C, H, W] = withChannels(shape);
  for (const [name, length] of [[count, N], ["H", H], ["W", W]] as const) {
    checkInteger(task, name, length, 1);
  }
  if (C === 1 || C === 3) return [N, C, H, W];
  throw new RangeError(
    `Cannot ${task}: images have ${C} channels (expected 1 for grey, or 3 for red, green and blue)`,
  );
}

/** Formats an image's size: `28 x 28`, or `3 x 32 x 32` with channels. */
export function formatSize([C, H, W]: ImageSize): string {
  return (C === 1 ? [H, W] : [C, H, W]).join(" x ");
}

/** The mean over the channels of one image, f32[H, W]; an image with one channel is returned itself. */
export function channelMean(image: Float32Array, [C, H, W]: ImageSize): Float32Array {
  if (C === 1) return image;
  const P = H * W;
  const mean = new Float32Array(P);
  image.forEach((value, i) => mean[i % P] += value / C);
  return mean;
}

/** An image's size with its channels: [H, W] becomes [1, H, W]. */
export function sizeWithChannels(
  size: readonly [H: number, W: number] | readonly [C: number, H: number, W: number],
): ImageSize {
  return size.length === 3 ? size : [1, ...size];
}
