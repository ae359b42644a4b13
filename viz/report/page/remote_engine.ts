/// <reference lib="dom" />
import type { Snapshot } from "../../../models/mod.ts";
import type { PageRun } from "../page_data.ts";
import type { LiveNetwork } from "../report_data.ts";
import { byId } from "./dom.ts";
import {
  type Conditioning,
  conditioningOf,
  type MeasuredBits,
  type Offered,
  type SolvedBatch,
} from "./engine.ts";
import type { Arguments, FromWorker, Method, Part, Result, ToWorker } from "./engine_worker.ts";
import type { Judged } from "./sample_judge.ts";
import { countOf, inWords, type Steps } from "./trajectory_view.ts";

/** How the page waits for a call. */
interface Waiting<P = never> {
  /** Cancels the call, which then fails as soon as the worker has stopped. */
  readonly signal?: AbortSignal;
  /** Whether the call stands back while there are others. */
  readonly background?: boolean;
  /** Called with each part of the result. */
  readonly onPart?: (part: P) => void;
}

interface SolveOptions extends Waiting<Snapshot> {
  /** The first step. */
  readonly first?: number;
  /** The class of each image; by default that of `how`. */
  readonly labels?: readonly number[] | undefined;
}

/** A call without an answer so far. */
interface OpenCall {
  onPart(part: unknown): void;
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/** The page's engine: it computes in a worker, so the page never waits. */
export class RemoteEngine {
  readonly #worker: Worker;
  readonly #calls = new Map<number, OpenCall>();
  #count = 0;
  /** Why the worker answers no more. */
  #failure: Error | undefined;
  #offered: Offered | undefined;
  /** Numbers of classes of the networks that the worker has, by run. */
  readonly #networks = new Map<number, Promise<number>>();
  readonly #judges = new Map<number, Promise<void>>();

  /** @param runs with networks for those that are loaded */
  private constructor(worker: Worker, readonly runs: readonly Pick<PageRun, "live">[]) {
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#take(data);
    worker.onerror = (event) => {
      event.preventDefault(); // the page tells it
      const why = event.message?.replace(/^Uncaught /, "");
      this.#failure = new Error(`The worker that computes has failed${why ? `: ${why}` : ""}`);
      for (const { reject } of this.#calls.values()) reject(this.#failure);
      this.#calls.clear();
    };
  }

  /**
   * Starts the worker, which opens the page's library and a device.
   *
   * @param program the program of the page; the worker runs it, too
   * @throws {Error} if the browser starts no worker, or the library finds no device
   */
  static async open(program: string, runs: readonly Pick<PageRun, "live">[]): Promise<RemoteEngine> {
    const address = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
    try {
      const engine = new RemoteEngine(startWorker(address), runs);
      engine.#offered = await engine.#call("open", [byId("library").textContent!]);
      return engine;
    } finally {
      URL.revokeObjectURL(address);
    }
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

  /** Loads the network of a run, once; returns its number of classes, 0 if it is unconditional. */
  classes(run: number): Promise<number> {
    let classes = this.#networks.get(run);
    if (!classes) {
      const { checkpoint, early, program } = this.#network(run);
      classes = this.#call("load", [run, checkpoint, early?.checkpoint, program]);
      this.#networks.set(run, classes);
    }
    return classes;
  }

  gridTimes(steps: number, grid: string): Promise<readonly number[]> {
    return this.#call("gridTimes", [steps, grid]);
  }

  /** Values in the units of a run's network as pixels. */
  async toPixels(run: number, values: Float32Array): Promise<Float32Array> {
    await this.classes(run);
    return await this.#call("toPixels", [run, values]);
  }

  /** The noise of each seed with number `row`, in pixels as the run scales them, f32[N, C, H, W]. */
  async noise(run: number, seeds: readonly number[], row = 0): Promise<Float32Array> {
    await this.classes(run);
    return await this.#call("noise", [run, seeds, row]);
  }

  /**
   * Solves a batch from its state x at the step `first` to t = 1. Its parts are snapshots in pixels and pixels per unit
   * of t.
   *
   * @param x in pixels, f32[N, C, H, W]
   */
  async solve(
    run: number,
    x: Float32Array,
    how: Steps,
    { first = 0, labels = how.label === undefined ? undefined : [how.label], ...waiting }: SolveOptions,
  ): Promise<SolvedBatch> {
    await this.classes(run);
    return await this.#call("solve", [run, x, how, first, labels], waiting);
  }

  /** The bits per dimension of an image, f32[C, H, W] in pixels. Its parts are the progress, from 0 to 1. */
  async bits(
    run: number,
    pixels: Float32Array,
    label: number | undefined,
    seed: number,
    waiting: Waiting<number>,
  ): Promise<MeasuredBits> {
    await this.classes(run);
    return await this.#call("bits", [run, pixels, label, seed], waiting);
  }

  /** Judges the first `count` samples of f32[N, C, H, W] in pixels by the judge of a run. */
  async judge(
    run: number,
    pixels: Float32Array,
    count: number,
    waiting: Waiting,
  ): Promise<Judged> {
    let loaded = this.#judges.get(run);
    if (!loaded) {
      const { weights, reference } = this.#network(run).judge!;
      loaded = this.#call("loadJudge", [run, weights, reference]);
      this.#judges.set(run, loaded);
    }
    await loaded;
    return await this.#call("judge", [run, pixels, count], waiting);
  }

  #network(run: number): LiveNetwork {
    return this.runs[run].live as LiveNetwork;
  }

  #call<M extends Method>(
    method: M,
    values: Arguments<M>,
    { signal, background = false, onPart }: Waiting<Part<M>> = {},
  ): Promise<Result<M>> {
    const id = this.#count++;
    return new Promise<Result<M>>((resolve, reject) => {
      if (this.#failure) throw this.#failure;
      signal?.throwIfAborted();
      this.#calls.set(id, {
        onPart: (part) => signal?.aborted || onPart?.(part as Part<M>),
        resolve: (result) => signal?.aborted ? reject(signal.reason) : resolve(result as Result<M>),
        reject,
      });
      signal?.addEventListener("abort", () => this.#send({ cancel: id }));
      this.#send({ id, method, values, background });
    });
  }

  #send(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #take(message: FromWorker): void {
    const call = this.#calls.get(message.id);
    if ("part" in message) return call?.onPart(message.part);
    this.#calls.delete(message.id);
    if ("error" in message) call?.reject(new Error(message.error));
    else call?.resolve(message.result);
  }
}

/** @throws {Error} if the browser starts no worker from a page like this */
function startWorker(address: string): Worker {
  try {
    return new Worker(address);
  } catch (error) {
    throw new Error(`This browser starts no worker here: ${error}`);
  }
}

/**
 * How `count` images were solved from the step `first` on: "3 steps of heun, class 2, 6 evaluations with and without the
 * class".
 *
 * @param each how each of them was, with its class
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
    (guidanceCosts[conditioning] ?? "");
  return `${inWords({ ...how, steps: how.steps - first })}, ${cost}`;
}

/** What guidance adds to an evaluation. */
const guidanceCosts: Partial<Record<Conditioning, string>> = {
  guided: " with and without the class",
  autoguided: " of the network and its early weights",
};
