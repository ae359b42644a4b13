/// <reference lib="dom" />
import type { Library, LibrarySnapshot, PixelMap, Values } from "../library.ts";
import { countOf, inWords, type Steps, timesOf } from "./course.ts";
import { bytesOf } from "./decode.ts";
import { byId } from "./dom.ts";
import type { SolverOffers } from "./solver_controls.ts";

/** A network of the library; the page only passes it on. */
type Model = object;
type AnyLibrary = Library<Model, Values, string, string, string>;

/** A network ready to sample with. */
interface Drawable {
  readonly model: Model;
  readonly shape: readonly [C: number, H: number, W: number];
  readonly normalization: PixelMap;
  readonly samplers: Map<string, AnySampler>;
}

type AnySampler = InstanceType<AnyLibrary["Sampler"]> | InstanceType<AnyLibrary["AdaptiveSampler"]>;

/** A flow on its way. */
export interface FlowOnItsWay {
  /** Snapshots in pixels and pixels per unit of t, as fast as the reader takes them. */
  readonly states: AsyncGenerator<LibrarySnapshot, void, void>;
  /** How often the network was asked for velocities so far. */
  evaluations(): number;
}

/** From where a flow is followed, and whether that is still wanted. */
export interface FollowOptions {
  /** The step to begin with. */
  readonly first?: number;
  wanted(): boolean;
}

/** Milliseconds after which a page that computes reacts to its reader. */
const patienceMs = 8;
/** Samplers that are kept for each run, each with the memory of its batch. */
const maxSamplers = 4;

/** The library on a device, and the networks in the page. */
export class Engine {
  readonly #library: AnyLibrary;
  readonly #drawables = new Map<number, Drawable>();

  private constructor(library: AnyLibrary, readonly device: string) {
    this.#library = library;
  }

  /** Loads the library from the page and opens a device; throws where there is none. */
  static async open(): Promise<Engine> {
    const text = byId("library").textContent!;
    const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    try {
      const library: AnyLibrary = await import(address);
      const { kind, description } = await library.init();
      return new Engine(library, kind === "cpu" ? `CPU, ${description.split(",")[0]}` : description);
    } finally {
      URL.revokeObjectURL(address);
    }
  }

  /** Names of the solvers, of those that can choose their own steps, and of grids of times. */
  get offers(): SolverOffers {
    const { solvers, adaptiveSolvers, timeGrids } = this.#library;
    const gridTimes = (steps: number, grid: string) => this.#library.gridTimes(steps, grid);
    const [fixed, adaptive, grids] = [solvers, adaptiveSolvers, timeGrids].map(Object.keys);
    return { fixed, adaptive, grids, gridTimes };
  }

  /** What it took to solve the flow of `count` images from the step `first`, in words. */
  account(how: Steps, evaluations: number, started: number, { first = 0, count = 1 } = {}): string {
    const asked = countOf(evaluations) + (count > 1 ? ` of ${count} images` : "");
    const ms = Math.round(performance.now() - started).toLocaleString("en");
    return `${inWords({ ...how, steps: how.steps - first })}, ${asked}, ${ms} ms on ${this.device}`;
  }

  /** Values that the network of a run sees, as pixels. */
  toPixels(run: number, values: Float32Array): Float32Array {
    return this.#library.toPixels(values, this.#drawable(run).normalization);
  }

  /** The noise of some seeds, in pixels as a run scales them, f32[N, C, H, W]. */
  async noise(run: number, seeds: readonly number[]): Promise<Float32Array> {
    const { shape } = this.#drawable(run);
    const size = sizeOf(shape);
    const all = new Float32Array(seeds.length * size);
    for (const [n, seed] of seeds.entries()) {
      all.set(await this.#library.noise(seed, [1, ...shape]).read(), n * size);
    }
    return this.toPixels(run, all);
  }

  /**
   * Follows flows from a state at the step `first` to the end.
   *
   * @param x in pixels, f32[N, C, H, W]
   */
  follow(run: number, x: Float32Array, how: Steps, { first = 0, wanted }: FollowOptions): FlowOnItsWay {
    const library = this.#library;
    const drawable = this.#drawable(run);
    const { normalization } = drawable;
    const shape = [x.length / sizeOf(drawable.shape), ...drawable.shape];
    const sampler = this.#sampler(drawable, shape, how);
    const before = sampler.evaluations;
    async function* states() {
      const state = library.tensor(library.fromPixels(x, normalization), shape);
      const seen = "trajectory" in sampler
        ? sampler.trajectory(state, { first, ahead: 1 })
        : ownSteps(sampler, state, timesOf(how).slice(first), wanted);
      let since = performance.now();
      for await (const snapshot of seen) {
        yield library.snapshotToPixels(snapshot, normalization);
        if (performance.now() - since < patienceMs) continue;
        await breathe();
        since = performance.now();
      }
    }
    return { states: states(), evaluations: () => sampler.evaluations - before };
  }

  #drawable(run: number): Drawable {
    const known = this.#drawables.get(run);
    if (known) return known;
    const bytes = bytesOf(byId(`checkpoint-${run}`).textContent!);
    const { model, shape, info: { normalization } } = this.#library.loadCheckpoint(bytes, "the weights");
    const made = { model, shape, normalization, samplers: new Map() };
    this.#drawables.set(run, made);
    return made;
  }

  #sampler({ model, samplers }: Drawable, shape: readonly number[], how: Steps): AnySampler {
    const { solver, steps, times, tolerance } = how;
    const key = `${shape[0]} ${solver} ${tolerance ?? times ?? steps} ${tolerance === undefined}`;
    const { Sampler, AdaptiveSampler } = this.#library;
    const sampler = samplers.get(key) ??
      (tolerance === undefined
        ? new Sampler(model, shape, { solver, ...times ? { times } : { steps } })
        : new AdaptiveSampler(model, shape, { solver, rtol: tolerance, atol: tolerance }));
    samplers.delete(key); // so that the one used last is the last
    samplers.set(key, sampler);
    if (samplers.size > maxSamplers) samplers.delete(samplers.keys().next().value!);
    return sampler;
  }
}

/** Snapshots of a solver that chooses its own steps: none before it has arrived, so it is asked on the way to stop. */
async function* ownSteps(
  sampler: InstanceType<AnyLibrary["AdaptiveSampler"]>,
  x: Values,
  times: readonly number[],
  wanted: () => boolean,
): AsyncGenerator<LibrarySnapshot, void, void> {
  const stop = new Error("Cannot go on: nobody wants it any more");
  const onProgress = async () => {
    if (!wanted()) throw stop;
    await breathe();
  };
  try {
    yield* (await sampler.run(x, { from: times[0], snapshots: times, onProgress })).snapshots;
  } catch (error) {
    if (error !== stop) throw error;
  }
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, axis) => product * axis, 1);
}

/** Lets the page react to its reader, and draw. */
function breathe(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve();
    port2.postMessage(undefined);
  });
}
