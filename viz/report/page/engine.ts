/// <reference lib="dom" />
import type * as models from "../../../models/mod.ts";
import { inflated } from "./inflate.ts";
import { type Judged, SampleJudge } from "./sample_judge.ts";
import type { LiveNetwork } from "../report_data.ts";
import { type Steps, stepTimes } from "./trajectory_view.ts";

type Tensor = ReturnType<typeof models.noise>;

/** The part of the library that a page uses; a test checks that `web/mod.ts` exports it. */
export type Library = typeof models & {
  /** Opens a device; throws if there is none. */
  init(): Promise<{ readonly kind: string; readonly description: string }>;
  /** Copies numbers to the device. */
  tensor(values: Float32Array | Uint32Array, shape: readonly number[]): Tensor;
};

/** Sends a part of a result, if there is one, and lets other requests in; throws if the page cancelled this one. */
export type Job<Part> = (part?: Part) => Promise<void>;

/** The library's solvers and time grids, and the device. */
export interface Offered {
  readonly device: string;
  readonly solvers: readonly string[];
  readonly adaptiveSolvers: readonly string[];
  readonly timeGrids: readonly string[];
}

/** The cost of a solved batch. */
export interface SolvedBatch {
  /** Evaluations of the network, each on the whole batch. */
  readonly evaluations: number;
  /** The steps of each sample of an adaptive solver. */
  readonly tried?: readonly (readonly models.TriedStep[])[] | undefined;
}

/** A network ready to sample with. */
interface EngineNetwork {
  readonly model: models.VelocityField;
  /** An early checkpoint of the network, if the page embeds one. */
  readonly early?: models.VelocityField;
  readonly shape: readonly [C: number, H: number, W: number];
  readonly normalization: models.Normalization;
  /** Number of classes; 0 if unconditional. */
  readonly classes: number;
  readonly samplers: Map<string, Conditioned>;
  /** Judges its samples, if the page embeds a judge. */
  readonly judge?: SampleJudge;
}

type AnySampler = models.Sampler | models.AdaptiveSampler;

/** A sampler with the tensors that hold its classes and guidance. */
interface Conditioned {
  readonly sampler: AnySampler;
  readonly condition?: Tensor;
  readonly scale?: Tensor;
}

/** Maximum number of samplers to keep per run; each holds the memory of its batch. */
const maxSamplers = 4;

/**
 * The library on a device with the page's networks. It lives in a worker, and the page calls its methods; long-running
 * ones receive a {@linkcode Job}.
 */
export class Engine {
  readonly #networks = new Map<number, Promise<EngineNetwork>>();

  /** @param library by default the page's library, which {@linkcode open} loads */
  constructor(public library = {} as Library) {}

  /**
   * Loads the library and opens a device; throws if there is none.
   *
   * @param text the library as the page embeds it: deflated, in base64
   */
  async open(text: string): Promise<Offered> {
    const program = new TextDecoder().decode(await inflated(text));
    // In WebKit, workers of pages opened from files cannot import blobs.
    const library: Library = await import(
      `data:text/javascript;charset=utf-8,${encodeURIComponent(program)}`
    );
    this.library = library;
    const { kind, description } = await library.init();
    const { solvers, adaptiveSolvers, timeGrids } = library;
    return {
      device: kind === "cpu" ? `CPU, ${description.split(",")[0]}` : description,
      solvers: Object.keys(solvers),
      adaptiveSolvers: Object.keys(adaptiveSolvers),
      timeGrids: Object.keys(timeGrids),
    };
  }

  /** Loads the network of a run; returns its number of classes, 0 if it is unconditional. */
  async load(run: number, network: LiveNetwork): Promise<number> {
    const loaded = (async () => await this.#load(network))();
    this.#networks.set(run, loaded);
    return (await loaded).classes;
  }

  #load({ checkpoint, early, judge }: LiveNetwork): EngineNetwork {
    const load = (weights: Uint8Array) => this.library.loadCheckpoint(weights, "the weights");
    const { model, shape, info } = load(checkpoint);
    const { normalization, config: { classes = 0 } } = info;
    return {
      model,
      early: early && load(early.checkpoint).model,
      shape,
      normalization,
      classes,
      samplers: new Map(),
      judge: judge && new SampleJudge(this.library, judge.weights, judge.reference),
    };
  }

  /** The times at the ends of steps, spaced by the grid of this name. */
  gridTimes(steps: number, grid: string): readonly number[] {
    return this.library.gridTimes(steps, grid as models.TimeGridName);
  }

  async toPixels(run: number, values: Float32Array): Promise<Float32Array> {
    return this.library.toPixels(values, (await this.#network(run)).normalization);
  }

  /** The noise number `row` of each seed, in pixels as the run scales them, f32[N, C, H, W]. */
  async noise(run: number, seeds: readonly number[], row: number): Promise<Float32Array> {
    const { shape } = await this.#network(run);
    const size = sizeOf(shape);
    const all = new Float32Array(seeds.length * size);
    for (const [n, seed] of seeds.entries()) {
      const rows = await this.library.noise(seed, [row + 1, ...shape]).read();
      all.set(rows.subarray(row * size), n * size);
    }
    return await this.toPixels(run, all);
  }

  /**
   * Solves a batch from its state x at the step `first` to t = 1. Emits snapshots in pixels and pixels per unit of t.
   *
   * @param x in pixels, f32[N, C, H, W]
   * @param labels the class of each image
   */
  async solve(
    run: number,
    x: Float32Array,
    how: Steps,
    first: number,
    labels: readonly number[] | undefined,
    job: Job<models.Snapshot>,
  ): Promise<SolvedBatch> {
    const library = this.library;
    const network = await this.#network(run);
    const { normalization } = network;
    const shape = [x.length / sizeOf(network.shape), ...network.shape];
    const state = library.tensor(library.fromPixels(x, normalization), shape);
    const emit = (snapshot: models.Snapshot) => job(library.snapshotToPixels(snapshot, normalization));
    return await this.#withSampler(network, shape, how, labels, async (sampler) => {
      if ("trajectory" in sampler) {
        const before = sampler.evaluations;
        for await (const snapshot of sampler.trajectory(state, { first, ahead: 1 })) {
          await emit(snapshot);
        }
        return { evaluations: sampler.evaluations - before };
      }
      const snapshots = stepTimes(how).slice(first);
      const solved = await sampler.solve(state, {
        from: snapshots[0],
        snapshots,
        onProgress: () => job(),
      });
      for (const snapshot of solved.snapshots) await emit(snapshot);
      return { evaluations: solved.evaluations, tried: solved.steps };
    });
  }

  /** Judges the first `count` samples of f32[N, C, H, W] in pixels by the judge of a run. */
  async judge(run: number, pixels: Float32Array, count: number): Promise<Judged> {
    return await (await this.#network(run)).judge!.judge(pixels, count);
  }

  #network(run: number): Promise<EngineNetwork> {
    return this.#networks.get(run)!;
  }

  /**
   * Uses a sampler for a batch of this size and kind; class and guidance are tensors, so one recording serves all values.
   * While in use, a sampler is not in the cache: a second draw would change the conditioning of the first.
   */
  async #withSampler<Result>(
    network: EngineNetwork,
    shape: readonly number[],
    how: Steps,
    labels: readonly number[] | undefined,
    use: (sampler: AnySampler) => Promise<Result>,
  ): Promise<Result> {
    const { samplers } = network;
    const { solver, steps, times, tolerance, guidance = 1 } = how;
    const kind = conditioningOf(labels !== undefined, guidance);
    const key = `${shape[0]} ${solver} ${tolerance ?? times ?? steps} ${tolerance === undefined} ${kind}` +
      (kind === "autoguided" ? ` ${guidance}` : "");
    const entry = samplers.get(key) ?? this.#newSampler(network, shape, how, kind);
    samplers.delete(key);
    if (labels) entry.condition?.write(Uint32Array.from(labels));
    entry.scale?.write(Float32Array.of(guidance));
    try {
      return await use(entry.sampler);
    } finally {
      samplers.delete(key);
      samplers.set(key, entry); // to the end, as the most recently used
      if (samplers.size > maxSamplers) samplers.delete(samplers.keys().next().value!);
    }
  }

  #newSampler(
    { model, early = model, classes }: EngineNetwork,
    shape: readonly number[],
    { solver, steps, times, tolerance, guidance = 1 }: Steps,
    kind: Conditioning,
  ): Conditioned {
    const { Sampler, AdaptiveSampler, autoguided, guided, tensor } = this.library;
    const hasLabels = kind === "conditional" || kind === "guided";
    const condition = hasLabels ? tensor(new Uint32Array(shape[0]), [shape[0]]) : undefined;
    const scale = kind === "guided" ? tensor(new Float32Array(1), [1]) : undefined;
    const unguided = kind === "autoguided" ? autoguided(model, early, guidance) : model;
    const field = scale ? guided(model, { scale, none: classes }) : unguided;
    const at = times ? { times } : { steps };
    const sampler = tolerance === undefined
      ? new Sampler(field, shape, { solver: solver as models.FlowSolverName, ...at, condition })
      : new AdaptiveSampler(field, shape, {
        solver: solver as models.AdaptiveSolverName,
        rtol: tolerance,
        condition,
      });
    return { sampler, condition, scale };
  }
}

/** How a network is conditioned: not at all, on a class, with classifier-free guidance, or with autoguidance. */
export type Conditioning = "unconditional" | "conditional" | "guided" | "autoguided";

/** The conditioning of a network that receives a class or not, with a guidance. */
export function conditioningOf(labelled: boolean, guidance = 1): Conditioning {
  if (guidance === 1) return labelled ? "conditional" : "unconditional";
  return labelled ? "guided" : "autoguided";
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, axis) => product * axis, 1);
}
