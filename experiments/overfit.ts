import { join } from "node:path";
import { init } from "../kernels/mod.ts";
import { BatchOrder } from "../models/train/batches.ts";
import { splitImages } from "./data/split.ts";
import { hearSignals, runTask, stopSignal } from "./program/command.ts";
import { compileKernels } from "./training/compile_kernels.ts";
import { checkConfig } from "./settings/config_checks.ts";
import { loadDataset } from "./data/dataset.ts";
import { Evaluation } from "./training/evaluation.ts";
import { ImageSource, normalizationTo } from "./data/image_source.ts";
import { overfitting, resolveOverfitConfig } from "./settings/overfit_config.ts";
import { samplesPng } from "./draw/sample_grid.ts";
import { drawSamples } from "./draw/samples.ts";
import { ProgressBar } from "./program/progress.ts";
import { presets } from "./settings/presets.ts";
import { createRunFolder, writeAtomic } from "./run/run_folder.ts";
import { saveWeights } from "./run/run_state.ts";
import { Trainer } from "./training/trainer.ts";
import { training } from "./settings/training_settings.ts";

/** Steps between looks at the loss. */
const burst = 5;
/** Images of the final picture. */
const samples = 25;

await runTask(async () => {
  const flags = overfitting.parse(Deno.args);
  if (flags.help) {
    console.log(overfitting.help("deno task overfit"));
    return;
  }
  const { images: count, steps, out, ...settings } = resolveOverfitConfig(flags);
  const values = {
    ...settings,
    schedule: "constant",
    warmUp: 0,
    ema: 0,
    trainLimit: count,
    maxSteps: steps,
  } as const;
  const config = training.resolve({ ...values, preset: "quick" }, presets.quick);
  checkConfig(config);
  const device = await init(config);
  const data = await loadDataset(config.data ?? undefined);
  const { train, validation } = splitImages(data.train.count, config);
  const folder = out === null
    ? undefined
    : await createRunFolder({ name: "overfit", out, startedAt: new Date() });
  const source = new ImageSource(data.train.images, data, normalizationTo(config.normalize));
  const trainer = new Trainer(config, source);
  const order = new BatchOrder(train, config.batchSize, config.seed);
  const evaluation = new Evaluation(trainer.model, source, config.batchSize, config.seed);
  const others = validation.slice(0, count);
  const before = await evaluation.loss(train);

  using stop = stopSignal((signal) => console.error(`\n${signal}: stopping`));
  await compileKernels(trainer);
  using bar = new ProgressBar({ totalSteps: steps, imagesPerStep: config.batchSize });
  while (trainer.step < steps && !stop.stopped) {
    for (let i = 0; i < burst && trainer.step < steps; i++) {
      trainer.queueStep(order.batch(trainer.step), config.lr);
    }
    bar.update(trainer.step, (await trainer.losses()).at(-1));
    await hearSignals();
  }
  bar.finish();

  const after = await evaluation.loss(train);
  console.log(
    `loss on the ${train.length} images: ${before.toFixed(4)} before, ${
      after.toFixed(4)
    } after ${trainer.step} steps; ` +
      `on ${others.length} others: ${(await evaluation.loss(others)).toFixed(4)}`,
  );
  if (folder !== undefined) {
    const drawing = { count: samples, seed: config.seed, steps: config.sampleSteps, solver: config.solver };
    const pixels = await drawSamples({
      model: trainer.model,
      normalization: source.normalization,
      shape: source.shape,
    }, drawing);
    await writeAtomic(join(folder, "samples.png"), samplesPng(pixels, samples, source.shape));
    await saveWeights(folder, "last", trainer, source, await trainer.flat.state());
  }
  device.close();
});
