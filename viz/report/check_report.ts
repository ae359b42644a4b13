import { checkTrajectory, imageSizeOf } from "../flow/trajectory.ts";
import { checkShape, formatSize, type ImageSize, sizeWithChannels } from "../image/image_shape.ts";
import type { Comparison, LiveNetwork, PlaneTrajectories, ReportData, ReportRun } from "./report_data.ts";

/**
 * Checks the data of a report.
 *
 * @throws {RangeError} if there is no run, two runs have the same name, images have a number of channels other than one
 * or three or differ in size, arrays do not fill their shapes, or trajectories of a run have different times
 */
export function checkReport({ runs, comparison, library }: ReportData): void {
  if (runs.length === 0) throw new RangeError("Cannot report: there are no runs (expected at least 1)");
  const names = runs.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) {
    throw new RangeError(
      `Cannot report: two runs are named ${JSON.stringify(twice)} (expected unique names)`,
    );
  }
  checkTrajectories(runs);
  for (const { name, plane, live } of runs) {
    if (plane) checkPlane(plane);
    if (typeof live !== "object") continue;
    checkNetwork(live);
    if (library !== undefined) continue;
    throw new RangeError(
      `Cannot report: ${JSON.stringify(name)} has a network, but there is no library to sample with`,
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
  throw new RangeError(`Cannot report: ${name} have ${length} values (expected [${shape.join(", ")}])`);
}

/** Checks that trajectories can share one slider: equal times within a run, and one image size for all. */
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
    `Cannot report: images of ${JSON.stringify(all[0].name)} are ${formatSize(all[0].size)}, ` +
      `but those of ${JSON.stringify(other.name)} are ${formatSize(other.size)} (expected one size)`,
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
    `Cannot report: trajectories of ${JSON.stringify(name)} differ in their times ` +
      `(${first.length} and ${t.length} of them; expected the same times)`,
  );
}

type Filled = readonly [name: string, shape: readonly number[], length: number | undefined];

/** Checks arrays; missing ones pass. */
function checkAll(arrays: readonly Filled[]): void {
  for (const [name, shape, length] of arrays) if (length !== undefined) checkFilled(name, shape, length);
}

function checkPlane(plane: PlaneTrajectories): void {
  const { shape: [M, N], real, classes, conditioning } = plane;
  const D = real.classes?.length ?? Math.floor(real.position.length / 2);
  checkAll([
    ["times of the plane", [M], plane.t.length],
    ["positions of the plane", [M, N, 2], plane.position.length],
    ["velocities of the plane", [M - 1, N, 2], plane.velocity.length],
    ["speeds of the plane", [M - 1, N], plane.speed.length],
    ["straightnesses of the plane", [M - 1, N], plane.straightness.length],
    ["images of the plane", [N, ...sizeOfPlane(plane)], plane.image.length],
    ["classes of the plane", [N], classes?.length],
    ["labels of the plane", [N], conditioning?.labels.length],
    ["real images of the plane", [D, 2], real.position.length],
  ]);
}

function checkNetwork({ tests, judge }: LiveNetwork): void {
  const { rows, width, values } = judge?.reference ?? { rows: 0, width: 0 };
  checkAll([
    ["test images", tests?.shape ?? [], tests?.image.length],
    ["labels of test images", [tests?.shape[0] ?? 0], tests?.labels?.length],
    ["features of test images", [rows, width], values?.length],
  ]);
}

function checkComparison({ runs, shape, t, labels, points, velocities, difference }: Comparison): void {
  const [S, T, ...size] = shape;
  const R = runs.length;
  checkShape("report the comparison", [S, ...size]);
  checkAll([
    ["times of the comparison", [T], t.length],
    ["labels of the comparison", [S], labels?.length],
    ["sets of points", [R], points.length],
    ["sets of velocities", [R, R], velocities.flat().length],
    ["differences of velocities", [R, R, R, T], difference.flat(3).length],
    ...[points, ...velocities].flat().map((
      { length },
    ): Filled => ["points or velocities of a run", shape, length]),
  ]);
}
