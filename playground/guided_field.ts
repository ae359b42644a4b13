import { ExactField, type Meeting } from "./exact_field.ts";
import type { Point } from "./strokes.ts";
import type { Trajectories } from "./plane_views.ts";
import type { PlaygroundSettings } from "./settings.ts";

/** Steps of a guided dot. */
const steps = 32;

/** The lines that meet at a place: to all data, to the data of a class, and the guided combination of their means. */
export interface GuidedMeeting {
  readonly all: Meeting;
  readonly own: Meeting;
  readonly guided: Point;
}

/**
 * The exact velocity of classifier-free guidance: v + scale (v_class - v), v being the velocity of all data. At scale 1
 * it is the velocity of the class.
 */
export class GuidedField {
  readonly all: ExactField;
  /** The field of the class's data. */
  readonly own: ExactField;
  readonly scale: number;

  /** @param points f32[M, 2] */
  constructor(points: Float32Array, { path, data, label, scale }: PlaygroundSettings) {
    this.all = new ExactField(points, path);
    this.own = new ExactField(classPoints(points, data, label), path);
    this.scale = scale;
  }

  meeting(place: Point, t: number): GuidedMeeting {
    const [all, own] = [this.all.meeting(place, t), this.own.meeting(place, t)];
    const along = (axis: 0 | 1) => all.mean[axis] + this.scale * (own.mean[axis] - all.mean[axis]);
    return { all, own, guided: [along(0), along(1)] };
  }

  /** The trajectories of dots that start at x0, f32[N, 2], by Euler steps; works for a few milliseconds at a time. */
  *trajectories(x0: Float32Array): Generator<void, Trajectories, void> {
    const N = x0.length / 2;
    const times = Float32Array.from({ length: steps + 1 }, (_, k) => k / steps);
    const places = new Float32Array((steps + 1) * 2 * N);
    places.set(x0);
    for (let k = 0; k < steps; k++) {
      for (let n = 0; n < N; n++) {
        const at = 2 * (k * N + n);
        const { guided } = this.meeting([places[at], places[at + 1]], k / steps);
        guided.forEach((velocity, axis) => places[at + 2 * N + axis] = places[at + axis] + velocity / steps);
      }
      yield;
    }
    return { times, places };
  }
}

/** The points of a class: letters and tiles are split into left and right, other data by strand. */
export function classPoints(
  points: Float32Array,
  data: PlaygroundSettings["data"],
  label: PlaygroundSettings["label"],
): Float32Array<ArrayBuffer> {
  const first = (n: number) =>
    data === "letters" || data === "checkerboard" ? points[2 * n] < -0.4 : n < points.length / 4;
  return points.filter((_, i) => first(i >> 1) === (label === "first")) as Float32Array<ArrayBuffer>;
}
