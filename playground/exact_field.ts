import type { Point } from "./plane_data.ts";
import type { Library, PlaneTraining } from "./plane_training.ts";
import type { Trajectories } from "./plane_views.ts";
import type { PlaygroundSettings } from "./settings.ts";

/** The weights of data and noise at a time t, and their derivatives. */
type Shares = readonly [alpha: number, sigma: number, alphaSlope: number, sigmaSlope: number];

/** The library's paths for single numbers; a test compares the two. */
const shares: Readonly<Record<PlaygroundSettings["path"], (t: number) => Shares>> = {
  linear: (t) => [t, 1 - t, 1, -1],
  cosine(t) {
    const quarter = Math.PI / 2;
    const [sine, cosine] = [Math.sin(quarter * t), Math.cos(quarter * t)];
    return [sine, cosine, quarter * cosine, -quarter * sine];
  },
};

/** Lower bound of sigma where the code divides by it. */
const leastSigma = 1e-3;
/** Steps of a guided dot. */
const steps = 32;
/** Number of random places that the floor averages over. */
const draws = 8192;
/** How many of them are computed at a time. */
const atOnce = 128;

/** The lines that meet at a point at one time. */
export interface Meeting {
  /** The probability that a line through the point ends at each data point; they sum to 1. */
  readonly weights: Float64Array;
  /** The mean velocity of all lines through the point. */
  readonly mean: Point;
  /** The variance of their velocities per coordinate: no network can have a smaller loss here. */
  readonly spread: number;
}

/**
 * The velocity that a perfect network would learn from random pairs of normal noise and finite data, in closed form.
 *
 * A line through x at time t to the data point x1 comes from the noise x0 = (x - alpha x1) / sigma, so it is as
 * probable as that noise: its weight is exp(-|x0|^2 / 2), divided by the sum over all lines. The weighted mean of their
 * velocities minimises the loss.
 */
export class ExactField {
  readonly straight: boolean;
  readonly #points: Float32Array;
  readonly #shares: (t: number) => Shares;

  /** @param points f32[M, 2] */
  constructor(points: Float32Array, path: PlaygroundSettings["path"]) {
    this.straight = path === "linear";
    this.#points = points;
    this.#shares = shares[path];
  }

  get size(): number {
    return this.#points.length / 2;
  }

  point(i: number): Point {
    return [this.#points[2 * i], this.#points[2 * i + 1]];
  }

  points(): readonly Point[] {
    return Array.from({ length: this.size }, (_, i) => this.point(i));
  }

  /** The noise from which a line through the point at t leads to data point i. */
  start([x, y]: Point, t: number, i: number): Point {
    const [alpha, sigma] = this.#at(t);
    return [(x - alpha * this.#points[2 * i]) / sigma, (y - alpha * this.#points[2 * i + 1]) / sigma];
  }

  /** Where the line from noise to data is at t. */
  between([x0, y0]: Point, [x1, y1]: Point, t: number): Point {
    const [alpha, sigma] = this.#shares(t);
    return [alpha * x1 + sigma * x0, alpha * y1 + sigma * y0];
  }

  /** Points of the line from noise to data, at equally spaced times. */
  line(x0: Point, x1: Point, pieces: number): readonly Point[] {
    return Array.from({ length: pieces + 1 }, (_, k) => this.between(x0, x1, k / pieces));
  }

  /** The velocity at t on the line from noise to data. */
  velocity([x0, y0]: Point, [x1, y1]: Point, t: number): Point {
    const [, , alphaSlope, sigmaSlope] = this.#shares(t);
    return [alphaSlope * x1 + sigmaSlope * x0, alphaSlope * y1 + sigmaSlope * y0];
  }

  /** All lines that meet at a point at time t in [0, 1]. */
  meeting(point: Point, t: number): Meeting {
    const [alpha, sigma, alphaSlope, sigmaSlope] = this.#at(t);
    const weights = new Float64Array(this.size);
    let nearest = Infinity;
    for (let i = 0; i < weights.length; i++) {
      const dx = (point[0] - alpha * this.#points[2 * i]) / sigma;
      const dy = (point[1] - alpha * this.#points[2 * i + 1]) / sigma;
      weights[i] = dx * dx + dy * dy;
      if (weights[i] < nearest) nearest = weights[i];
    }
    let sum = 0;
    let x = 0;
    let y = 0;
    let squares = 0;
    for (let i = 0; i < weights.length; i++) {
      const weight = Math.exp((nearest - weights[i]) / 2);
      weights[i] = weight;
      const [x1, y1] = [this.#points[2 * i], this.#points[2 * i + 1]];
      const u = alphaSlope * x1 + sigmaSlope * (point[0] - alpha * x1) / sigma;
      const v = alphaSlope * y1 + sigmaSlope * (point[1] - alpha * y1) / sigma;
      sum += weight;
      x += weight * u;
      y += weight * v;
      squares += weight * (u * u + v * v);
    }
    for (let i = 0; i < weights.length; i++) weights[i] /= sum;
    const mean: Point = [x / sum, y / sum];
    return { weights, mean, spread: Math.max(0, squares / sum - mean[0] ** 2 - mean[1] ** 2) / 2 };
  }

  /**
   * The density of the dots at time t on a grid over a centred square: a mixture of normal densities with standard
   * deviations of at least `softness`. f64[side, side], rows upwards.
   */
  density(halfSide: number, side: number, t: number, softness = 0.1): Float64Array {
    const [alpha, sigma] = this.#shares(t);
    const width = Math.max(sigma, softness);
    const places = Array.from({ length: side }, (_, i) => halfSide * ((2 * i + 1) / side - 1));
    const along = (middle: number) => places.map((place) => Math.exp(-(((place - middle) / width) ** 2) / 2));
    const density = new Float64Array(side * side);
    for (let n = 0; n < this.size; n++) {
      const [xs, ys] = this.point(n).map((value) => along(alpha * value));
      for (let y = 0; y < side; y++) {
        const factor = ys[y] / (2 * Math.PI * width ** 2 * this.size);
        if (factor > 1e-12) { for (let x = 0; x < side; x++) density[y * side + x] += factor * xs[x]; }
      }
    }
    return density;
  }

  #at(t: number): Shares {
    const [alpha, sigma, ...slopes] = this.#shares(t);
    return [alpha, Math.max(sigma, leastSigma), ...slopes];
  }
}

/**
 * The loss of a perfect network, averaged over random places and times as in training. Over 8,192 draws, its relative
 * error is about 1 %.
 *
 * @returns a generator that works for a millisecond or two at a time, then returns the floor; undefined for nearest pairs
 * and whole steps, which have no closed form
 */
export async function* lossFloor(
  library: Library,
  { points, settings }: Pick<PlaneTraining, "points" | "settings">,
): AsyncGenerator<void, number | undefined, void> {
  const { path, pairs, objective, seed } = settings;
  if (pairs === "nearest" || objective === "one_step") return undefined;
  const exact = new ExactField(points, path);
  const times = library.timeDistributions[settings.times].make({ mean: 0, scale: 1, a: 4 });
  const { heldOutNoise, heldOutTime } = library.streams;
  const key = library.tensor(Uint32Array.of(seed, heldOutTime, 0));
  const t = await times.draw(key, draws).read();
  const x0 = library.normals(seed, heldOutNoise, 0, 2 * draws);
  let sum = 0;
  for (let n = 0; n < draws; n++) {
    const place = exact.between([x0[2 * n], x0[2 * n + 1]], exact.point(n % exact.size), t[n]);
    sum += exact.meeting(place, t[n]).spread;
    if (n % atOnce === atOnce - 1) yield;
  }
  return sum / draws;
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

  /** The lines that meet at a place to all data, to the data of the class, and the guided combination of their means. */
  meeting(place: Point, t: number): { readonly all: Meeting; readonly own: Meeting; readonly guided: Point } {
    const all = this.all.meeting(place, t);
    const own = this.own.meeting(place, t);
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
