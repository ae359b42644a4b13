import type { TriedStep } from "../../../models/mod.ts";
import { imageAt, type Trajectory } from "../../flow/trajectory.ts";
import { type ImageSize, withChannels } from "../../image/image_shape.ts";
import type { PageRun } from "../page_data.ts";
import type { Solved } from "../report_data.ts";

/** How to solve a trajectory; for adaptive solvers, `steps` counts the intervals between snapshots. */
export interface Steps extends Pick<Solved, "solver" | "steps" | "times" | "guidance"> {
  /** Error allowed in each step of an adaptive solver. */
  readonly tolerance?: number;
  /** The class to condition on; without one, guidance is autoguidance. */
  readonly label?: number;
  /** The name of the class, if known. */
  readonly className?: string | undefined;
  /** Whether the network takes guidance as an input, at no cost. */
  readonly takesGuidance?: boolean;
}

/** The times at the ends of the steps. */
export function stepTimes({ steps, times }: Steps): readonly number[] {
  return times ?? Array.from({ length: steps + 1 }, (_, i) => i / steps);
}

/** A trajectory to show. If it is incomplete, its last snapshot also has a velocity. */
export interface TrajectoryView extends Trajectory {
  /** A unique number. */
  readonly id: number;
  readonly name: string;
  /** How it was computed; empty if unknown. */
  readonly origin: string;
  readonly solved?: Steps;
  /** The seed and row of the noise from which a recorded trajectory starts. */
  readonly noise?: { readonly seed: number; readonly row: number };
  /** Network evaluations, if known. */
  readonly evaluations?: number;
  readonly tried?: readonly TriedStep[];
}

let made = 0;

/** Whether only the end of a trajectory is known, until the page solves it. */
export function isEnd({ velocity }: TrajectoryView): boolean {
  return velocity.length === 0;
}

/** The trajectories in the report, some of them only as ends. */
export function recorded({ trajectories, solved, classNames, maxGuidance }: PageRun): TrajectoryView[] {
  return trajectories.map((trajectory, s) => {
    const label = solved?.labels?.[s];
    const how = solved && {
      ...solved,
      label,
      className: label === undefined ? undefined : classNames?.[label],
      takesGuidance: maxGuidance !== undefined,
    };
    const noise = how && { seed: how.seed, row: s };
    const origin = noise ? originOf(noise, how) + formatCost(how.evaluations) : "";
    return { ...trajectory, id: made++, name: `Sample ${s + 1}`, origin, solved: how, noise };
  });
}

/** Describes how a trajectory from recorded noise is solved. */
export function originOf({ seed, row }: NonNullable<TrajectoryView["noise"]>, how: Steps): string {
  return `noise ${row + 1} of seed ${seed}, ${formatSolver(how)}`;
}

/** Formats the solver: "20 steps of heun, class 3, guidance 1.5", or "dopri5 with tolerance 0.001". */
export function formatSolver(how: Steps): string {
  const { steps, solver, tolerance } = how;
  const solved = tolerance === undefined
    ? `${steps} ${steps > 1 ? "steps" : "step"} of ${solver}`
    : `${solver} with tolerance ${tolerance}`;
  return solved + formatCondition(how);
}

/** Formats the conditioning: ", class 3, guidance 1.5"; empty without class and guidance. */
export function formatCondition({ label, className, guidance = 1 }: Steps): string {
  const condition = label === undefined ? "" : `, class ${className ?? label}`;
  const kind = label === undefined ? "autoguidance" : "guidance";
  return condition + (guidance === 1 ? "" : `, ${kind} ${guidance}`);
}

function formatCost(evaluations: number | undefined): string {
  return evaluations === undefined ? "" : `, ${countOf(evaluations)}`;
}

/** Formats a count: "40 evaluations". */
export function countOf(evaluations: number): string {
  return `${evaluations} evaluation${evaluations === 1 ? "" : "s"}`;
}

/** The velocity at a snapshot, f32[C, H, W], and its time; for the last snapshot, that of the one before. */
export function lastVelocity(
  { t, velocity, shape }: Trajectory,
  m: number,
): { t: number; velocity: Float32Array } {
  const [, C, H, W] = withChannels(shape);
  const P = C * H * W;
  const index = Math.min(m, velocity.length / P - 1);
  return { t: t[index], velocity: velocity.subarray(index * P, (index + 1) * P) };
}

/** The end that the velocity at a snapshot predicts, f32[C, H, W]; for the last snapshot, the snapshot itself. */
export function predictedEnd(trajectory: Trajectory, m: number): Float32Array {
  const x = imageAt(trajectory, m);
  const t = trajectory.t[m];
  const { velocity, t: known } = lastVelocity(trajectory, m);
  return known === t ? x.map((value, i) => value + (1 - t) * velocity[i]) : x;
}

/** A snapshot in pixels and pixels per unit of t, f32[C, H, W]; the last one of a trajectory has no velocity. */
export interface ViewSnapshot {
  readonly t: number;
  readonly image: Float32Array;
  readonly velocity?: Float32Array;
}

/** A trajectory in progress, built from its snapshots. */
export class GrowingTrajectory {
  readonly #id = made++;
  readonly #P: number;
  readonly #image: Float32Array;
  readonly #velocity: Float32Array;
  readonly #t: number[] = [];
  #velocities = 0;
  #cost: Pick<TrajectoryView, "evaluations" | "tried"> = {};

  /**
   * @param size [C, H, W]
   * @param before the trajectory up to the step `first`, interpolated linearly between its snapshots
   */
  constructor(
    readonly words: { readonly name: string; readonly origin: string },
    readonly solved: Steps,
    readonly size: ImageSize,
    before?: { readonly trajectory: TrajectoryView; readonly first: number },
  ) {
    this.#P = size.reduce((product, axis) => product * axis, 1);
    this.#image = new Float32Array((solved.steps + 1) * this.#P);
    this.#velocity = new Float32Array((solved.steps + 1) * this.#P);
    if (!before) return;
    for (const t of stepTimes(solved).slice(0, before.first)) this.add(snapshotAt(before.trajectory, t));
  }

  finish(evaluations: number, tried?: readonly TriedStep[]): void {
    this.#cost = { evaluations, tried };
  }

  add({ t, image, velocity }: ViewSnapshot): void {
    this.#image.set(image, this.#t.length * this.#P);
    if (velocity) this.#velocity.set(velocity, this.#velocities++ * this.#P);
    this.#t.push(t);
  }

  /** The solved part of the trajectory, at least one snapshot. */
  get view(): TrajectoryView {
    const M = this.#t.length;
    return {
      id: M > this.solved.steps ? this.#id : made++,
      name: this.words.name,
      origin: this.words.origin + formatCost(this.#cost.evaluations),
      solved: this.solved,
      ...this.#cost,
      shape: [M, ...this.size],
      t: Float32Array.from(this.#t),
      image: this.#image.subarray(0, M * this.#P),
      velocity: this.#velocity.subarray(0, this.#velocities * this.#P),
    };
  }
}

/** A trajectory to draw in the page. */
export function drawnInPage(name: string, how: Steps, size: ImageSize): GrowingTrajectory {
  return new GrowingTrajectory({ name, origin: `drawn in this page by ${formatSolver(how)}` }, how, size);
}

/** Index of the last time at or before t; -1 if there is none. */
export function lastUntil(times: ArrayLike<number>, t: number): number {
  let m = times.length - 1;
  while (m >= 0 && times[m] > t) m--;
  return m;
}

/** The state of a trajectory at time t: between snapshots, x is linear in t and v is constant. */
export function snapshotAt(trajectory: TrajectoryView, t: number): Required<ViewSnapshot> {
  const { t: times } = trajectory;
  const m = Math.max(0, lastUntil(times, t + 1e-6));
  const image = imageAt(trajectory, m);
  const { velocity } = lastVelocity(trajectory, m);
  const share = m + 1 < times.length ? (t - times[m]) / (times[m + 1] - times[m]) : 0;
  if (share < 1e-3) return { t, image: image.slice(), velocity };
  const next = imageAt(trajectory, m + 1);
  return { t, image: image.map((x, i) => x + share * (next[i] - x)), velocity };
}
