import type { ImageSize } from "../../image/image_shape.ts";
import type { TriedStep } from "../library.ts";
import type { FlowPayload } from "../payload.ts";
import { decode } from "./decode.ts";

/** How a flow is solved: a solver by name, and its steps from t = 0 to t = 1. */
export interface Steps {
  readonly solver: string;
  /** Of a solver that chooses its own steps: the parts between its snapshots. */
  readonly steps: number;
  /** Error allowed in each step of a solver that chooses its own. */
  readonly tolerance?: number;
  /** The ends of the steps, `steps` + 1 times; without them the steps are equal. */
  readonly times?: readonly number[];
  /** The class that is asked for, if any. */
  readonly label?: number;
  /** Guidance by it, or without a class away from what the network was early on; 1, as by default, is none. */
  readonly guidance?: number;
}

/** The times at the ends of the steps. */
export function timesOf({ steps, times }: Steps): readonly number[] {
  return times ?? Array.from({ length: steps + 1 }, (_, i) => i / steps);
}

/** A sample on its way, or the first part of it. */
export interface Course {
  /** Different for all courses. */
  readonly id: number;
  /** What to call it, and how it was made, as far as that is known. */
  readonly name: string;
  readonly origin: string;
  readonly solved?: Steps;
  /** How often the network was asked, and the steps of a solver that chose its own, if they are known. */
  readonly evaluations?: number;
  readonly tried?: readonly TriedStep[];
  readonly shape: readonly [M: number, C: number, H: number, W: number];
  /** Times of the snapshots, and of their velocities: a snapshot without velocity has that of the one before. */
  readonly t: readonly number[];
  readonly velocityT: readonly number[];
  /** In pixels and pixels per unit of t, f32[M, C, H, W]. */
  readonly image: Float32Array;
  readonly velocity: Float32Array;
}

let courses = 0;

/** A number that no course has. */
export function newId(): number {
  return courses++;
}

/** One snapshot of a field, f32[C, H, W]. */
export function field({ shape: [, C, H, W], ...course }: Course, name: "image" | "velocity", m: number) {
  const size = C * H * W;
  return course[name].subarray(m * size, (m + 1) * size);
}

/** The courses that a report holds of a run. */
export function recordedCourses(payload: FlowPayload): Course[] {
  const { shape: [S, M, C, H, W], t, velocityT, solved } = payload;
  const [image, velocity] = [decode(payload.image), decode(payload.velocity)];
  const size = M * C * H * W;
  return Array.from({ length: S }, (_, s): Course => {
    const label = solved?.labels?.[s];
    const how = solved && { ...solved, ...label !== undefined && { label } };
    return {
      id: newId(),
      name: `Sample ${s + 1}`,
      origin: how
        ? `noise ${s + 1} of seed ${how.seed}, ${inWords(how)}${evaluationsOf(how.evaluations)}`
        : "",
      ...how && { solved: how },
      shape: [M, C, H, W],
      t,
      velocityT,
      image: image.subarray(s * size, (s + 1) * size),
      velocity: velocity.subarray(s * size, (s + 1) * size),
    };
  });
}

/** "20 steps of heun, class 3, guidance 1.5", or "dopri5 with tolerance 0.001" */
export function inWords({ steps, solver, tolerance, label, guidance = 1 }: Steps): string {
  const solved = tolerance === undefined
    ? `${steps} ${steps > 1 ? "steps" : "step"} of ${solver}`
    : `${solver} with tolerance ${tolerance}`;
  const asked = label === undefined ? "" : `, class ${label}`;
  const away = label === undefined ? " away from its early self" : "";
  return solved + asked + (guidance === 1 ? "" : `, guidance ${guidance}${away}`);
}

/** ", 40 evaluations", as far as it is known. */
function evaluationsOf(evaluations: number | undefined): string {
  return evaluations === undefined ? "" : `, ${countOf(evaluations)}`;
}

/** "40 evaluations" */
export function countOf(evaluations: number): string {
  return `${evaluations} evaluation${evaluations === 1 ? "" : "s"}`;
}

/** A state on the way; the last one has no velocity. */
export interface State {
  readonly t: number;
  /** In pixels, f32[C, H, W]. */
  readonly image: Float32Array;
  /** In pixels per unit of t, f32[C, H, W]. */
  readonly velocity?: Float32Array;
}

/** A course that is being solved: what lies before its first step is known, the rest comes snapshot by snapshot. */
export class GrowingCourse {
  readonly #id = newId();
  readonly #size: number;
  readonly #image: Float32Array;
  readonly #velocity: Float32Array;
  readonly #t: number[] = [];
  readonly #velocityT: number[] = [];
  #cost: Pick<Course, "evaluations" | "tried"> = {};

  /**
   * @param size [C, H, W]
   * @param before the course that it leaves at the step `first`; between its snapshots x is taken to go straight
   */
  constructor(
    readonly words: { readonly name: string; readonly origin: string },
    readonly solved: Steps,
    readonly size: ImageSize,
    before?: { readonly course: Course; readonly first: number },
  ) {
    this.#size = size.reduce((product, axis) => product * axis, 1);
    this.#image = new Float32Array((solved.steps + 1) * this.#size);
    this.#velocity = new Float32Array((solved.steps + 1) * this.#size);
    if (!before) return;
    for (const t of timesOf(solved).slice(0, before.first)) this.add(stateAt(before.course, t));
  }

  /** Takes note of how often the network was asked, and of own steps, once all is known. */
  finish(evaluations: number, tried?: readonly TriedStep[]): void {
    this.#cost = { evaluations, ...tried && { tried } };
  }

  /** Adds the next snapshot; without velocity it keeps that of the one before. */
  add({ t, image, velocity }: State): void {
    const [m, size] = [this.#t.length, this.#size];
    this.#image.set(image, m * size);
    this.#velocity.set(velocity ?? this.#velocity.subarray((m - 1) * size, m * size), m * size);
    this.#t.push(t);
    this.#velocityT.push(velocity ? t : this.#velocityT[m - 1]);
  }

  /** The course as far as it is known: one snapshot at least. */
  get course(): Course {
    const [M, size] = [this.#t.length, this.#size];
    return {
      id: M > this.solved.steps ? this.#id : newId(),
      name: this.words.name,
      origin: this.words.origin + evaluationsOf(this.#cost.evaluations),
      solved: this.solved,
      ...this.#cost,
      shape: [M, ...this.size],
      t: [...this.#t],
      velocityT: [...this.#velocityT],
      image: this.#image.subarray(0, M * size),
      velocity: this.#velocity.subarray(0, M * size),
    };
  }
}

/** Where a course is at time t, and with which velocity: between snapshots x goes straight and v stays. */
export function stateAt(course: Course, t: number): Required<State> {
  const { t: times } = course;
  const m = Math.max(0, times.findLastIndex((time) => time <= t + 1e-6));
  const image = field(course, "image", m);
  const velocity = field(course, "velocity", m);
  const share = m + 1 < times.length ? (t - times[m]) / (times[m + 1] - times[m]) : 0;
  if (share < 1e-3) return { t, image: image.slice(), velocity };
  const next = field(course, "image", m + 1);
  return { t, image: image.map((x, i) => x + share * (next[i] - x)), velocity };
}
