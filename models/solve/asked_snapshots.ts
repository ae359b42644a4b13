import { interpolation, type InterpolationWeights } from "./interpolation.ts";
import type { Snapshot } from "./sampler.ts";

/** A step of one sample, of which something may be asked. */
export interface OwnStep {
  readonly t: number;
  readonly dt: number;
  /** Whether it leads from t to t + dt; else nothing is asked of it. */
  readonly accepted: boolean;
}

/** Of a sample of which nothing is asked; what is read of it is dropped. */
const nothing: InterpolationWeights = { x: [1, 0, 0, 0, 0], slope: [0, 0, 1, 0, 0] };

/** Snapshots at asked times, collected while every sample of a batch takes its own steps. */
export class AskedSnapshots {
  readonly #times: readonly number[];
  readonly #snapshots: readonly Required<Snapshot>[];
  /** For each sample, how many of its snapshots are taken. */
  readonly #taken: number[];
  readonly #P: number;
  readonly #reads: Promise<void>[] = [];

  /**
   * @param times in the order in which they are passed
   * @param N samples
   * @param P elements of each
   */
  constructor(times: readonly number[], N: number, P: number) {
    this.#times = times;
    this.#P = P;
    this.#taken = Array.from({ length: N }, () => 0);
    this.#snapshots = times.map((t) => ({
      t,
      image: new Float32Array(N * P),
      velocity: new Float32Array(N * P),
    }));
  }

  /**
   * Takes all snapshots that lie within one step of each sample.
   *
   * @param read reads x and slope of all samples within their steps, f32[N, ...] each; it is not waited for
   */
  take(
    steps: readonly OwnStep[],
    read: (weights: readonly InterpolationWeights[]) => Promise<[Float32Array, Float32Array]>,
  ): void {
    for (;;) {
      const asked = steps.map((step, n) => this.#isWithin(step, this.#times[this.#taken[n]]));
      if (!asked.includes(true)) return;
      const taken = [...this.#taken];
      const values = read(
        steps.map(({ t, dt }, n) => asked[n] ? interpolation((this.#times[taken[n]] - t) / dt, dt) : nothing),
      );
      const kept = values.then(([x, slope]) => {
        asked.forEach((asked, n) => {
          if (asked) this.#keep(taken[n], n, x, slope);
        });
      });
      kept.catch(() => {}); // `all` tells of it, unless the solver fails first
      this.#reads.push(kept);
      asked.forEach((asked, n) => {
        if (asked) this.#taken[n]++;
      });
    }
  }

  /** All snapshots, once every sample has passed all times. */
  async all(): Promise<readonly Required<Snapshot>[]> {
    await Promise.all(this.#reads);
    return this.#snapshots;
  }

  #isWithin({ t, dt, accepted }: OwnStep, time: number | undefined): boolean {
    return accepted && time !== undefined && (time - t) / dt <= 1;
  }

  #keep(i: number, n: number, x: Float32Array, slope: Float32Array): void {
    const part = (values: Float32Array) => values.subarray(n * this.#P, (n + 1) * this.#P);
    this.#snapshots[i].image.set(part(x), n * this.#P);
    this.#snapshots[i].velocity.set(part(slope), n * this.#P);
  }
}
