import type { Dims, Pass } from "../../../devices/device.ts";
import type { PassesWay } from "../../../ways.ts";

/**
 * Winograd as a way to run a convolution or one of its gradients, of 3x3 taps. Transforms cost as much for each
 * channel, products as much for each pair of channels, so that few channels do not pay: fewer on software adapters,
 * where arithmetic is dear, than on GPUs, where memory is.
 */
export function winograd(passes: (dims: Dims) => readonly Pass[]): PassesWay {
  return {
    name: "winograd",
    fits: ({ R, S, padding }) => R === 3 && S === 3 && padding <= 2,
    pays: ({ N, C, K, H, W }, { software }) => C * K / (C + K) >= (software ? 6 : 12) && N * H * W >= 64,
    passes,
  };
}
