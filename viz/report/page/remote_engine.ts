/// <reference lib="dom" />
import { proxy, type Remote } from "npm:comlink@4.4.2";
import type { PageRun } from "../page_data.ts";
import type { LiveNetwork } from "../report_data.ts";
import { byId } from "./dom.ts";
import { conditioningOf, type Engine, type Job, type Offered } from "./engine.ts";
import { type RemoteObject, startWorker } from "./remote_worker.ts";
import { countOf, formatSolver, type GrowingTrajectory, type Steps } from "./trajectory_view.ts";
import type { Running } from "./work.ts";

/** The page's engine: it computes in a worker, so the page never waits. */
export class RemoteEngine {
  readonly #worker: RemoteObject<Engine>;
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
    engine.#offered = await engine.call((remote) => remote.open(byId("library").textContent!));
    return engine;
  }

  get offered(): Offered {
    return this.#offered!;
  }

  /** The cost of work since `started`: "120 ms on WebGPU". */
  timeSince(started: number): string {
    return `${Math.round(performance.now() - started).toLocaleString("en")} ms on ${this.offered.device}`;
  }

  /** Loads the network of a run, once, before other calls for it; returns its number of classes, 0 if unconditional. */
  classes(run: number): Promise<number> {
    const load = () => this.call((remote) => remote.load(run, this.runs[run].live as LiveNetwork));
    if (!this.#networks.has(run)) this.#networks.set(run, load());
    return this.#networks.get(run)!;
  }

  /** Calls the engine; fails when the worker fails. */
  call<R>(act: (engine: Remote<Engine>) => Promise<R>): Promise<R> {
    return Promise.race([this.#worker.failed, act(this.#worker.remote)]);
  }

  /** Calls the engine as part of a task, with a job that takes turns and passes parts of the result to `onPart`. */
  async callInTurn<P, R>(
    { turn }: Running,
    act: (engine: Remote<Engine>, job: Job<P>) => Promise<R>,
    onPart: (part: P) => void = () => {},
  ): Promise<R> {
    await turn();
    const job = async (part?: P) => {
      await turn();
      if (part !== undefined) onPart(part);
    };
    const answer = await this.call((engine) => act(engine, proxy(job)));
    await turn();
    return answer;
  }

  /**
   * Solves samples with one solver, from their states at the step `first`, and adds all snapshots to them.
   *
   * @param x in pixels, f32[N, C, H, W]
   * @param onPart called with the states of all samples at each snapshot
   * @returns the cost, as text
   */
  async solve(
    run: number,
    x: Float32Array,
    samples: readonly GrowingTrajectory[],
    running: Running,
    { first = 0, onPart = (_: Float32Array) => {} } = {},
  ): Promise<string> {
    const [{ solved }] = samples;
    const labels = solved.label === undefined ? undefined : samples.map(({ solved }) => solved.label!);
    const started = performance.now();
    const { evaluations, tried } = await this.callInTurn(
      running,
      (engine, job: Parameters<Engine["solve"]>[5]) => engine.solve(run, x, solved, first, labels, job),
      ({ t, image, velocity }) => {
        samples.forEach((sample, n) => {
          const part = (values: Float32Array) => {
            const P = values.length / samples.length;
            return values.subarray(n * P, (n + 1) * P);
          };
          sample.add({ t, image: part(image), velocity: velocity && part(velocity) });
        });
        onPart(image);
      },
    );
    samples.forEach((sample, n) => sample.finish(evaluations, tried?.[n]));
    const cost = formatSolving(solved, evaluations, { first, count: samples.length });
    return `${cost}, ${this.timeSince(started)}`;
  }
}

/**
 * Describes how images were solved from step `first`: "3 steps of heun, class 2, 6 evaluations with and without the
 * class". Several images have their own classes.
 */
export function formatSolving(how: Steps, evaluations: number, { first = 0, count = 1 } = {}): string {
  const { solver, steps, tolerance, label, guidance, takesGuidance } = how;
  const rest = { solver, steps: steps - first, tolerance };
  const words = formatSolver(count > 1 ? rest : { ...how, ...rest });
  const cost = countOf(evaluations) + (count > 1 ? ` of ${count} images` : "");
  const conditioning = takesGuidance ? "conditional" : conditioningOf(label !== undefined, guidance);
  return `${words}, ${cost}${guidanceCosts[conditioning]}`;
}

/** What an evaluation with guidance includes. */
const guidanceCosts = {
  unconditional: "",
  conditional: "",
  guided: " with and without the class",
  autoguided: " of the network and its early weights",
};
