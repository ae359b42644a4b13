/// <reference lib="dom" />
import type { Library, LibrarySnapshot, PixelMap, Values } from "../library.ts";
import { inWords, type Steps } from "./course.ts";
import { bytesOf } from "./decode.ts";
import { byId } from "./dom.ts";

/** A network of the library; the page only passes it on. */
type Model = object;
type AnyLibrary = Library<Model, Values, string>;

/** A network ready to sample with. */
interface Drawable {
  readonly model: Model;
  readonly shape: readonly [C: number, H: number, W: number];
  readonly normalization: PixelMap;
  readonly samplers: Map<string, InstanceType<AnyLibrary["Sampler"]>>;
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

  /** Names of the solvers. */
  get solvers(): string[] {
    return Object.keys(this.#library.solvers);
  }

  /** What it took to solve the flow of `count` images from the step `first`, in words. */
  account({ solver, steps }: Steps, started: number, { first = 0, count = 1 } = {}): string {
    const left = steps - first;
    const evaluations = this.#library.evaluations(this.#library.solvers[solver], left);
    const asked = `${evaluations} evaluation${evaluations > 1 ? "s" : ""}${
      count > 1 ? ` of ${count} images` : ""
    }`;
    const ms = Math.round(performance.now() - started).toLocaleString("en");
    return `${inWords({ solver, steps: left })}, ${asked}, ${ms} ms on ${this.device}`;
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
   * Follows flows from a state at the step `first` to the end, as fast as the reader takes the snapshots.
   *
   * @param x in pixels, f32[N, C, H, W]
   * @returns snapshots in pixels and pixels per unit of t
   */
  async *follow(
    run: number,
    x: Float32Array,
    how: Steps,
    first = 0,
  ): AsyncGenerator<LibrarySnapshot, void, void> {
    const library = this.#library;
    const drawable = this.#drawable(run);
    const { normalization } = drawable;
    const shape = [x.length / sizeOf(drawable.shape), ...drawable.shape];
    const sampler = this.#sampler(drawable, shape, how);
    const state = library.tensor(library.fromPixels(x, normalization), shape);
    let since = performance.now();
    for await (const snapshot of sampler.trajectory(state, { first, ahead: 1 })) {
      yield library.snapshotToPixels(snapshot, normalization);
      if (performance.now() - since < patienceMs) continue;
      await breathe();
      since = performance.now();
    }
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

  #sampler({ model, samplers }: Drawable, shape: readonly number[], { solver, steps, times }: Steps) {
    const key = `${shape[0]} ${solver} ${times ?? steps}`;
    const sampler = samplers.get(key) ??
      new this.#library.Sampler(model, shape, { solver, ...times ? { times } : { steps } });
    samplers.delete(key); // so that the one used last is the last
    samplers.set(key, sampler);
    if (samplers.size > maxSamplers) samplers.delete(samplers.keys().next().value!);
    return sampler;
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
