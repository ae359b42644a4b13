import type { Dims, Tuning } from "../../../devices/device.ts";

/** Whether Winograd's passes can do a convolution or one of its gradients: of 3x3 taps. */
export const canTransform = ({ R, S }: Dims): boolean => R === 3 && S === 3;

/**
 * Whether they are likely to be the faster way. Transforms cost as much for each channel of source and target, products as
 * much for each pair of channels, so that few channels do not pay.
 */
export function transformPays(dims: Dims, { software }: Tuning): boolean {
  if (!canTransform(dims)) return false;
  const { N, C, K, H, W } = dims;
  const pairs = C * K / (C + K);
  return pairs >= (software ? 6 : 12) && N * H * W >= 64;
}
