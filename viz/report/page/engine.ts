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
  /** Number of classes, 0 without. */
  readonly classes: number;
  readonly samplers: Map<string, Conditioned>;
}

/** A sampler, and the tensors that ask it for classes. */
interface Conditioned {
  readonly sampler: InstanceType<AnyLibrary["Sampler"]>;
  readonly condition?: Values;
  readonly scale?: Values;
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

  /** Number of classes that the network of a run can be asked for, 0 without. */
  classes(run: number): number {
    return this.#drawable(run).classes;
  }

  /** What it took to solve the flow of `count` images from the step `first`, in words. */
  account(how: Steps, started: number, { first = 0, count = 1, guided = isGuided(how) } = {}): string {
    const { solver, steps } = how;
    const left = steps - first;
    const evaluations = this.#library.evaluations(this.#library.solvers[solver], left);
    const asked = `${evaluations} evaluation${evaluations > 1 ? "s" : ""}${
      count > 1 ? ` of ${count} images` : ""
    }${guided ? " with and without the class" : ""}`;
    const ms = Math.round(performance.now() - started).toLocaleString("en");
    return `${inWords({ ...how, steps: left })}, ${asked}, ${ms} ms on ${this.device}`;
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
   * @param how with the class that is asked for, if it is the same for all
   * @param labels the class of each image, if any is asked for
   * @returns snapshots in pixels and pixels per unit of t
   */
  async *follow(
    run: number,
    x: Float32Array,
    how: Steps,
    first = 0,
    labels: readonly number[] | undefined = how.label === undefined ? undefined : [how.label],
  ): AsyncGenerator<LibrarySnapshot, void, void> {
    const library = this.#library;
    const drawable = this.#drawable(run);
    const { normalization } = drawable;
    const shape = [x.length / sizeOf(drawable.shape), ...drawable.shape];
    const sampler = this.#sampler(drawable, shape, how, labels);
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
    const { model, shape, info } = this.#library.loadCheckpoint(bytes, "the weights");
    const { normalization, config: { classes = 0 } } = info;
    const made = { model, shape, normalization, classes, samplers: new Map() };
    this.#drawables.set(run, made);
    return made;
  }

  /** A sampler that asks for the labels; class and guidance are in tensors, so that one record serves all of them. */
  #sampler(drawable: Drawable, shape: readonly number[], how: Steps, labels: readonly number[] | undefined) {
    const { samplers } = drawable;
    const { solver, steps, times, guidance = 1 } = how;
    const kind = labels === undefined ? "free" : guidance === 1 ? "asked" : "guided";
    const key = `${shape[0]} ${solver} ${times ?? steps} ${kind}`;
    const known = samplers.get(key) ?? this.#newSampler(drawable, shape, how, kind);
    samplers.delete(key); // so that the one used last is the last
    samplers.set(key, known);
    if (samplers.size > maxSamplers) samplers.delete(samplers.keys().next().value!);
    if (labels) known.condition?.write(Uint32Array.from(labels));
    known.scale?.write(Float32Array.of(guidance));
    return known.sampler;
  }

  #newSampler(
    { model, classes }: Drawable,
    shape: readonly number[],
    { solver, steps, times }: Steps,
    kind: "free" | "asked" | "guided",
  ): Conditioned {
    const { Sampler, guided, tensor } = this.#library;
    const condition = kind === "free" ? undefined : tensor(new Uint32Array(shape[0]), [shape[0]]);
    const scale = kind === "guided" ? tensor(new Float32Array(1), [1]) : undefined;
    const sampler = new Sampler(scale ? guided(model, { scale, none: classes }) : model, shape, {
      solver,
      ...times ? { times } : { steps },
      ...condition && { condition },
    });
    return { sampler, ...condition && { condition }, ...scale && { scale } };
  }
}

/** Whether a flow runs the network with and without its class. */
export function isGuided({ label, guidance = 1 }: Steps): boolean {
  return label !== undefined && guidance !== 1;
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
