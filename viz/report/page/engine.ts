/// <reference lib="dom" />
import type { Library, Values } from "../library.ts";
import { inWords, type Steps } from "./course.ts";
import { bytesOf } from "./decode.ts";
import { byId } from "./dom.ts";

/** A network of the library's, of which the page knows nothing. */
type Model = object;
type AnyLibrary = Library<Model, Values, string>;

/** A network ready to sample with. */
interface Drawable {
  readonly model: Model;
  readonly shape: readonly [C: number, H: number, W: number];
  /** From pixels to what the network sees: scale pixel + black. */
  readonly black: number;
  readonly scale: number;
  readonly samplers: Map<string, InstanceType<AnyLibrary["Sampler"]>>;
}

/** States on the way in pixels, f32[N, H, W], with velocities in pixels a unit of t, but at the end. */
export interface States {
  readonly image: Float32Array;
  readonly velocity?: Float32Array;
}

/** Milliseconds after which a page that computes lets its reader do something. */
const patienceMs = 8;
/** Samplers that stay ready for each run, each with the memory of its batch. */
const maxSamplers = 4;

/** The library on a device, and the networks that lie in the page. */
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

  /** What solving a flow from the step `first` on took, in words; of several images at once, `count`. */
  account({ solver, steps }: Steps, started: number, { first = 0, count = 1 } = {}): string {
    const left = steps - first;
    const evaluations = left * this.#library.solvers[solver].c.length;
    const asked = `${evaluations} evaluation${evaluations > 1 ? "s" : ""}${
      count > 1 ? ` of ${count} images` : ""
    }`;
    const ms = Math.round(performance.now() - started).toLocaleString("en");
    return `${inWords({ solver, steps: left })}, ${asked}, ${ms} ms on ${this.device}`;
  }

  /** A value that the network of a run sees, as a pixel. */
  pixelOf(run: number, value: number): number {
    const { black, scale } = this.#drawable(run);
    return (value - black) / scale;
  }

  /** The noise of some seeds, in pixels as a run scales them, f32[N, H, W]. */
  async noise(run: number, seeds: readonly number[]): Promise<Float32Array> {
    const { shape: [, H, W], black, scale } = this.#drawable(run);
    const all = new Float32Array(seeds.length * H * W);
    for (const [n, seed] of seeds.entries()) {
      all.set(await this.#library.noise(seed, [1, 1, H, W]).read(), n * H * W);
    }
    return all.map((x) => (x - black) / scale);
  }

  /**
   * Follows flows from a state at the step `first` to the end, as fast as the reader takes the snapshots.
   *
   * @param x in pixels, f32[N, H, W]
   */
  async *follow(run: number, x: Float32Array, how: Steps, first = 0): AsyncGenerator<States, void, void> {
    const drawable = this.#drawable(run);
    const { shape: [C, H, W], black, scale } = drawable;
    const shape = [x.length / (H * W), C, H, W];
    const sampler = this.#sampler(drawable, shape, how);
    const state = this.#library.tensor(x.map((pixel) => scale * pixel + black), shape);
    let since = performance.now();
    for await (const { image, velocity } of sampler.trajectory(state, { first, ahead: 1 })) {
      yield {
        image: image.map((value) => (value - black) / scale),
        ...velocity && { velocity: velocity.map((value) => value / scale) },
      };
      if (performance.now() - since < patienceMs) continue;
      await breathe();
      since = performance.now();
    }
  }

  #drawable(run: number): Drawable {
    const known = this.#drawables.get(run);
    if (known) return known;
    const bytes = bytesOf(byId(`checkpoint-${run}`).textContent!);
    const { model, shape, range: [black, white] } = this.#library.loadCheckpoint(bytes, "the weights");
    const made = { model, shape, black, scale: white - black, samplers: new Map() };
    this.#drawables.set(run, made);
    return made;
  }

  #sampler({ model, samplers }: Drawable, shape: readonly number[], { solver, steps }: Steps) {
    const key = `${shape[0]} ${solver} ${steps}`;
    const sampler = samplers.get(key) ?? new this.#library.Sampler(model, shape, { solver, steps });
    samplers.delete(key); // so that the one used last is the last
    samplers.set(key, sampler);
    if (samplers.size > maxSamplers) samplers.delete(samplers.keys().next().value!);
    return sampler;
  }
}

/** Lets the page react to its reader, and draw. */
function breathe(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve();
    port2.postMessage(undefined);
  });
}
