import { checkTrajectory, imageSizeOf } from "../flow/trajectory.ts";
import { sizeInWords } from "../image/image_shape.ts";
import type { ReportRun } from "./data.ts";

/** @throws {RangeError} if there are other than as many values as a shape has */
export function checkFilled(name: string, shape: readonly number[], length: number): void {
  if (shape.reduce((product, axis) => product * axis, 1) === length) return;
  throw new RangeError(`Cannot report: ${name} are ${length} values (expected [${shape.join(", ")}])`);
}

/**
 * Checks the trajectories of runs, which one slider moves in one place.
 *
 * @throws {RangeError} if arrays do not fit, the trajectories of a run have different times, or images different sizes
 */
export function checkTrajectories(runs: readonly ReportRun[]): void {
  const all = runs.flatMap(({ name, trajectories: [first, ...others] }) => {
    if (!first) return [];
    checkTrajectory("report", first);
    for (const other of others) {
      checkTrajectory("report", other);
      checkTimes(name, first.t, other.t);
    }
    return [first, ...others].map((trajectory) => ({ name, size: imageSizeOf(trajectory) }));
  });
  const other = all.find(({ size }) => `${size}` !== `${all[0].size}`);
  if (!other) return;
  throw new RangeError(
    `Cannot report: images of ${JSON.stringify(all[0].name)} are ${sizeInWords(all[0].size)}, ` +
      `those of ${JSON.stringify(other.name)} ${sizeInWords(other.size)} (expected one size)`,
  );
}

function checkTimes(name: string, first: Float32Array, t: Float32Array): void {
  if (first.length === t.length && first.every((time, m) => time === t[m])) return;
  throw new RangeError(
    `Cannot report: trajectories of ${JSON.stringify(name)} have different times, ` +
      `${first.length} and ${t.length} of them (expected the same)`,
  );
}
