import { currentDevice, type Device, init, withDevice } from "../../kernels/mod.ts";
import { BatchOrder } from "../../models/mod.ts";
import { type Dataset, splitImages } from "../data/dataset.ts";
import { ImageSource, labelsFor } from "../data/image_source.ts";
import { objectiveOf } from "../settings/training_config.ts";
import { normalizationTo, type TrainingConfig } from "../settings/training.ts";
import { yieldToEvents } from "../../kernels/core/yield_to_events.ts";
import { fittingNetwork } from "../training/fit_memory.ts";
import { PairedBatches } from "../training/paired_batches.ts";
import { scheduleOf } from "../training/session.ts";

/** Timing: warm-up steps, then `count` stretches of at least `ms` milliseconds. */
const stretch = { warmUpSteps: 2, count: 8, ms: 80, maxSteps: 64 } as const;

/** Measures the seconds per training step of several networks on the same data. */
export type StepTiming = (configs: readonly TrainingConfig[], data: Dataset) => Promise<number[]>;

/** The device to time on. */
export interface TimingOptions {
  readonly device: "auto" | "webgpu" | "cpu";
  /** Threads of the CPU device, as many as cells will have. */
  readonly threads: number;
  readonly signal: AbortSignal;
}

/**
 * The seconds per training step of several networks, from the fastest of several stretches, which other programs
 * disturbed least. The networks alternate, so that a slow phase of the machine affects all of them.
 *
 * @param configs settings of the networks, with `conditional` resolved
 * @param data that all of them train on
 * @throws {TrainingError} if a network does not fit the device
 */
export async function timeSteps(
  configs: readonly TrainingConfig[],
  data: Dataset,
  { device: kind, threads, signal }: TimingOptions,
): Promise<number[]> {
  // init() puts its device in use; withDevice() restores the earlier one.
  return await withDevice(currentDevice(), async () => {
    const device = await init({ device: kind, threads });
    using own = new DisposableStack();
    own.defer(() => device.close());
    const timed = configs.map((config) => timedSteps(config, data, device, own));
    for (const one of timed) await one.warmUp();
    for (let i = 0; i < stretch.count && !signal.aborted; i++) {
      for (const one of timed) await one.run();
    }
    return timed.map((one) => one.fastest());
  });
}

function timedSteps(config: TrainingConfig, data: Dataset, device: Device, own: DisposableStack) {
  const labels = labelsFor(config, data.train, data);
  const source = new ImageSource(data.train.images, data, normalizationTo(config.normalize), labels);
  const { network: { trainer } } = fittingNetwork(config, device, source, () => {});
  const order = new BatchOrder(splitImages(data.train.count, config).train, config.batchSize, config.seed);
  const { host } = source.augmented(config);
  const pairs = own.use(new PairedBatches(order, objectiveOf(config).coupling, host, config));
  const learningRate = scheduleOf(config).learningRate(0);
  let steps: number = stretch.warmUpSteps;
  let fastest = Infinity;
  /** Runs steps. @returns their milliseconds */
  const run = async () => {
    const startMs = performance.now();
    for (const batch of await pairs.batches(trainer.step, trainer.step + steps)) {
      trainer.queueStep(batch, learningRate);
    }
    await trainer.losses();
    await yieldToEvents();
    const ms = performance.now() - startMs;
    fastest = Math.min(fastest, ms / 1000 / steps);
    return ms;
  };
  return {
    run,
    /** Seconds per step in the fastest stretch. */
    fastest: () => fastest,
    /** Runs steps until a stretch is long enough to be timed. */
    async warmUp() {
      await run();
      fastest = Infinity;
      steps = 1;
      while (await run() < stretch.ms && steps < stretch.maxSteps) steps *= 2;
    },
  };
}
