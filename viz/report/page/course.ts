import type { FlowPayload } from "../payload.ts";
import { decode } from "./decode.ts";

/** How a flow is solved: a solver by name, and its equal steps from t = 0 to t = 1. */
export interface Steps {
  readonly solver: string;
  readonly steps: number;
}

/** A sample on its way, or the first part of it. */
export interface Course {
  /** Different for all courses. */
  readonly id: number;
  /** What to call it, and how it came to be, as far as that is known. */
  readonly name: string;
  readonly origin: string;
  readonly solved?: Steps;
  readonly shape: readonly [M: number, H: number, W: number];
  /** Times of the snapshots and of their velocities: where there is none, it is that of the step before. */
  readonly t: readonly number[];
  readonly velocityT: readonly number[];
  /** In pixels and pixels a unit of t, f32[M, H, W]. */
  readonly image: Float32Array;
  readonly velocity: Float32Array;
}

let courses = 0;

/** A number that no course has. */
export function newId(): number {
  return courses++;
}

/** One snapshot of a field, f32[H, W]. */
export function field({ shape: [, H, W], ...course }: Course, name: "image" | "velocity", m: number) {
  return course[name].subarray(m * H * W, (m + 1) * H * W);
}

/** The courses that a report holds of a run, and the largest magnitude of a velocity in them. */
export function recordedCourses(payload: FlowPayload): { courses: Course[]; fastest: number } {
  const { shape: [S, M, H, W], t, velocityT, solved } = payload;
  const [image, velocity] = [decode(payload.image), decode(payload.velocity)];
  const size = M * H * W;
  const courses = Array.from({ length: S }, (_, s): Course => ({
    id: newId(),
    name: `Sample ${s + 1}`,
    origin: solved ? `noise ${s + 1} of seed ${solved.seed}, ${inWords(solved)}` : "",
    ...solved && { solved },
    shape: [M, H, W],
    t,
    velocityT,
    image: image.subarray(s * size, (s + 1) * size),
    velocity: velocity.subarray(s * size, (s + 1) * size),
  }));
  return { courses, fastest: velocity.reduce((most, value) => Math.max(most, Math.abs(value)), 0) };
}

/** "20 steps of heun" */
export function inWords({ steps, solver }: Steps): string {
  return `${steps} ${steps > 1 ? "steps" : "step"} of ${solver}`;
}

/** A course that is being solved: what lies before its first step is there, the rest comes snapshot by snapshot. */
export class GrowingCourse {
  readonly #id = newId();
  readonly #P: number;
  readonly #image: Float32Array;
  readonly #velocity: Float32Array;
  readonly #velocityT: number[] = [];
  #M = 0;

  /**
   * @param size [H, W]
   * @param before the course that it leaves at the step `first`; its states between snapshots are taken to lie on lines
   */
  constructor(
    readonly words: { readonly name: string; readonly origin: string },
    readonly solved: Steps,
    readonly size: readonly [H: number, W: number],
    before?: { readonly course: Course; readonly first: number },
  ) {
    this.#P = size[0] * size[1];
    this.#image = new Float32Array((solved.steps + 1) * this.#P);
    this.#velocity = new Float32Array((solved.steps + 1) * this.#P);
    for (let i = 0; before && i < before.first; i++) this.add(stateAt(before.course, i / solved.steps));
  }

  /** Adds the next snapshot; without velocity it keeps that of the one before. */
  add({ image, velocity }: { readonly image: Float32Array; readonly velocity?: Float32Array }): void {
    const [m, P] = [this.#M++, this.#P];
    this.#image.set(image, m * P);
    this.#velocity.set(velocity ?? this.#velocity.subarray((m - 1) * P, m * P), m * P);
    this.#velocityT.push(velocity ? m / this.solved.steps : this.#velocityT[m - 1]);
  }

  /** The course as far as it is known: one snapshot at least. */
  get course(): Course {
    const [M, P] = [this.#M, this.#P];
    return {
      id: M > this.solved.steps ? this.#id : newId(),
      ...this.words,
      solved: this.solved,
      shape: [M, ...this.size],
      t: Array.from({ length: M }, (_, m) => m / this.solved.steps),
      velocityT: [...this.#velocityT],
      image: this.#image.subarray(0, M * P),
      velocity: this.#velocity.subarray(0, M * P),
    };
  }
}

/** Where a course is at time t, and with which velocity: between snapshots x goes straight and v stays. */
export function stateAt(course: Course, t: number): { image: Float32Array; velocity: Float32Array } {
  const { t: times } = course;
  const m = Math.max(0, times.findLastIndex((time) => time <= t + 1e-6));
  const image = field(course, "image", m);
  const velocity = field(course, "velocity", m);
  const share = m + 1 < times.length ? (t - times[m]) / (times[m + 1] - times[m]) : 0;
  if (share < 1e-3) return { image: image.slice(), velocity };
  const next = field(course, "image", m + 1);
  return { image: image.map((x, i) => x + share * (next[i] - x)), velocity };
}
