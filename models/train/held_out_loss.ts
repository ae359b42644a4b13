import {
  concat,
  type MemoryPlan,
  planMemory,
  record,
  type RecordedStep,
  type Tensor,
} from "../../kernels/mod.ts";
import type { VelocityField } from "../flow/field.ts";
import { flowMatching, lossesOf, type Objective } from "../flow/objective.ts";
import { checkObjective, objectiveFor } from "../nets/networks.ts";
import { checkedSeed, streams } from "../random.ts";
import { type BatchSource, checkSource, PairDraw } from "./batches.ts";

/** Maximum number of batches whose losses are read back together. */
const readAhead = 16;

/** The loss and time of each example, f32[N] each. */
export interface TimedLosses {
  /** In [0, 1). */
  readonly t: Float32Array;
  /** Mean over the example's elements. */
  readonly loss: Float32Array;
}

/** Options of {@linkcode HeldOutLoss}. */
export interface HeldOutOptions {
  /** Examples per batch. */
  readonly batchSize: number;
  /** Seed of noise and times, an integer in [0, 2^32). */
  readonly seed: number;
  /** Objective. Only path and prediction matter; times are always uniform, so that losses are comparable. */
  readonly objective?: Objective;
}

/** Measures the loss of held-out examples with fixed noise and times, so that only the weights change it. */
export class HeldOutLoss {
  readonly #batchSize: number;
  readonly #seed: number;
  readonly #draw: PairDraw;
  readonly #step: RecordedStep<Tensor>;

  /** Records one step that serves all batches, also after later training. */
  constructor(model: VelocityField, source: BatchSource, options: HeldOutOptions) {
    checkSource("measure losses", source, options);
    const { batchSize, seed, objective } = options;
    this.#batchSize = batchSize;
    this.#seed = checkedSeed(seed);
    this.#draw = drawOf(source, batchSize);
    this.#step = record(() => measure(model, this.#draw, objective));
  }

  /** Plans the memory for measuring, without running. */
  static plan(model: VelocityField, source: BatchSource, options: HeldOutOptions): MemoryPlan {
    return planMemory(() => measure(model, drawOf(source, options.batchSize), options.objective));
  }

  /** Losses and times of examples at given indices, in their order. `pause` gets the number of examples done. */
  async losses(
    examples: Uint32Array,
    pause: (done: number) => Promise<void> = async () => {},
  ): Promise<TimedLosses> {
    const N = this.#batchSize;
    const t = new Float32Array(examples.length);
    const loss = new Float32Array(examples.length);
    let open: Promise<void>[] = [];
    const settle = async (done: number) => {
      await Promise.all(open);
      open = [];
      await pause(done);
    };
    for (let start = 0, batch = 0; start < examples.length; start += N, batch++) {
      const count = Math.min(N, examples.length - start);
      // Pads a partial last batch with its first example; dropped below.
      const filled = Uint32Array.from({ length: N }, (_, i) => examples[start + (i < count ? i : 0)]);
      this.#draw.write(filled, this.#seed, batch);
      this.#step.run();
      open.push(
        this.#step.result.read().then((values) => {
          loss.set(values.subarray(0, count), start);
          t.set(values.subarray(N, N + count), start);
        }),
      );
      if (open.length >= readAhead) await settle(start + count);
    }
    await settle(examples.length);
    return { t, loss };
  }
}

function drawOf(source: BatchSource, batchSize: number): PairDraw {
  return new PairDraw(source, batchSize, { noise: streams.heldOutNoise, time: streams.heldOutTime });
}

/** The losses of a batch followed by its times, f32[2 N]. */
function measure(
  model: VelocityField,
  draw: PairDraw,
  { path, prediction }: Objective = objectiveFor(model),
): Tensor {
  const objective = { ...flowMatching, path, prediction };
  checkObjective(model, objective);
  const pairs = draw.pairs(objective);
  return concat([lossesOf(objective, model, pairs), pairs.t], 0);
}

/** The mean loss of examples; NaN if there are none. */
export function meanLoss({ loss }: TimedLosses): number {
  return loss.reduce((sum, value) => sum + value, 0) / loss.length;
}
