/// <reference lib="dom" />
import type { Library, LibrarySnapshot, PixelMap, TriedStep, Values } from "../library.ts";
import { countOf, inWords, type Steps, timesOf } from "./course.ts";
import { breathe, breatheWhile, unlessUnwanted } from "./breathe.ts";
import { bytesOf } from "./decode.ts";
import { byId } from "./dom.ts";
import type { SolverOffers } from "./solver_controls.ts";

/** A network of the library; the page only passes it on. */
type Model = object;
export type AnyLibrary = Library<Model, Values, string, string, string>;

/** A network ready to sample with. */
export interface Drawable {
  readonly model: Model;
  /** What it was early in its training, if the page holds that. */
  readonly early?: Model;
  readonly shape: readonly [C: number, H: number, W: number];
  readonly normalization: PixelMap;
  /** Number of classes, 0 without. */
  readonly classes: number;
  readonly samplers: Map<string, Conditioned>;
}

type AnySampler = InstanceType<AnyLibrary["Sampler"]> | InstanceType<AnyLibrary["AdaptiveSampler"]>;

/** A sampler, and the tensors that ask it for classes. */
interface Conditioned {
  readonly sampler: AnySampler;
  readonly condition?: Values;
  readonly scale?: Values;
}

/** A flow on its way. */
export interface FlowOnItsWay {
  /** Snapshots in pixels and pixels per unit of t, as fast as the reader takes them. */
  readonly states: AsyncGenerator<LibrarySnapshot, void, void>;
  /** How often the network was asked for velocities so far. */
  evaluations(): number;
  /** At the end the steps of each image, by a solver that chooses its own. */
  tried(): readonly (readonly TriedStep[])[] | undefined;
}

/** From where a flow is followed, what it is asked for, and whether that is still wanted. */
export interface FollowOptions {
  /** The step to begin with. */
  readonly first?: number;
  /** The class of each image, if any is asked for; by default the one that `how` names. */
  readonly labels?: readonly number[] | undefined;
  wanted(): boolean;
}

/** Milliseconds after which a page that computes reacts to its reader. */
const patienceMs = 8;
/** Samplers that are kept for each run, each with the memory of its batch. */
const maxSamplers = 4;

/** The library on a device, and the networks in the page. */
export class Engine {
  readonly #drawables = new Map<number, Drawable>();

  private constructor(readonly library: AnyLibrary, readonly device: string) {}

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
    const { solvers, adaptiveSolvers, timeGrids } = this.library;
    const gridTimes = (steps: number, grid: string) => this.library.gridTimes(steps, grid);
    const [fixed, adaptive, grids] = [solvers, adaptiveSolvers, timeGrids].map(Object.keys);
    return { fixed, adaptive, grids, gridTimes };
  }

  /** Number of classes that the network of a run can be asked for, 0 without. */
  classes(run: number): number {
    return this.network(run).classes;
  }

  /** What it took to solve the flow of `count` images, each `asked` in the same way, from the step `first`, in words. */
  account(
    how: Steps,
    evaluations: number,
    started: number,
    { first = 0, count = 1, asked = how } = {},
  ): string {
    const cost = countOf(evaluations) + (count > 1 ? ` of ${count} images` : "") + twice(asked);
    const ms = Math.round(performance.now() - started).toLocaleString("en");
    return `${inWords({ ...how, steps: how.steps - first })}, ${cost}, ${ms} ms on ${this.device}`;
  }

  /** Values that the network of a run sees, as pixels. */
  toPixels(run: number, values: Float32Array): Float32Array {
    return this.library.toPixels(values, this.network(run).normalization);
  }

  /** The noise of some seeds, in pixels as a run scales them, f32[N, C, H, W]. */
  async noise(run: number, seeds: readonly number[]): Promise<Float32Array> {
    const { shape } = this.network(run);
    const size = sizeOf(shape);
    const all = new Float32Array(seeds.length * size);
    for (const [n, seed] of seeds.entries()) {
      all.set(await this.library.noise(seed, [1, ...shape]).read(), n * size);
    }
    return this.toPixels(run, all);
  }

  /**
   * Follows flows from a state at the step `first` to the end.
   *
   * @param x in pixels, f32[N, C, H, W]
   */
  follow(
    run: number,
    x: Float32Array,
    how: Steps,
    { first = 0, labels = how.label === undefined ? undefined : [how.label], wanted }: FollowOptions,
  ): FlowOnItsWay {
    const library = this.library;
    const drawable = this.network(run);
    const { normalization } = drawable;
    const shape = [x.length / sizeOf(drawable.shape), ...drawable.shape];
    const sampler = this.#sampler(drawable, shape, how, labels);
    const before = sampler.evaluations;
    let tried: readonly (readonly TriedStep[])[] | undefined;
    async function* states() {
      const state = library.tensor(library.fromPixels(x, normalization), shape);
      const seen = "trajectory" in sampler
        ? sampler.trajectory(state, { first, ahead: 1 })
        : ownSteps(sampler, state, timesOf(how).slice(first), wanted, (steps) => tried = steps);
      let since = performance.now();
      for await (const snapshot of seen) {
        yield library.snapshotToPixels(snapshot, normalization);
        if (performance.now() - since < patienceMs) continue;
        await breathe();
        since = performance.now();
      }
    }
    return { states: states(), evaluations: () => sampler.evaluations - before, tried: () => tried };
  }

  /** The network of a run, by its place among all runs. */
  network(run: number): Drawable {
    const known = this.#drawables.get(run);
    if (known) return known;
    const load = (id: string) => this.library.loadCheckpoint(bytesOf(byId(id).textContent!), "the weights");
    const { model, shape, info } = load(`checkpoint-${run}`);
    const early = document.getElementById(`early-${run}`) && load(`early-${run}`).model;
    const { normalization, config: { classes = 0 } } = info;
    const made = { model, ...early && { early }, shape, normalization, classes, samplers: new Map() };
    this.#drawables.set(run, made);
    return made;
  }

  /** A sampler that asks for the labels; class and guidance are in tensors, so that one record serves all of them. */
  #sampler(
    drawable: Drawable,
    shape: readonly number[],
    how: Steps,
    labels: readonly number[] | undefined,
  ): AnySampler {
    const { samplers } = drawable;
    const { solver, steps, times, tolerance, guidance = 1 } = how;
    const kind = kindOf(labels !== undefined, guidance);
    const key = `${shape[0]} ${solver} ${tolerance ?? times ?? steps} ${tolerance === undefined} ${kind}` +
      (kind === "away" ? ` ${guidance}` : "");
    const known = samplers.get(key) ?? this.#newSampler(drawable, shape, how, kind);
    samplers.delete(key); // so that the one used last is the last
    samplers.set(key, known);
    if (samplers.size > maxSamplers) samplers.delete(samplers.keys().next().value!);
    if (labels) known.condition?.write(Uint32Array.from(labels));
    known.scale?.write(Float32Array.of(guidance));
    return known.sampler;
  }

  #newSampler(
    { model, early = model, classes }: Drawable,
    shape: readonly number[],
    { solver, steps, times, tolerance, guidance = 1 }: Steps,
    kind: Kind,
  ): Conditioned {
    const { Sampler, AdaptiveSampler, autoguided, guided, tensor } = this.library;
    const hasLabels = kind === "asked" || kind === "guided";
    const condition = hasLabels ? tensor(new Uint32Array(shape[0]), [shape[0]]) : undefined;
    const scale = kind === "guided" ? tensor(new Float32Array(1), [1]) : undefined;
    const field = scale
      ? guided(model, { scale, none: classes })
      : kind === "away"
      ? autoguided(model, early, guidance)
      : model;
    const asked = condition && { condition };
    const sampler = tolerance === undefined
      ? new Sampler(field, shape, { solver, ...times ? { times } : { steps }, ...asked })
      : new AdaptiveSampler(field, shape, { solver, rtol: tolerance, atol: tolerance, ...asked });
    return { sampler, ...asked, ...scale && { scale } };
  }
}

/** How a network is asked: for nothing, for a class, guided by it, or guided away from its early self. */
type Kind = "free" | "asked" | "guided" | "away";

function kindOf(labelled: boolean, guidance: number): Kind {
  if (guidance === 1) return labelled ? "asked" : "free";
  return labelled ? "guided" : "away";
}

/** What an evaluation runs twice, in words. */
function twice({ label, guidance = 1 }: Steps): string {
  const kind = kindOf(label !== undefined, guidance);
  return kind === "guided"
    ? " with and without the class"
    : kind === "away"
    ? " of the network and its early self"
    : "";
}

/** Snapshots of a solver that chooses its own steps: none before it has arrived, so it is asked on the way to stop. */
async function* ownSteps(
  sampler: InstanceType<AnyLibrary["AdaptiveSampler"]>,
  x: Values,
  times: readonly number[],
  wanted: () => boolean,
  onSteps: (steps: readonly (readonly TriedStep[])[]) => void,
): AsyncGenerator<LibrarySnapshot, void, void> {
  const onProgress = () => breatheWhile(wanted);
  const solved = await unlessUnwanted(sampler.run(x, { from: times[0], snapshots: times, onProgress }));
  if (!solved) return;
  onSteps(solved.steps);
  yield* solved.snapshots;
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, axis) => product * axis, 1);
}
