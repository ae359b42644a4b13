import { checkInteger } from "../check.ts";

/** One image on its way from noise to data, in pixels (0 black, 1 white, not clipped). */
export interface Evolution {
  /** Times of the snapshots, rising from 0 (noise) to 1 (data), f32[M]. */
  readonly t: Float32Array;
  /** x at each t, f32[M, H, W]. */
  readonly image: Float32Array;
  /** v(x, t) in pixels a unit of t, f32[M - 1, H, W]: the last snapshot has none. */
  readonly velocity: Float32Array;
  /** Number of snapshots, height and width. */
  readonly shape: readonly [M: number, H: number, W: number];
}

/**
 * Checks that the arrays of an evolution fit its shape and its times rise within [0, 1].
 *
 * @param task what cannot be done otherwise, for the error
 * @throws {RangeError} that says which array does not fit
 */
export function checkEvolution(task: string, { t, image, velocity, shape }: Evolution): void {
  const [M, H, W] = shape;
  checkInteger(task, "M", M, 1);
  checkInteger(task, "H", H, 1);
  checkInteger(task, "W", W, 1);
  const lengths = { t: [t, M], image: [image, M * H * W], velocity: [velocity, (M - 1) * H * W] } as const;
  for (const [name, [values, length]] of Object.entries(lengths)) {
    if (values.length === length) continue;
    throw new RangeError(
      `Cannot ${task}: ${name} holds ${values.length} values (expected ${length} for [M, H, W] = [${shape}])`,
    );
  }
  const m = t.findIndex((time, i) => !(time >= 0 && time <= 1 && (i === 0 || time > t[i - 1])));
  if (m < 0) return;
  throw new RangeError(
    `Cannot ${task}: t of snapshot ${m} is ${t[m]}${m > 0 ? ` after ${t[m - 1]}` : ""} ` +
      "(expected times that rise within [0, 1])",
  );
}

/** Index of the time that is nearest to t, the earlier of two. */
export function nearestSnapshot(times: ArrayLike<number>, t: number): number {
  let nearest = 0;
  for (let m = 1; m < times.length; m++) {
    if (Math.abs(times[m] - t) < Math.abs(times[nearest] - t)) nearest = m;
  }
  return nearest;
}
