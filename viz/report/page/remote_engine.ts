/// <reference lib="dom" />
import { proxy } from "npm:comlink@4.4.2";
import type { Snapshot } from "../../../models/mod.ts";
import type { PageRun } from "../page_data.ts";
import type { LiveNetwork } from "../report_data.ts";
import { byId } from "./dom.ts";
import {
  type Conditioning,
  conditioningOf,
  type Engine,
  type Job,
  type MeasuredBits,
  type Offered,
  type SolvedBatch,
} from "./engine.ts";
import { type RemoteObject, startWorker } from "./remote_worker.ts";
import type { Judged } from "./sample_judge.ts";
import { countOf, formatSolver, type Steps } from "./trajectory_view.ts";

/** Options for a long-running call. */
interface Waiting<P = never> {
  /** Cancels the call, which fails at its next part. */
  readonly signal?: AbortSignal;
  /** Whether the call yields to others. */
  readonly background?: boolean;
  /** Called with each part of the result. */
  readonly onPart?: (part: P) => void;
}

interface SolveOptions extends Waiting<Snapshot> {
  /** The first step to solve. */
  readonly first?: number;
  /** The class of each image; by default the class in `how`. */
  readonly labels?: readonly number[] | undefined;
}

/** The page's engine: it computes in a worker, so the page never waits. */
export class RemoteEngine {
  readonly #worker: RemoteObject<Engine>;
  readonly #urgent = new Set<Promise<unknown>>();
  #offered: Offered | undefined;
  /** The number of classes of each network in the worker, by run. */
  readonly #networks = new Map<number, Promise<number>>();

  private constructor(program: string, readonly runs: readonly Pick<PageRun, "live">[]) {
    this.#worker = startWorker(program, "computes");
  }

  /**
   * Starts the worker, which opens the page's library and a device.
   *
   * @param program the page's program, which the worker also runs
   * @param runs the runs, with the networks to load
   * @throws {Error} if the browser cannot start a worker, or the library finds no device
   */
  static async open(program: string, runs: readonly Pick<PageRun, "live">[]): Promise<RemoteEngine> {
    const engine = new RemoteEngine(program, runs);
    engine.#offered = await engine.#answer(engine.#remote.open(byId("library").textContent!));
    return engine;
  }

  get offered(): Offered {
    return this.#offered!;
  }

  /** Describes the cost of solving since `started`. */
  formatCost(
    how: Steps,
    evaluations: number,
    started: number,
    part: Parameters<typeof formatSolving>[2] = {},
  ): string {
    const ms = Math.round(performance.now() - started).toLocaleString("en");
    return `${formatSolving(how, evaluations, part)}, ${ms} ms on ${this.offered.device}`;
  }

  /** Loads the network of a run, once, before other calls for it; returns its number of classes, 0 if unconditional. */
  classes(run: number): Promise<number> {
    const load = () => this.#answer(this.#remote.load(run, this.runs[run].live as LiveNetwork));
    if (!this.#networks.has(run)) this.#networks.set(run, load());
    return this.#networks.get(run)!;
  }

  gridTimes(steps: number, grid: string): Promise<readonly number[]> {
    return this.#answer(this.#remote.gridTimes(steps, grid));
  }

  /** Converts values in the units of a run's network to pixels. */
  toPixels(run: number, values: Float32Array): Promise<Float32Array> {
    return this.#answer(this.#remote.toPixels(run, values));
  }

  /** The noise number `row` of each seed, in pixels as the run scales them, f32[N, C, H, W]. */
  noise(run: number, seeds: readonly number[], row = 0): Promise<Float32Array> {
    return this.#answer(this.#remote.noise(run, seeds, row));
  }

  /**
   * Solves a batch from its state x at the step `first` to t = 1. Its parts are snapshots in pixels and pixels per unit
   * of t.
   *
   * @param x in pixels, f32[N, C, H, W]
   */
  solve(
    run: number,
    x: Float32Array,
    how: Steps,
    { first = 0, labels = how.label === undefined ? undefined : [how.label], ...waiting }: SolveOptions,
  ): Promise<SolvedBatch> {
    return this.#call(waiting, (job) => this.#remote.solve(run, x, how, first, labels, job));
  }

  /** The bits per dimension of an image, f32[C, H, W] in pixels. Its parts are the progress, from 0 to 1. */
  bits(
    run: number,
    pixels: Float32Array,
    label: number | undefined,
    seed: number,
    waiting: Waiting<number>,
  ): Promise<MeasuredBits> {
    return this.#call(waiting, (job) => this.#remote.bits(run, pixels, label, seed, job));
  }

  /** Judges the first `count` samples of f32[N, C, H, W] in pixels by the judge of a run. */
  judge(run: number, pixels: Float32Array, count: number, waiting: Waiting): Promise<Judged> {
    return this.#call(waiting, () => this.#remote.judge(run, pixels, count));
  }

  get #remote(): RemoteObject<Engine>["remote"] {
    return this.#worker.remote;
  }

  #answer<R>(answer: Promise<R>): Promise<R> {
    return Promise.race([this.#worker.failed, answer]);
  }

  /** Makes a long-running call, which can be cancelled at each part and yields there if it is in the background. */
  async #call<P, R>(
    { signal, background = false, onPart }: Waiting<P>,
    call: (job: Job<P>) => Promise<R>,
  ): Promise<R> {
    signal?.throwIfAborted();
    const job = async (part?: P) => {
      while (background && this.#urgent.size > 0) await Promise.allSettled(this.#urgent);
      signal?.throwIfAborted();
      if (part !== undefined) onPart?.(part);
    };
    const answer = this.#answer(call(proxy(job)));
    if (!background) this.#urgent.add(answer);
    try {
      return await answer;
    } finally {
      this.#urgent.delete(answer);
      signal?.throwIfAborted();
    }
  }
}

/**
 * Describes how `count` images were solved from step `first`: "3 steps of heun, class 2, 6 evaluations with and without
 * the class".
 *
 * @param each the settings of each image, with its class
 */
export function formatSolving(
  how: Steps,
  evaluations: number,
  { first = 0, count = 1, each = how }: {
    readonly first?: number;
    readonly count?: number;
    readonly each?: Steps;
  } = {},
): string {
  const conditioning = conditioningOf(each.label !== undefined, each.guidance);
  const cost = countOf(evaluations) + (count > 1 ? ` of ${count} images` : "") +
    (each.takesGuidance ? "" : guidanceCosts[conditioning] ?? "");
  return `${formatSolver({ ...how, steps: how.steps - first })}, ${cost}`;
}

/** Describes what an evaluation with guidance includes. */
const guidanceCosts: Partial<Record<Conditioning, string>> = {
  guided: " with and without the class",
  autoguided: " of the network and its early weights",
};
