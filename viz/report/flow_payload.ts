import { imageAt, imageSizeOf, type Trajectory, velocityAt } from "../flow/trajectory.ts";
import { pace } from "../flow/pacing.ts";
import type { ReportRun } from "./data.ts";
import type { FlowPayload } from "./payload.ts";
import { quantise } from "./quantise.ts";

/**
 * Samples and snapshots that the explorer shows at most, and snapshots of a sample that are worth more than samples.
 */
const most = { samples: 10, snapshots: 101, coarse: 11 };
/** Bytes of base64 for a value of 16 bits. */
const valueBytes = 2 * 4 / 3;

/**
 * Takes as many samples and snapshots as the budget of bytes allows: fewer snapshots first, then fewer samples.
 *
 * @throws {RangeError} if a number is not finite
 */
export function flowPayload({ trajectories, solved }: ReportRun, budget: number): FlowPayload {
  const { t, shape: [all] } = trajectories[0];
  const size = imageSizeOf(trajectories[0]);
  const [C, H, W] = size;
  const affordable = Math.floor(budget / (2 * valueBytes * C * H * W)); // of two fields
  const S = Math.max(
    1,
    Math.min(trajectories.length, most.samples, Math.floor(affordable / Math.min(all, most.coarse))),
  );
  const M = Math.max(2, Math.min(all, most.snapshots, Math.floor(affordable / S)));
  const chosen = thinnedTo(t, M);
  const last = Math.max(all - 2, 0);
  const take = (at: (trajectory: Trajectory, m: number) => Float32Array | undefined) => {
    const values = new Float32Array(S * chosen.length * C * H * W);
    trajectories.slice(0, S).forEach((trajectory, s) =>
      chosen.forEach((m, i) => values.set(at(trajectory, m) ?? [], (s * chosen.length + i) * C * H * W))
    );
    return quantise(values, 16);
  };
  return {
    shape: [S, chosen.length, ...size],
    t: chosen.map((m) => t[m]),
    image: take(imageAt),
    velocity: take((trajectory, m) => velocityAt(trajectory, Math.min(m, last))),
    velocityT: chosen.map((m) => t[Math.min(m, last)]),
    ...solved && { solved },
  };
}

/** Indices of M of the times or fewer, spread evenly over t. */
function thinnedTo(t: Float32Array, M: number): number[] {
  return t.length <= M ? [...t.keys()] : [...new Set(pace("linear", t, M))];
}
