import { init, withDevice } from "../../kernels/mod.ts";
import { BatchOrder } from "../../models/mod.ts";
import type { Dataset } from "../data/dataset.ts";
import { ImageSource, labelsFor, normalizationTo } from "../data/image_source.ts";
import { splitImages } from "../data/split.ts";
import { objectiveOf } from "../settings/tasks/objective.ts";
import type { TrainingConfig } from "../settings/tasks/train_config.ts";
import { yieldToSignals } from "../terminal/yield_to_signals.ts";
import { fittingNetwork } from "../training/fit_memory.ts";
import { PairedBatches } from "../training/paired_batches.ts";
import { scheduleOf } from "../training/schedule_of.ts";

/** Steps that are not timed, and how many stretches of how many milliseconds are. */
const trial = { warmUpSteps: 2, stretches: 5, stretchMs: 150 } as const;

/** Where and how long to time. */
export interface TimingOptions {
  readonly device: "auto" | "webgpu" | "cpu";
  /** Threads of the CPU device, as many as cells will have. */
  readonly threads: number;
  readonly signal: AbortSignal;
}

/**
 * Seconds of a training step: of several stretches of steps the fastest, which other programs disturbed least.
 *
 * @param config once it is decided whether the network gets labels
 * @throws {TrainingError} if the network does not fit the device
 */
export async function timeStep(
  config: TrainingConfig,
  data: Dataset,
  { device: kind, threads, signal }: TimingOptions,
): Promise<number> {
  const device = await init({ device: kind, threads });
  try {
    return await withDevice(device, async () => {
      const labels = labelsFor(config, data.train, data);
      const source = new ImageSource(data.train.images, data, normalizationTo(config.normalize), labels);
      const { network: { trainer } } = fittingNetwork(config, device, source, () => {});
      const order = new BatchOrder(
        splitImages(data.train.count, config).train,
        config.batchSize,
        config.seed,
      );
      using pairs = new PairedBatches(order, objectiveOf(config).coupling, source.host, config);
      const learningRate = scheduleOf(config).learningRate(0);
      const run = async (steps: number) => {
        for (const batch of await pairs.batches(trainer.step, trainer.step + steps)) {
          trainer.queueStep(batch, learningRate, { paired: true });
        }
        await trainer.losses();
        await yieldToSignals();
      };
      await run(trial.warmUpSteps);
      let [fastest, steps] = [Infinity, 1];
      for (let stretch = 0; stretch < trial.stretches && !signal.aborted;) {
        const startMs = performance.now();
        await run(steps);
        const ms = performance.now() - startMs;
        fastest = Math.min(fastest, ms / 1000 / steps);
        if (ms < trial.stretchMs && steps < 64) steps *= 2;
        else stretch++;
      }
      return fastest;
    });
  } finally {
    device.close();
  }
}
