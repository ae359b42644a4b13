import { checkShape, sizeWithChannels } from "../image/image_shape.ts";
import type { Comparison } from "./data.ts";
import type { ComparisonPayload } from "./payload.ts";
import { quantise, sixDigits } from "./quantise.ts";

/**
 * The comparison for the page.
 *
 * @throws {RangeError} if the images cannot be drawn, or a number is not finite
 */
export function comparisonPayload(
  { runs, shape: [S, T, ...axes], t, points, velocities }: Comparison,
): ComparisonPayload {
  const [, ...size] = checkShape("report the comparison", [S, ...sizeWithChannels(axes)]);
  const shape = [S, T, ...size] as const;
  return {
    runs: runs ?? points.map((_, p) => p),
    shape,
    t: [...t],
    points: points.map((point) => quantise(point, 8)),
    velocities: velocities.map((ofRuns) => ofRuns.map((velocity) => quantise(velocity, 8))),
    difference: velocities.map((ofRuns) => ofRuns.map((a) => ofRuns.map((b) => differences(a, b, shape)))),
  };
}

/** Root mean square of a - b over samples, channels and pixels, at each time. */
export function differences(
  a: Float32Array,
  b: Float32Array,
  [S, T, C, H, W]: ComparisonPayload["shape"],
): number[] {
  const size = C * H * W;
  const sums = new Float64Array(T);
  for (let i = 0; i < a.length; i++) sums[Math.floor(i / size) % T] += (a[i] - b[i]) ** 2;
  return Array.from(sums, (sum) => sixDigits(Math.sqrt(sum / (S * size))));
}
