/** Made-up flows without a network, the same in every run. */

import type { Trajectory } from "../../../viz/mod.ts";

/** A pseudorandom number in [0, 1). */
function scattered(i: number, seed: number): number {
  let hash = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b);
  hash = Math.imul(hash ^ hash >>> 15, 0x2c1b3c6d);
  hash = Math.imul(hash ^ hash >>> 12, 0x297a2d39);
  return ((hash ^ hash >>> 15) >>> 0) / 2 ** 32;
}

/** Straight trajectories from noise to a ring, with slightly wavering velocities. */
export function madeUpFlow(
  seed: number,
  M: number,
  [H, W]: readonly [number, number] = [28, 28],
): Trajectory {
  const size = H * W;
  const t = Float32Array.from({ length: M }, (_, m) => M > 1 ? m / (M - 1) : 1);
  const x0 = Float32Array.from({ length: size }, (_, i) => {
    const [a, b] = [scattered(2 * i, seed), scattered(2 * i + 1, seed)];
    return 0.5 + 0.5 * Math.sqrt(-2 * Math.log(1 - a)) * Math.cos(2 * Math.PI * b);
  });
  const x1 = Float32Array.from({ length: size }, (_, i) => {
    const radius = Math.hypot(Math.floor(i / W) - H / 2, i % W - W / 2) / Math.min(H, W);
    return Math.exp(-(((radius - 0.25 - 0.02 * seed) / 0.06) ** 2));
  });
  const image = new Float32Array(M * size);
  const velocity = new Float32Array((M - 1) * size);
  for (let m = 0; m < M; m++) {
    for (let i = 0; i < size; i++) {
      image[m * size + i] = t[m] * x1[i] + (1 - t[m]) * x0[i];
      if (m < M - 1) velocity[m * size + i] = x1[i] - x0[i] + 0.1 * Math.sin(i / 9 + 6 * t[m]);
    }
  }
  return { t, image, velocity, shape: [M, H, W] };
}

/** A made-up flow with three channels. */
export function madeUpColourFlow(
  seed: number,
  M: number,
  [H, W]: readonly [number, number] = [28, 28],
): Trajectory {
  const channels = [0, 1, 2].map((c) => madeUpFlow(3 * seed + c, M, [H, W]));
  const [{ t }] = channels;
  const joined = (name: "image" | "velocity", M: number) =>
    Float32Array.from({ length: M * 3 * H * W }, (_, i) => {
      const [m, c, p] = [Math.floor(i / (3 * H * W)), Math.floor(i / (H * W)) % 3, i % (H * W)];
      return channels[c][name][m * H * W + p];
    });
  return { t, image: joined("image", M), velocity: joined("velocity", M - 1), shape: [M, 3, H, W] };
}
