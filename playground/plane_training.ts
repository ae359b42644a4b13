import type * as web from "../web/mod.ts";
import type { Coupling, HostExamples, StepLoss, Tensor, TrainerState, VelocityField } from "../web/mod.ts";
import { planePoints, pointCount } from "./plane_data.ts";
import { PlaygroundError, type PlaygroundSettings } from "./settings.ts";

/** The library; the page and Deno pass it to the code that trains. */
export type Library = typeof web;

/** Opens a device; results on the processor are the same on every machine. */
export function openDevice(
  library: Library,
  threads: number,
  device: PlaygroundSettings["device"] = "cpu",
): ReturnType<Library["init"]> {
  return library.init(device === "cpu" ? { device, threads, fused: false } : { device });
}

/** The learning rate at a step: it decays as 1 / (1 + step / 1000), regardless of the number of steps. */
export function rateAt(rate: number, step: number): number {
  return rate / (1 + step / 1000);
}

/** A network in the plane: x f32[N, 2], t f32[N] (and the length d of a step) -> f32[N, 2]. */
type PlaneNetwork = InstanceType<Library["Module"]> & VelocityField;

/** Scale of the inputs, so that the first layer varies more within the plane. */
const inputScale = 3;
/** Maximum number of pairs to match per step: matching more would take longer than training. */
const maxMatched = 64;

/** The number of pairs per training step. */
export function batchOf({ pairs, batch }: Pick<PlaygroundSettings, "pairs" | "batch">): number {
  return pairs === "nearest" ? Math.min(batch, maxMatched) : batch;
}

/** Creates a network with two hidden layers. */
function makeNetwork(library: Library, { hidden, objective, seed }: PlaygroundSettings): PlaneNetwork {
  const { concat, full, Linear, Module, multiply, randomInitialiser, reshape, silu } = library;
  const initialiser = randomInitialiser(seed);
  const inputs = objective === "one_step" ? 4 : 3;
  const column = (values: Tensor) => reshape(values, [values.size, 1]);
  class Network extends Module {
    readonly first = new Linear(inputs, hidden, initialiser);
    readonly second = new Linear(hidden, hidden, initialiser);
    readonly last = new Linear(hidden, 2, initialiser);

    velocity(x: Tensor, t: Tensor): Tensor {
      return objective === "one_step" ? this.#output(x, t, full(t.shape, 0)) : this.#output(x, t);
    }

    get meanVelocity(): VelocityField["meanVelocity"] {
      return objective === "one_step" ? (x, t, d) => this.#output(x, t, d) : undefined;
    }

    #output(x: Tensor, ...times: readonly Tensor[]): Tensor {
      const inputs = multiply(concat([x, ...times.map(column)], 1), inputScale);
      const h = silu(this.first.forward(inputs));
      return this.last.forward(silu(this.second.forward(h)));
    }
  }
  const network = new Network();
  library.flatten(library.namedParameters(network));
  return network;
}

/** The velocity that a perfect network would learn, as device ops: the teacher for whole steps. */
export function exactTeacher(flow: Library, points: Float32Array): VelocityField {
  const x1 = flow.tensor(points, [pointCount, 2]);
  const halfSquares = flow.reshape(flow.multiply(flow.sum(flow.square(x1), [1]), 0.5), [1, pointCount]);
  return {
    velocity(x, t) {
      const at = flow.reshape(t, [t.size, 1]);
      const left = flow.maximum(flow.subtract(1, at), 1e-3);
      // -|x - t x1|^2 / (2 (1 - t)^2) without |x|^2, which is the same for all points
      const products = flow.multiply(flow.matmulTransposedB(x, x1), at);
      const logits = flow.divide(
        flow.subtract(products, flow.multiply(halfSquares, flow.square(at))),
        flow.square(left),
      );
      const end = flow.matmul(flow.softmax(logits), x1);
      return flow.divide(flow.add(end, flow.multiply(x, -1)), left);
    },
  };
}

/** A training on the page; the same settings give the same bits on every machine. */
export abstract class PageTraining {
  protected abstract readonly trainer: InstanceType<Library["Trainer"]>;
  protected abstract readonly order: InstanceType<Library["BatchOrder"]>;
  /** The learning rate at the start. */
  protected abstract readonly rate: number;
  /** The network whose weights the page shows and digests. */
  abstract readonly shown: InstanceType<Library["Module"]>;

  /** @param steps the number of steps to train */
  constructor(readonly library: Library, protected steps: number) {}

  /** Changes the number of steps to train. */
  continueTo(steps: number): void {
    this.steps = steps;
  }

  /** Steps taken. */
  get step(): number {
    return this.trainer.step;
  }

  /** Whether all steps are done. */
  get done(): boolean {
    return this.step >= this.steps;
  }

  /**
   * Trains for roughly `milliseconds`: at least one step, unless all are done.
   *
   * @param maxSteps maximum number of steps
   * @returns the loss of each step
   * @throws {PlaygroundError} if the loss is no longer a number
   */
  async train(milliseconds: number, maxSteps = Infinity): Promise<readonly number[]> {
    const from = this.step;
    const end = Math.min(this.steps, from + Math.min(maxSteps, this.library.Trainer.maxOpenLosses));
    const started = performance.now();
    while (this.step < end) {
      this.trainer.queueStep(this.order.batch(this.step), rateAt(this.rate, this.step));
      if (performance.now() - started >= milliseconds) break;
    }
    const losses = await this.trainer.losses();
    const bad = losses.findIndex((loss) => !Number.isFinite(loss));
    if (bad < 0) return losses;
    const reason = `the learning rate of ${this.rate} is too large (choose a smaller one)`;
    throw new PlaygroundError(`The loss of step ${from + bad + 1} is not a number: ${reason}`);
  }

  /** The state from which another device can restore the training. */
  state(): Promise<TrainerState> {
    return this.trainer.state();
  }

  restore(state: TrainerState): void {
    this.trainer.restore(state, "the page");
  }

  async digest(): Promise<string> {
    return weightsDigest(Array.from((await this.library.stateOf(this.shown)).values(), ({ data }) => data));
  }
}

/** Trains a network in the plane. */
export class PlaneTraining extends PageTraining {
  /** The data, f32[1024, 2]. */
  readonly points: Float32Array<ArrayBuffer>;
  /** The network's prediction as a velocity, for solvers. */
  readonly field: VelocityField;
  readonly shown: PlaneNetwork;
  protected readonly trainer: InstanceType<Library["Trainer"]>;
  protected readonly order: InstanceType<Library["BatchOrder"]>;
  protected readonly rate: number;
  readonly #coupling: Coupling;
  readonly #host: HostExamples;

  /** Creates the network on the current device. */
  constructor(library: Library, readonly settings: PlaygroundSettings) {
    super(library, settings.steps);
    const { BatchOrder, batchSource, couplings, MeanMapLoss, paths, predicting, predictions, tensor } =
      library;
    const { seed, rate } = settings;
    this.rate = rate;
    const batch = batchOf(settings);
    this.points = planePoints(settings);
    this.shown = makeNetwork(library, settings);
    const x1 = tensor(this.points, [pointCount, 2]);
    const { points } = this;
    this.#host = {
      size: 2,
      values: (examples) =>
        Float32Array.from({ length: 2 * examples.length }, (_, i) => points[2 * examples[i >> 1] + i % 2]),
    };
    this.#coupling = couplings[settings.pairs === "nearest" ? "ot" : "independent"].make();
    const source = batchSource(x1, this.#host);
    const objective = {
      path: paths[settings.path].make(),
      times: library.timeDistributions[settings.times].make({ mean: 0, scale: 1, a: 4 }),
      coupling: this.#coupling,
      prediction: predictions[settings.prediction].make(),
    };
    const whole = (): StepLoss => {
      const teacher = exactTeacher(library, points);
      return new MeanMapLoss({ student: this.shown, teacher, source, batchSize: batch });
    };
    this.trainer = new library.Trainer(this.shown, source, {
      batchSize: batch,
      seed,
      learningRate: rate,
      ...settings.objective === "one_step"
        ? { stages: [{ steps: Number.MAX_SAFE_INTEGER, losses: [whole()] }] }
        : { objective },
    });
    this.field = settings.prediction === "velocity" && settings.path === "linear"
      ? this.shown
      : predicting(this.shown, objective.prediction, objective.path);
    this.order = new BatchOrder(Uint32Array.from({ length: pointCount }, (_, i) => i), batch, seed);
  }

  /** The pairs of noise and data in the first training step, f32[N, 2] each. */
  pairs(): { readonly x0: Float32Array<ArrayBuffer>; readonly x1: Float32Array<ArrayBuffer> } {
    const { seed } = this.settings;
    const draw = { seed, step: 0 };
    const examples = this.#coupling.pair(this.order.batch(0), draw, this.#host);
    return {
      x0: this.library.normals(seed, this.library.streams.noise, 0, 2 * examples.length),
      x1: this.#host.values(examples),
    };
  }
}

/** A digest of numbers, 16 hex digits, not secure. Source: FNV-1a by Fowler, Noll and Vo, over words, twice */
export function weightsDigest(arrays: readonly Float32Array[]): string {
  let [a, b] = [0x811c9dc5, 0x9747b28c];
  for (const { buffer, byteOffset, length } of arrays) {
    for (const word of new Uint32Array(buffer, byteOffset, length)) {
      a = Math.imul(a ^ word, 0x01000193);
      b = Math.imul(b ^ (word >>> 16 | word << 16), 0x85ebca6b);
      b ^= b >>> 13;
    }
  }
  return [a, b].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}
