import { checkShape, sizeWithChannels } from "../image/image_shape.ts";
import type { Paths } from "./data.ts";
import type { PathsPayload, Quantiles } from "./payload.ts";
import { quantise, sixDigits } from "./quantise.ts";

/**
 * The paths for the page.
 *
 * @throws {RangeError} if the images cannot be drawn, or a number is not finite
 */
export function pathsPayload(paths: Paths): PathsPayload {
  const { shape: [M, N, ...axes], t, position, velocity, image, real, speed, straightness } = paths;
  const { classes, classNames, asked } = paths;
  const [, ...size] = checkShape("report paths", [N, ...sizeWithChannels(axes)]);
  return {
    shape: [M, N, ...size],
    t: [...t],
    position: quantise(position, 16),
    velocity: quantise(velocity, 16),
    image: quantise(image, 8),
    ...classes && { classes: Array.from(classes) },
    ...classNames && { classNames },
    ...asked && { asked: Array.from(asked.labels) },
    real: {
      position: quantise(real.position, 16),
      ...real.classes && { classes: Array.from(real.classes) },
    },
    speed: quantiles(speed, N),
    straightness: quantiles(straightness, N),
  };
}

/** Quantiles over the N samples at each time, of f32[M - 1, N]. */
export function quantiles(values: Float32Array, N: number): Quantiles {
  const times = Array.from({ length: values.length / N }, (_, m) => values.slice(m * N, (m + 1) * N).sort());
  const at = (share: number) => times.map((sorted) => sixDigits(sorted[Math.round(share * (N - 1))]));
  return { low: at(0.1), median: at(0.5), high: at(0.9) };
}
