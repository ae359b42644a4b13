import type { Device } from "../../kernels/mod.ts";
import { BatchOrder, type Trainer } from "../../models/mod.ts";
import { type Dataset, splitImages } from "../data/dataset.ts";
import { ImageSource, labelsFor, normalizationTo } from "../data/image_source.ts";
import type { TrainingConfig } from "../settings/training.ts";
import { yieldToSignals } from "../terminal/yield_to_signals.ts";
import { decideConditional } from "../training/conditional.ts";
import { fittingNetwork } from "../training/fit_memory.ts";
import { secondsPerStep } from "../training/trial.ts";
import { ChoiceCache, choiceCacheFile } from "../tuning/choice_cache.ts";
import { isGpu } from "../settings/training.ts";

/** Seconds that kernels may be timed before the rate. */
const secondsOfTuning = 5;

/** How fast a run would train. */
export interface Rate {
  readonly imagesPerSecond: number;
  readonly stepMilliseconds: number;
  /** Images in a step. */
  readonly batchSize: number;
  /** Parameters of the network. */
  readonly parameters: number;
  /** Device memory of training steps. */
  readonly plannedBytes: number;
  /** Why batches are smaller than the preset's, if they are. */
  readonly reduced?: string | undefined;
}

/**
 * Trains for some seconds, after a warm-up that is not counted, and forgets the result.
 *
 * @param device the one in use
 * @throws {TrainingError} if not even one image fits the device
 * @throws {DeviceError} if the device fails
 */
export async function measureRate(
  device: Device,
  { settings, data, seconds }: {
    readonly settings: TrainingConfig;
    readonly data: Dataset;
    readonly seconds: number;
  },
): Promise<Rate> {
  const asked = decideConditional(settings, data, () => {});
  const labels = labelsFor(asked, data.train, data);
  const source = new ImageSource(data.train.images, data, normalizationTo(asked.normalize), labels);
  let reduced: string | undefined;
  const { config, network } = fittingNetwork(asked, device, source, (line) => reduced = line);
  const { trainer, size: parameters } = network;
  const order = new BatchOrder(splitImages(data.train.count, config).train, config.batchSize, config.seed);
  if (config.tune === "auto" ? isGpu(device) : config.tune) {
    // As a run does, which also keeps what it finds; this may write nothing.
    const store = await ChoiceCache.open(choiceCacheFile, () => {});
    await trainer.tune({ store, seconds: Math.min(seconds, secondsOfTuning) });
  }
  await trainer.compile(() => {});
  const perStep = await secondsPerStep(
    (steps) => train(trainer, order, steps, config.lr),
    seconds,
    () => false,
    () => performance.now(),
  );
  return {
    imagesPerSecond: config.batchSize / perStep,
    stepMilliseconds: 1000 * perStep,
    batchSize: config.batchSize,
    parameters,
    plannedBytes: trainer.plan(config.batchSize).bytes,
    reduced,
  };
}

async function train(trainer: Trainer, order: BatchOrder, steps: number, learningRate: number) {
  for (let i = 0; i < steps; i++) trainer.queueStep(order.batch(trainer.step), learningRate);
  await trainer.losses();
  await yieldToSignals();
}
