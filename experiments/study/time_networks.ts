import { currentDevice, init, withDevice } from "../../kernels/mod.ts";
import { yieldToEvents } from "../../kernels/core/yield_to_events.ts";
import { BatchOrder, type Trainer } from "../../models/mod.ts";
import { type Dataset, splitImages } from "../data/dataset.ts";
import { sourceOf } from "../data/image_source.ts";
import { objectiveOf } from "../cli/training_config.ts";
import { normalizationTo, type TrainingConfig } from "../cli/training.ts";
import { fittingNetwork } from "../training/fit_memory.ts";
import { PairedBatches } from "../training/loop.ts";
import { scheduleOf } from "../training/schedule.ts";

/** Number of timed intervals per network, and seconds per interval. */
const intervals = { count: 8, seconds: 0.08 } as const;

/** Measures the seconds per training step of several networks on the same data. */
export type StepTiming = (configs: readonly TrainingConfig[], data: Dataset) => Promise<number[]>;

/** The device to time on. */
export interface TimingOptions {
  readonly device: "auto" | "webgpu" | "cpu";
  /** Threads of the CPU device, the same as for cells. */
  readonly threads: number;
  readonly signal: AbortSignal;
}

/**
 * The seconds per training step of several networks, from the fastest of several intervals, which is the least disturbed
 * by other programs. The networks alternate, so that a slow phase of the machine affects all of them.
 *
 * @param configs settings of the networks, with `conditional` resolved
 * @param data the data that all of them train on
 * @throws {TrainingError} if a network does not fit the device
 */
export async function timeNetworks(
  configs: readonly TrainingConfig[],
  data: Dataset,
  { device: kind, threads, signal }: TimingOptions,
): Promise<number[]> {
  // init() puts its device in use; withDevice() restores the earlier one.
  return await withDevice(currentDevice(), async () => {
    const device = await init({ device: kind, threads });
    using own = new DisposableStack();
    own.defer(() => device.close());
    const stopped = () => signal.aborted;
    const networks = configs.map((config) => {
      const { conditional, normalize } = config;
      const source = sourceOf(data, "train", { conditional, normalization: normalizationTo(normalize) });
      const { network: { trainer } } = fittingNetwork(config, device, source, () => {});
      const { train } = splitImages(data.train.count, config);
      const order = new BatchOrder(train, config.batchSize, config.seed);
      const { host } = source.augmented(config);
      const pairs = own.use(new PairedBatches(order, objectiveOf(config).coupling, host, config));
      const learningRate = scheduleOf(config).learningRate(0);
      const batches = (from: number, to: number) => pairs.batches(from, to);
      return { trainer, trial: { batches, learningRate, stopped } };
    });
    const fastest = configs.map(() => Infinity);
    for (let i = 0; i < intervals.count && !stopped(); i++) {
      for (const [n, { trainer, trial }] of networks.entries()) {
        fastest[n] = Math.min(fastest[n], await timeSteps(trainer, trial, intervals.seconds));
      }
    }
    return fastest;
  });
}

/** Seconds per step, over some seconds of steps after two that are not timed; the trainer is restored. */
async function timeSteps(
  trainer: Trainer,
  { batches, learningRate, stopped }: {
    readonly batches: (from: number, to: number) => Promise<readonly Uint32Array<ArrayBuffer>[]>;
    readonly learningRate: number;
    readonly stopped: () => boolean;
  },
  seconds: number,
): Promise<number> {
  const before = await trainer.state();
  const run = async (steps: number) => {
    const examples = await batches(trainer.step, trainer.step + steps);
    for (const batch of examples) trainer.queueStep(batch, learningRate);
    await trainer.losses();
    await yieldToEvents();
  };
  await run(2);
  const startedMs = performance.now();
  let steps = 0;
  do {
    await run(1);
    steps++;
  } while (performance.now() - startedMs < seconds * 1000 && !stopped());
  const perStep = (performance.now() - startedMs) / 1000 / steps;
  trainer.restore(before, "the state before the trial steps");
  return perStep;
}
