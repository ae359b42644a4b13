/// <reference lib="dom" />
import type * as models from "../../../models/mod.ts";
import { bytesOf } from "../../image/base64.ts";
import { byId } from "./dom.ts";
import { inflated } from "./inflate.ts";
import { countOf, inWords, type Steps, stepTimes } from "./trajectory_view.ts";
import { breathe, breatheWhile, unlessCancelled } from "./work.ts";

type Tensor = ReturnType<typeof models.noise>;

/** The part of the library that a page uses; a test checks that `web/mod.ts` exports it. */
export type Library = typeof models & {
  /** Opens a device; throws if there is none. */
  init(): Promise<{ readonly kind: string; readonly description: string }>;
  /** Copies numbers to the device. */
  tensor(values: Float32Array | Uint32Array, shape: readonly number[]): Tensor;
};

/** A network ready to sample with. */
export interface EngineNetwork {
  readonly model: models.VelocityField;
  /** An early checkpoint of the network, if the page holds one. */
  readonly early?: models.VelocityField;
  readonly shape: readonly [C: number, H: number, W: number];
  readonly normalization: models.Normalization;
  /** Number of classes; 0 if unconditional. */
  readonly classes: number;
  readonly samplers: Map<string, Conditioned>;
}

type AnySampler = models.Sampler | models.AdaptiveSampler;

/** A sampler with the tensors that hold its classes and guidance. */
interface Conditioned {
  readonly sampler: AnySampler;
  readonly condition?: Tensor;
  readonly scale?: Tensor;
}

/** Trajectories of a batch while they are solved. */
export interface SolvingBatch {
  /** Snapshots in pixels and pixels per unit of t, computed when they are read. */
  readonly snapshots: AsyncGenerator<models.Snapshot, void, void>;
  /** Evaluations of the network so far. */
  evaluations(): number;
  /** The steps of each image once an adaptive solver has finished. */
  tried(): readonly (readonly models.TriedStep[])[] | undefined;
}

interface SolveOptions {
  /** The first step. */
  readonly first?: number;
  /** The class of each image; by default that of `how`. */
  readonly labels?: readonly number[] | undefined;
  wanted(): boolean;
}

/** Milliseconds of computing before the page handles events. */
const patienceMs = 8;
/** Samplers kept for each run; each holds the memory of its batch. */
const maxSamplers = 4;

/** The library on a device with the page's networks. */
export class Engine {
  readonly #drawables = new Map<number, EngineNetwork>();

  private constructor(readonly library: Library, readonly device: string) {}

  /** Loads the library from the page and opens a device; throws if there is none. */
  static async open(): Promise<Engine> {
    const text = new Blob([await inflated("library")], { type: "text/javascript" });
    const address = URL.createObjectURL(text);
    try {
      const library: Library = await import(address);
      const { kind, description } = await library.init();
      return new Engine(library, kind === "cpu" ? `CPU, ${description.split(",")[0]}` : description);
    } finally {
      URL.revokeObjectURL(address);
    }
  }

  /** Describes the cost of solving `count` images from the step `first` on. */
  costInWords(
    how: Steps,
    evaluations: number,
    started: number,
    { first = 0, count = 1, each = how } = {},
  ): string {
    const kind = kindOf(each.label !== undefined, each.guidance);
    const cost = countOf(evaluations) + (count > 1 ? ` of ${count} images` : "") +
      (guidanceCosts[kind] ?? "");
    const ms = Math.round(performance.now() - started).toLocaleString("en");
    return `${inWords({ ...how, steps: how.steps - first })}, ${cost}, ${ms} ms on ${this.device}`;
  }

  toPixels(run: number, values: Float32Array): Float32Array {
    return this.library.toPixels(values, this.network(run).normalization);
  }

  /** The noise of each seed with number `row`, in pixels as the run scales them, f32[N, C, H, W]. */
  async noise(run: number, seeds: readonly number[], row = 0): Promise<Float32Array> {
    const { shape } = this.network(run);
    const size = sizeOf(shape);
    const all = new Float32Array(seeds.length * size);
    for (const [n, seed] of seeds.entries()) {
      const rows = await this.library.noise(seed, [row + 1, ...shape]).read();
      all.set(rows.subarray(row * size), n * size);
    }
    return this.toPixels(run, all);
  }

  /**
   * Solves a batch from its state x at the step `first` to t = 1.
   *
   * @param x in pixels, f32[N, C, H, W]
   */
  solve(
    run: number,
    x: Float32Array,
    how: Steps,
    { first = 0, labels = how.label === undefined ? undefined : [how.label], wanted }: SolveOptions,
  ): SolvingBatch {
    const library = this.library;
    const drawable = this.network(run);
    const { normalization } = drawable;
    const shape = [x.length / sizeOf(drawable.shape), ...drawable.shape];
    const sampler = this.#sampler(drawable, shape, how, labels);
    const before = sampler.evaluations;
    let tried: readonly (readonly models.TriedStep[])[] | undefined;
    async function* snapshots() {
      const state = library.tensor(library.fromPixels(x, normalization), shape);
      const seen = "trajectory" in sampler
        ? sampler.trajectory(state, { first, ahead: 1 })
        : ownSteps(sampler, state, stepTimes(how).slice(first), wanted, (steps) => tried = steps);
      let since = performance.now();
      for await (const snapshot of seen) {
        yield library.snapshotToPixels(snapshot, normalization);
        if (performance.now() - since < patienceMs) continue;
        await breathe();
        since = performance.now();
      }
    }
    return { snapshots: snapshots(), evaluations: () => sampler.evaluations - before, tried: () => tried };
  }

  network(run: number): EngineNetwork {
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

  /** A sampler for a batch of this size and kind; class and guidance are tensors, so one recording serves all values. */
  #sampler(
    drawable: EngineNetwork,
    shape: readonly number[],
    how: Steps,
    labels: readonly number[] | undefined,
  ): AnySampler {
    const { samplers } = drawable;
    const { solver, steps, times, tolerance, guidance = 1 } = how;
    const kind = kindOf(labels !== undefined, guidance);
    const key = `${shape[0]} ${solver} ${tolerance ?? times ?? steps} ${tolerance === undefined} ${kind}` +
      (kind === "autoguided" ? ` ${guidance}` : "");
    const known = samplers.get(key) ?? this.#newSampler(drawable, shape, how, kind);
    samplers.delete(key); // moves it to the end, as most recently used
    samplers.set(key, known);
    if (samplers.size > maxSamplers) samplers.delete(samplers.keys().next().value!);
    if (labels) known.condition?.write(Uint32Array.from(labels));
    known.scale?.write(Float32Array.of(guidance));
    return known.sampler;
  }

  #newSampler(
    { model, early = model, classes }: EngineNetwork,
    shape: readonly number[],
    { solver, steps, times, tolerance, guidance = 1 }: Steps,
    kind: Kind,
  ): Conditioned {
    const { Sampler, AdaptiveSampler, autoguided, guided, tensor } = this.library;
    const hasLabels = kind === "conditional" || kind === "guided";
    const condition = hasLabels ? tensor(new Uint32Array(shape[0]), [shape[0]]) : undefined;
    const scale = kind === "guided" ? tensor(new Float32Array(1), [1]) : undefined;
    const unguided = kind === "autoguided" ? autoguided(model, early, guidance) : model;
    const field = scale ? guided(model, { scale, none: classes }) : unguided;
    const conditioning = condition && { condition };
    const at = times ? { times } : { steps };
    const sampler = tolerance === undefined
      ? new Sampler(field, shape, { solver: solver as models.SolverName, ...at, ...conditioning })
      : new AdaptiveSampler(field, shape, {
        solver: solver as models.AdaptiveSolverName,
        rtol: tolerance,
        ...conditioning,
      });
    return { sampler, ...conditioning, ...scale && { scale } };
  }
}

/** How a network is conditioned: not at all, on a class, with classifier-free guidance, or with autoguidance. */
type Kind = "unconditional" | "conditional" | "guided" | "autoguided";

function kindOf(labelled: boolean, guidance = 1): Kind {
  if (guidance === 1) return labelled ? "conditional" : "unconditional";
  return labelled ? "guided" : "autoguided";
}

/** What guidance adds to an evaluation. */
const guidanceCosts: Partial<Record<Kind, string>> = {
  guided: " with and without the class",
  autoguided: " of the network and its early weights",
};

/** Snapshots of an adaptive solver. They come when it ends, so it checks between steps whether to stop. */
async function* ownSteps(
  sampler: models.AdaptiveSampler,
  x: Tensor,
  times: readonly number[],
  wanted: () => boolean,
  onSteps: (steps: readonly (readonly models.TriedStep[])[]) => void,
): AsyncGenerator<models.Snapshot, void, void> {
  const onProgress = () => breatheWhile(wanted);
  const solved = await unlessCancelled(sampler.solve(x, { from: times[0], snapshots: times, onProgress }));
  if (!solved) return;
  onSteps(solved.steps);
  yield* solved.snapshots;
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, axis) => product * axis, 1);
}
