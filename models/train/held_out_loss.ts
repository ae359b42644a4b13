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
import { streams } from "../random/streams.ts";
import type { BatchSource } from "./batch_source.ts";
import { PairDraw } from "./pair_draw.ts";

/** Batches whose losses may be under way to the host at once. */
const readAhead = 16;

/** The loss of each example at the time that was drawn for it, f32[N] both. */
export interface TimedLosses {
  /** In [0, 1). */
  readonly t: Float32Array;
  /** Mean over the elements of the example. */
  readonly loss: Float32Array;
}

/** How losses are measured. */
export interface HeldOutOptions {
  /** Examples to work on at once. */
  readonly batchSize: number;
  /** Of noise and times: integer in [0, 2^32). */
  readonly seed: number;
  /** Path and prediction of the network; times are uniform and all count alike, whatever it is trained with. */
  readonly objective?: Objective;
}

/**
 * Measures the loss on held-out examples with noise and times that are drawn once and for all, so that two measurements
 * differ by the network alone. It uses the weights that the model has when it is made, also if they change later.
 */
export class HeldOutLoss {
  readonly #batchSize: number;
  readonly #seed: number;
  readonly #draw: PairDraw;
  readonly #step: RecordedStep<Tensor>;

  /** Records one step for all batches. */
  constructor(model: VelocityField, source: BatchSource, { batchSize, seed, objective }: HeldOutOptions) {
    this.#batchSize = batchSize;
    this.#seed = seed;
    this.#draw = drawOf(source, batchSize);
    this.#step = record(() => measure(model, this.#draw, objective));
  }

  /** What measuring in batches of a size would need, without running it. */
  static plan(
    model: VelocityField,
    source: BatchSource,
    { batchSize, objective }: HeldOutOptions,
  ): MemoryPlan {
    return planMemory(() => measure(model, drawOf(source, batchSize), objective));
  }

  /**
   * The loss of each example.
   *
   * @param examples their indices; each counts once
   * @param breathe called between batches, for what else the program has to do
   * @returns losses and times in the order of the examples
   */
  async losses(examples: Uint32Array, breathe: () => Promise<void> = async () => {}): Promise<TimedLosses> {
    const N = this.#batchSize;
    const t = new Float32Array(examples.length);
    const loss = new Float32Array(examples.length);
    let open: Promise<void>[] = [];
    const settle = async () => {
      await Promise.all(open);
      open = [];
      await breathe();
    };
    for (let start = 0, batch = 0; start < examples.length; start += N, batch++) {
      const count = Math.min(N, examples.length - start);
      // A last batch that is not full is filled up with its first example, and only its own losses count.
      const filled = Uint32Array.from({ length: N }, (_, i) => examples[start + (i < count ? i : 0)]);
      this.#draw.write(filled, this.#seed, batch);
      this.#step.run();
      open.push(
        this.#step.result.read().then((values) => {
          loss.set(values.subarray(0, count), start);
          t.set(values.subarray(N, N + count), start);
        }),
      );
      if (open.length >= readAhead) await settle();
    }
    await settle();
    return { t, loss };
  }
}

function drawOf(source: BatchSource, batchSize: number): PairDraw {
  return new PairDraw(source, batchSize, { noise: streams.heldOutNoise, time: streams.heldOutTime });
}

/** The losses of a batch, then its times, f32[2 N]. */
function measure(
  model: VelocityField,
  draw: PairDraw,
  { path, prediction }: Objective = flowMatching,
): Tensor {
  const objective = { ...flowMatching, path, prediction };
  const pairs = draw.pairs(objective);
  return concat([lossesOf(objective, model, pairs), pairs.t], 0);
}

/** Mean of the losses of examples. */
export function meanLoss({ loss }: TimedLosses): number {
  return loss.reduce((sum, value) => sum + value, 0) / loss.length;
}
