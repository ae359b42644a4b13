import { add, divide, randomUniform, tensor, withDevice } from "../../kernels/mod.ts";
import type { TimeDistribution } from "./time_distribution.ts";

/**
 * t = (n + u) / N for the n-th of N images, u ~ U[0, 1): one time in each of N equal bins, which lowers the variance of
 * the loss. Each time alone is uniform over the places of a batch.
 *
 * The bins are not shuffled: the images and the noise of a batch are in random order already, so a bin meets any of
 * them.
 *
 * Source: McKay, Beckman and Conover 1979, Technometrics 21(2), stratified sampling
 */
export const stratified: TimeDistribution = {
  draw(key, n) {
    const bins = withDevice(key.device, () => tensor(Float32Array.from({ length: n }, (_, i) => i)));
    return divide(add(bins, randomUniform(key, [n])), n);
  },
};
