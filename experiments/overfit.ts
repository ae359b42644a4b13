import { join } from "node:path";
import { describeData, splitImages } from "./data/dataset.ts";
import { drawableOf } from "./draw/samples.ts";
import { init } from "../kernels/mod.ts";
import { BatchOrder, HeldOutLoss, meanLoss, stateOf } from "../models/mod.ts";
import { ImageSource } from "./data/image_source.ts";
import { settingsWithNetwork } from "./networks/network_flags.ts";
import { withAllOptions } from "./networks/own_network.ts";
import { writeSampleGrid } from "./draw/sample_grid.ts";
import { dryRun, formatTime, gigabytes, printDryRun } from "./cli/dry_run.ts";
import { ProgressBar, stderr } from "./cli/progress.ts";
import { main, stopSignal, task, TrainingError } from "./cli/task.ts";
import { runFile } from "./run/files.ts";
import { checkEmptyFolder, createRunFolder } from "./run/run_folder.ts";
import { integer, integers, number, optional, path } from "./cli/kinds.ts";
import type { Values } from "./cli/setting.ts";
import { defineSettings } from "./cli/settings.ts";
import { makeFixedSteps } from "./cli/solver.ts";
import { network, normalizationTo, presets, training, type TrainingConfig } from "./cli/training.ts";
import { checkConfig, heldOutOptions, withOptimizer } from "./cli/training_config.ts";
import { print, say } from "./cli/output.ts";
import { yieldToEvents } from "../kernels/core/yield_to_events.ts";
import { dataSettings } from "./cli/data.ts";
import { compileKernels, makeNetwork } from "./training/network.ts";
import { networkLine } from "./training/prepare_training.ts";
import { timeSteps } from "./training/trial.ts";
import { decideConditional, loadData } from "./training/training_data.ts";
import { saveWeights } from "./training/run_state.ts";

/** Steps between reads of the loss. */
const burst = 5;
const samples = 25;

/** Settings of `deno task overfit`. */
const overfitting = defineSettings({
  dryRun,
  model: { ...network, default: "residual" },
  filters: integers({ doc: "channels of each level (standard: 32,64,128)", default: [16, 32] }),
  tEmb: integer({ doc: "features of the time embedding (standard: 64)", min: 1, default: 32 }),
  attn: training.rows.attn,
  groups: training.rows.groups,
  timeEmbedding: training.rows.timeEmbedding,
  images: integer({ doc: "images to overfit", min: 1, default: 100 }),
  steps: integer({ doc: "training steps", min: 1, default: 300 }),
  batchSize: integer({ doc: "images per step", min: 1, default: 50 }),
  lr: number({ doc: "learning rate", above: 0, default: 2e-3 }),
  seed: training.rows.seed,
  ...dataSettings,
  out: optional(path("DIR", "folder for weights and samples (default: nothing is written)")),
  device: training.rows.device,
  threads: training.rows.threads,
});

/** The settings of `deno task overfit` by name. */
export type OverfitConfig = Values<typeof overfitting.rows>;

/** @throws {ConfigError} if the network cannot be built, or a setting has no effect */
function resolve(values: Partial<OverfitConfig>): OverfitConfig {
  const config = overfitting.resolve(values);
  overfitConfig(config); // checks the network
  return config;
}

/**
 * Training settings for overfitting: a constant learning rate, no averaging.
 *
 * @throws {ConfigError} if settings contradict each other
 */
export function overfitConfig(
  { images, steps, out: _, dryRun: __, ...settings }: OverfitConfig,
): TrainingConfig {
  const fixed = {
    conditional: false,
    schedule: "constant",
    warmUp: 0,
    ema: 0,
    trainLimit: images,
    maxSteps: steps,
  } as const;
  const preset = withOptimizer(settings, presets.quick);
  const model = withAllOptions(settings.model);
  const config = training.resolve({}, { ...preset, ...settings, ...fixed, model, preset: "quick" });
  checkConfig(config);
  return config;
}

export const overfitTask = task({
  name: "overfit",
  about: "Check that a network can overfit a few images",
  settings: overfitting,
  settingsFor: (argv) => settingsWithNetwork(overfitting, argv),
  resolve,
  async run(settings) {
    const { images: count, steps, out } = settings;
    const device = await init(settings);
    const data = await loadData(settings, stderr);
    const config = decideConditional(overfitConfig(settings), data, say);
    const { train, validation } = splitImages(data.train.count, config);
    const source = new ImageSource(data.train.images, data, normalizationTo(config.normalize));
    const network = makeNetwork(config, source);
    if (settings.dryRun) {
      if (out !== null) await checkEmptyFolder(out, " as run folder");
      const order = new BatchOrder(train, config.batchSize, config.seed);
      const perStep = await timeSteps(network.trainer, {
        batches: (from, to) =>
          Promise.resolve(Array.from({ length: to - from }, (_, i) => order.batch(from + i))),
        learningRate: config.lr,
        stopped: () => false,
      });
      printDryRun({
        network: networkLine({ config, network }, device),
        data: describeData(data),
        steps: `${steps} of ${config.batchSize} images: ${train.length} images over and over`,
        time: `about ${formatTime(steps * perStep)}`,
        memory: `${gigabytes(device.allocatedBytes)} on the device`,
        files: out === null
          ? "none"
          : [runFile.samples, runFile.last].map((file) => join(out, file)).join(", "),
      });
      device.close();
      return;
    }
    const folder = out === null
      ? undefined
      : await createRunFolder({ name: "overfit", out, startedAt: new Date() });
    if (config.data !== null) say(describeData(data));
    const { trainer, model } = network;
    const order = new BatchOrder(train, config.batchSize, config.seed);
    const heldOut = new HeldOutLoss(model, source, heldOutOptions(config));
    const lossOf = async (images: Uint32Array) => {
      const loss = meanLoss(await heldOut.losses(images, () => yieldToEvents()));
      checkLoss(loss, trainer.step);
      return loss.toFixed(4);
    };
    const heldOutImages = validation.slice(0, count);
    const before = await lossOf(train);

    using stop = stopSignal((signal) => say(`\n${signal}: stopping`));
    await compileKernels(trainer, stderr);
    using bar = new ProgressBar({ totalSteps: steps, imagesPerStep: config.batchSize });
    while (trainer.step < steps && !stop.signal.aborted) {
      for (let i = 0; i < burst && trainer.step < steps; i++) {
        trainer.queueStep(order.batch(trainer.step), config.lr);
      }
      const losses = await trainer.losses();
      losses.forEach((loss, i) => checkLoss(loss, trainer.step - losses.length + i));
      bar.update(trainer.step, losses.at(-1));
      await yieldToEvents();
    }
    bar.finish();

    const after = await lossOf(train);
    const onHeldOut = heldOutImages.length > 0
      ? `; on ${heldOutImages.length} held-out images: ${await lossOf(heldOutImages)}`
      : "";
    print(
      `loss on the ${train.length} images: ${before} before, ${after} after ${trainer.step} steps${onHeldOut}`,
    );
    if (folder !== undefined) {
      await writeSampleGrid(folder, drawableOf(model, source), {
        count: samples,
        seed: config.seed,
        ...makeFixedSteps(config.solver),
      });
      await saveWeights(folder, runFile.last, network, source, await stateOf(model));
    }
    device.close();
    if (trainer.step < steps) return stop.exitCode;
  },
});

/** @throws {TrainingError} if training has diverged */
function checkLoss(loss: number, step: number): void {
  if (Number.isFinite(loss)) return;
  throw new TrainingError(`The loss is ${loss} after step ${step}: training diverges; try a smaller --lr`);
}

if (import.meta.main) await main(overfitTask);
