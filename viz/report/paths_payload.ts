import { checkShape, sizeWithChannels } from "../image/image_shape.ts";
import { checkFilled } from "./check_data.ts";
import type { Paths } from "./data.ts";
import type { PathsPayload, Quantiles } from "./payload.ts";
import { quantise, sixDigits } from "./quantise.ts";

/**
 * The paths for the page.
 *
 * @throws {RangeError} if arrays do not fill their shapes, the images cannot be drawn, or a number is not finite
 */
export function pathsPayload(paths: Paths): PathsPayload {
  const { shape: [M, N, ...axes], t, position, velocity, image, real, speed, straightness } = paths;
  const { classes, classNames, asked } = paths;
  const [, ...size] = checkShape("report paths", [N, ...sizeWithChannels(axes)]);
  checkFilled("times of paths", [M], t.length);
  checkFilled("positions of paths", [M, N, 2], position.length);
  checkFilled("velocities of paths", [M - 1, N, 2], velocity.length);
  checkFilled("speeds of paths", [M - 1, N], speed.length);
  checkFilled("straightnesses of paths", [M - 1, N], straightness.length);
  checkFilled("images of paths", [N, ...size], image.length);
  if (classes) checkFilled("classes of paths", [N], classes.length);
  if (asked) checkFilled("labels of paths", [N], asked.labels.length);
  const D = real.classes?.length ?? Math.floor(real.position.length / 2);
  checkFilled("positions of real images", [D, 2], real.position.length);
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
