import { checkShape, sizeWithChannels } from "../image/image_shape.ts";
import { checkFilled } from "./check_data.ts";
import type { Comparison } from "./data.ts";
import type { ComparisonPayload } from "./payload.ts";
import { quantise, sixDigits } from "./quantise.ts";

/**
 * The comparison for the page.
 *
 * @param all how many runs the report has
 * @throws {RangeError} if arrays do not fill their shapes, the images cannot be drawn, or a number is not finite
 */
export function comparisonPayload(
  { runs: given, shape: [S, T, ...axes], t, labels, points, velocities }: Comparison,
  all: number,
): ComparisonPayload {
  const runs = given ?? Array.from({ length: all }, (_, run) => run);
  const [, ...size] = checkShape("report the comparison", [S, ...sizeWithChannels(axes)]);
  const shape = [S, T, ...size] as const;
  checkFilled("times of the comparison", [T], t.length);
  if (labels) checkFilled("labels of the comparison", [S], labels.length);
  checkFilled("sets of points", [runs.length], points.length);
  checkFilled("sets of velocities", [runs.length, runs.length], velocities.flat().length);
  for (const values of [points, ...velocities].flat()) {
    checkFilled("points or velocities of a run", shape, values.length);
  }
  return {
    runs,
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
