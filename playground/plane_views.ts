import type { Sampler, Snapshot, VelocityField } from "../web/mod.ts";
import type { Library, PlaneTraining } from "./plane_training.ts";
import type { PlaygroundSettings } from "./settings.ts";
import { cellAt, type Point } from "./plane_data.ts";

/** Number of dots, which start as noise. */
export const dotCount = 512;
/** Number of arrows along each side of the plane, and of times. */
export const arrows = { side: 13, times: 9 };
/** Grid points along each side of the likelihood, and how many are computed at a time. */
export const heatSide = 48;
const placesAtOnce = 384;
/** Solver steps of a dropped dot. */
const finest = 64;

/** Settings that determine how the dots move. */
export type TrajectoryOptions = Pick<PlaygroundSettings, "solver" | "moves" | "seed">;

/** The places of dots before and after each solver step. */
export interface Trajectories {
  /** f32[K]. */
  readonly times: Float32Array<ArrayBuffer>;
  /** f32[K, N, 2]. */
  readonly places: Float32Array<ArrayBuffer>;
}

/** Values at times, f32[K, N], interpolated linearly at time t: the value of an index. */
export function valuesAt(times: ArrayLike<number>, values: Float32Array, t: number): (i: number) => number {
  const N = values.length / times.length;
  let k = 0;
  while (k < times.length - 2 && times[k + 1] <= t) k++;
  const share = Math.max(0, Math.min(1, (t - times[k]) / (times[k + 1] - times[k])));
  return (i) => values[k * N + i] + share * (values[(k + 1) * N + i] - values[k * N + i]);
}

/** The number of dots. */
export const countOf = ({ times, places }: Trajectories): number => places.length / 2 / times.length;

/** The place of dot n at time t. */
export function placeAt({ times, places }: Trajectories, n: number, t: number): Point {
  const at = valuesAt(times, places, t);
  return [at(2 * n), at(2 * n + 1)];
}

/** The places of dot n, before and after each solver step. */
export const pathOf = (dots: Trajectories, n: number): readonly Point[] =>
  Array.from(dots.times, (t) => placeAt(dots, n, t));

/** Maximum number of recorded solvers to keep. */
const maxRecorded = 8;

/** Computes what the plane shows of a network: dots, arrows, and velocities at single places. */
export class PlaneViews {
  readonly #field: VelocityField;
  /** The velocities on a grid at several times, f32[times, side, side, 2], rows upwards. */
  readonly arrows: () => Promise<Float32Array>;
  readonly #samplers = new Map<string, Sampler>();

  /** Records the computations of the views. */
  constructor(private readonly library: Library, { field }: Pick<PlaneTraining, "field">) {
    this.#field = field;
    const { record, tensor } = library;
    const { side, times } = arrows;
    const all = Array.from({ length: times * side * side }, (_, i) => i);
    const x = tensor(Float32Array.from(all.flatMap((i) => cellAt(i, side))), [all.length, 2]);
    const t = tensor(Float32Array.from(all, (i) => Math.floor(i / (side * side)) / (times - 1)));
    const step = record(() => field.velocity(x, t));
    this.arrows = () => {
      step.run();
      return step.result.read();
    };
  }

  /**
   * The trajectories of a seed's dots, from noise to data.
   *
   * @param noise strength of the noise of an SDE solver, used instead of `solver`; it preserves the distribution
   */
  dots({ solver, moves, seed }: TrajectoryOptions, noise?: number): Promise<Trajectories> {
    return this.#trajectories(this.library.noise(seed, [dotCount, 2]), solver, moves, noise);
  }

  /** The trajectory of a dot from a place at t = 0, in small steps. */
  drop(place: Point): Promise<Trajectories> {
    return this.#trajectories(this.library.tensor(Float32Array.from(place), [1, 2]), "heun", finest);
  }

  /**
   * The log-likelihood of the flow on a grid, exact up to the solver's error, f32[side, side], rows upwards.
   *
   * @param pause called between parts of the work
   */
  async likelihood(pause: () => Promise<void>): Promise<Float32Array<ArrayBuffer>> {
    const { logLikelihood, tensor } = this.library;
    const all = Array.from({ length: heatSide * heatSide }, (_, i) => cellAt(i, heatSide));
    const places = tensor(Float32Array.from(all.flat()), [all.length, 2]);
    const { logp } = await logLikelihood(this.#field, places, {
      exact: true,
      solver: "heun",
      steps: 24,
      batch: placesAtOnce,
      onProgress: pause,
    });
    return Float32Array.from(await logp.read());
  }

  /** The network's velocity at a place and time. */
  async look([x, y]: Point, t: number): Promise<Point> {
    const { scope, tensor } = this.library;
    const velocity = await scope(() => this.#field.velocity(tensor([x, y], [1, 2]), tensor([t])))
      .read();
    return [velocity[0], velocity[1]];
  }

  /**
   * The trajectories that start at x0, f32[N, 2]. Solvers are recorded; a network that learned whole steps takes whole
   * steps.
   */
  async #trajectories(
    x0: ReturnType<Library["noise"]>,
    solver: TrajectoryOptions["solver"],
    moves: number,
    noise?: number,
  ): Promise<Trajectories> {
    const key = [x0.size, solver, moves, noise].join();
    const sampler = this.#samplers.get(key) ?? this.#newSampler(x0.shape, solver, moves, noise);
    this.#samplers.delete(key); // moves it to the end, as most recently used
    this.#samplers.set(key, sampler);
    if (this.#samplers.size > maxRecorded) this.#samplers.delete(this.#samplers.keys().next().value!);
    const snapshots: Snapshot[] = [];
    for await (const snapshot of sampler.trajectory(x0)) snapshots.push(snapshot);
    const places = new Float32Array(snapshots.length * x0.size);
    snapshots.forEach(({ image }, k) => places.set(image, k * x0.size));
    return { times: Float32Array.from(snapshots, ({ t }) => t), places };
  }
  #newSampler(
    shape: readonly number[],
    solver: TrajectoryOptions["solver"],
    steps: number,
    noise: number | undefined,
  ): Sampler {
    const { Sampler } = this.library;
    if (noise !== undefined) return new Sampler(this.#field, shape, { solver: "sde", noise, steps });
    if (this.#field.meanVelocity) {
      return new Sampler(this.#field, shape, { solver: "map", grid: "uniform", steps });
    }
    return new Sampler(this.#field, shape, { solver, steps });
  }
}
