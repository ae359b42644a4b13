import { checkTrajectory, imageSizeOf } from "../flow/trajectory.ts";
import { checkShape, type ImageSize, sizeInWords, sizeWithChannels } from "../image/image_shape.ts";
import type { Comparison, LiveNetwork, PlaneTrajectories, ReportData, ReportRun } from "./report_data.ts";

/**
 * Checks the data of a report.
 *
 * @throws {RangeError} if there is no run, two runs have the same name, images do not have one or three channels or have
 * different sizes, arrays do not fill their shapes, or trajectories of a run have different times
 */
export function checkReport({ runs, comparison, library }: ReportData): void {
  if (runs.length === 0) throw new RangeError("Cannot report: no run is given (expected at least 1)");
  const names = runs.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) {
    throw new RangeError(
      `Cannot report: two runs are named ${JSON.stringify(twice)} (expected a name for each)`,
    );
  }
  checkTrajectories(runs);
  for (const { name, plane, live } of runs) {
    if (plane) checkPlane(plane);
    if (typeof live !== "object") continue;
    checkNetwork(live);
    if (library !== undefined) continue;
    throw new RangeError(
      `Cannot report: the network of ${JSON.stringify(name)} is given without the library to sample with`,
    );
  }
  if (comparison) checkComparison(comparison);
}

/**
 * Checks that an array fills its shape.
 *
 * @throws {RangeError} if it does not
 */
export function checkFilled(name: string, shape: readonly number[], length: number): void {
  if (shape.reduce((product, axis) => product * axis, 1) === length) return;
  throw new RangeError(`Cannot report: ${name} are ${length} values (expected [${shape.join(", ")}])`);
}

/** Checks that trajectories can share one slider: same times within a run, one image size in all. */
function checkTrajectories(runs: readonly ReportRun[]): void {
  const all = runs.flatMap(({ name, trajectories, plane }) => [
    ...trajectories.map((trajectory) => {
      checkTrajectory("report", trajectory);
      checkTimes(name, trajectories[0].t, trajectory.t);
      return { name, size: imageSizeOf(trajectory) };
    }),
    ...plane ? [{ name, size: sizeOfPlane(plane) }] : [],
  ]);
  const other = all.find(({ size }) => `${size}` !== `${all[0].size}`);
  if (!other) return;
  throw new RangeError(
    `Cannot report: images of ${JSON.stringify(all[0].name)} are ${sizeInWords(all[0].size)}, ` +
      `those of ${JSON.stringify(other.name)} ${sizeInWords(other.size)} (expected one size)`,
  );
}

function sizeOfPlane({ shape: [, N, ...axes] }: PlaneTrajectories): ImageSize {
  const [, ...size] = checkShape("report the plane", [N, ...sizeWithChannels(axes)]);
  return size;
}

function checkTimes(name: string, first: Float32Array, t: Float32Array): void {
  if (t.length < 2) {
    throw new RangeError(
      `Cannot report: a trajectory of ${JSON.stringify(name)} has one snapshot (expected 2 or more)`,
    );
  }
  if (first.length === t.length && first.every((time, m) => time === t[m])) return;
  throw new RangeError(
    `Cannot report: trajectories of ${JSON.stringify(name)} have different times, ` +
      `${first.length} and ${t.length} of them (expected the same)`,
  );
}

function checkPlane(plane: PlaneTrajectories): void {
  const { shape: [M, N], real, classes, conditioning } = plane;
  const size = sizeOfPlane(plane);
  const D = real.classes?.length ?? Math.floor(real.position.length / 2);
  const arrays: [name: string, shape: readonly number[], length: number | undefined][] = [
    ["times", [M], plane.t.length],
    ["positions", [M, N, 2], plane.position.length],
    ["velocities", [M - 1, N, 2], plane.velocity.length],
    ["speeds", [M - 1, N], plane.speed.length],
    ["straightnesses", [M - 1, N], plane.straightness.length],
    ["images", [N, ...size], plane.image.length],
    ["classes", [N], classes?.length],
    ["labels", [N], conditioning?.labels.length],
    ["real images", [D, 2], real.position.length],
  ];
  for (const [name, shape, length] of arrays) {
    if (length !== undefined) checkFilled(`${name} of the plane`, shape, length);
  }
}

function checkNetwork({ tests, judge }: LiveNetwork): void {
  if (tests) {
    checkFilled("test images", tests.shape, tests.image.length);
    if (tests.labels) checkFilled("labels of test images", [tests.shape[0]], tests.labels.length);
  }
  if (!judge) return;
  const { values, rows, width } = judge.reference;
  checkFilled("features of test images", [rows, width], values.length);
}

function checkComparison({ runs, shape, t, labels, points, velocities, difference }: Comparison): void {
  const [S, T, ...size] = shape;
  const R = runs.length;
  checkShape("report the comparison", [S, ...size]);
  checkFilled("times of the comparison", [T], t.length);
  if (labels) checkFilled("labels of the comparison", [S], labels.length);
  checkFilled("sets of points", [R], points.length);
  checkFilled("sets of velocities", [R, R], velocities.flat().length);
  checkFilled("differences of velocities", [R, R, R, T], difference.flat(3).length);
  for (const values of [points, ...velocities].flat()) {
    checkFilled("points or velocities of a run", shape, values.length);
  }
}
