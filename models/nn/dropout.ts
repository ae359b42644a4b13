import { divide, less, randomUniform, type Tensor, tensor, where, withDevice } from "../../kernels/mod.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { whenRun } from "../../kernels/record/record.ts";
import type { NoiseDraw } from "../flow/coupling.ts";
import { checkedSeed, streams } from "../random.ts";
import { Module } from "./module.ts";

/**
 * The random numbers that layers draw with, and the number of layers that have drawn; undefined while dropout is off.
 */
let active: { readonly draw: () => NoiseDraw; layers: number } | undefined;

/**
 * Turns `Dropout` layers on while a synchronous function computes a loss. `Trainer` and `fit` do this automatically. It
 * may be recorded: what is dropped depends only on the seed, the step and the order of the layers, so that training
 * resumes to the same bits.
 *
 * @param draw called before each run, also of a recorded step: a seed in [0, 2^32) and the number of the step
 *
 * ```ts
 * import { init, record, zeros } from "../../kernels/mod.ts";
 * import { Dropout, withDropout } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const dropout = new Dropout(0.5);
 * let step = 0;
 * const recorded = record(() => withDropout(() => ({ seed: 1, step }), () => dropout.forward(zeros([2, 3]))));
 * for (; step < 10; step++) recorded.run(); // drops different elements in each step
 * ```
 */
export function withDropout<T>(draw: () => NoiseDraw, run: () => T): T {
  const outer = active;
  active = { draw, layers: 0 };
  try {
    return run();
  } finally {
    active = outer;
  }
}

/**
 * Drops elements at random in training, and scales the rest by 1 / (1 - probability). Does nothing outside
 * {@linkcode withDropout}: in sampling, validation and likelihoods.
 *
 * Source: Srivastava et al. 2014, Journal of Machine Learning Research 15
 */
export class Dropout extends Module {
  readonly #probability: number;

  /** Drops each element with a probability. @throws {RangeError} if it is not in [0, 1) */
  constructor(probability = 0.5) {
    super();
    if (!(probability >= 0 && probability < 1)) {
      throw new RangeError(
        `Cannot make a Dropout: probability is ${probability} (expected a number from 0 to below 1)`,
      );
    }
    this.#probability = probability;
  }

  /** f32[...] -> the same shape. */
  forward(x: Tensor): Tensor {
    checkTensor("run a Dropout", "x is", x);
    if (!active || this.#probability === 0) return x;
    const { draw } = active;
    const stream = streams.dropout + active.layers++;
    const key = withDevice(x.device, () => tensor(new Uint32Array(3)));
    whenRun(() => {
      const { seed, step } = draw();
      key.write(Uint32Array.of(checkedSeed(seed), stream, step));
    });
    const isDropped = less(randomUniform(key, x.shape), this.#probability);
    return where(isDropped, 0, divide(x, 1 - this.#probability));
  }
}
