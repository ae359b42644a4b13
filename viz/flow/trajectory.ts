import {
  channelMean,
  checkShape,
  type ImageSize,
  type ImagesShape,
  withChannels,
} from "../image/image_shape.ts";

/** The trajectory of one image from noise to data; pixels are 0 for black and 1 for white, not clipped. */
export interface Trajectory {
  /** Times of the snapshots, increasing within [0, 1] (0 noise, 1 data), at any spacing, f32[M]. */
  readonly t: Float32Array;
  /** x at each t, f32[M, H, W], or f32[M, C, H, W] with C 1 (grey) or 3 (red, green, blue). */
  readonly image: Float32Array;
  /** v(x, t) per unit of t, f32[M - 1, H, W] or f32[M - 1, C, H, W]: the last snapshot has none. */
  readonly velocity: Float32Array;
  /** Number of snapshots, channels if they have an axis, height and width. */
  readonly shape:
    | readonly [M: number, H: number, W: number]
    | readonly [M: number, C: number, H: number, W: number];
}

/** Channels, height and width of a trajectory's image. */
export function imageSizeOf({ shape }: Trajectory): ImageSize {
  const [, ...size] = withChannels(shape);
  return size;
}

/**
 * Checks that the arrays of a trajectory match its shape and its times increase within [0, 1].
 *
 * @param task task named in the error, e.g. `draw flow`
 * @throws {RangeError} if an array does not match
 */
export function checkTrajectory(task: string, { t, image, velocity, shape }: Trajectory): void {
  const [M, C, H, W] = checkShape(task, shape, "M");
  const size = C * H * W;
  const lengths = { t: [t, M], image: [image, M * size], velocity: [velocity, (M - 1) * size] } as const;
  for (const [name, [values, length]] of Object.entries(lengths)) {
    if (values.length === length) continue;
    throw new RangeError(
      `Cannot ${task}: ${name} holds ${values.length} values (expected ${length} for ${axesOf(shape)})`,
    );
  }
  const m = t.findIndex((time, i) => !(time >= 0 && time <= 1 && (i === 0 || time > t[i - 1])));
  if (m < 0) return;
  throw new RangeError(
    `Cannot ${task}: t of snapshot ${m} is ${t[m]}${m > 0 ? ` after ${t[m - 1]}` : ""} ` +
      "(expected increasing times within [0, 1])",
  );
}

function axesOf(shape: ImagesShape): string {
  return `${shape.length === 3 ? "[M, H, W]" : "[M, C, H, W]"} = [${shape}]`;
}

/** The image at a snapshot, f32[C, H, W]. */
export function imageAt({ image, shape }: Trajectory, m: number): Float32Array {
  return part(image, shape, m);
}

/** The velocity at a snapshot, f32[C, H, W]; the last snapshot has none. */
export function velocityAt({ velocity, shape }: Trajectory, m: number): Float32Array | undefined {
  return m >= 0 && m < shape[0] - 1 ? part(velocity, shape, m) : undefined;
}

function part(values: Float32Array, shape: ImagesShape, m: number): Float32Array {
  const [, C, H, W] = withChannels(shape);
  return values.subarray(m * C * H * W, (m + 1) * C * H * W);
}

/** The largest magnitude of a velocity (of its mean over channels); 1 if all are 0, because callers divide by it. */
export function fastestOf(trajectories: readonly Pick<Trajectory, "velocity" | "shape">[]): number {
  let fastest = 0;
  for (const { velocity, shape } of trajectories) {
    const [, C, H, W] = withChannels(shape);
    const P = C * H * W;
    for (let from = 0; from < velocity.length; from += P) {
      const mean = channelMean(velocity.subarray(from, from + P), [C, H, W]);
      fastest = mean.reduce((a, b) => Math.max(a, Math.abs(b)), fastest);
    }
  }
  return fastest || 1;
}

/** Index of the time nearest to t; the earlier one in a tie. */
export function nearestSnapshot(times: ArrayLike<number>, t: number): number {
  let nearest = 0;
  for (let m = 1; m < times.length; m++) {
    if (Math.abs(times[m] - t) < Math.abs(times[nearest] - t)) nearest = m;
  }
  return nearest;
}

/** Whether times are equally spaced, within f32 rounding. */
export function evenTimes(times: ArrayLike<number>): boolean {
  const last = times.length - 1;
  const step = (times[last] - times[0]) / last;
  return Array.from(times).every((t, m) => m === 0 || Math.abs(t - times[0] - m * step) < 1e-6);
}
