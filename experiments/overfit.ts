import { init } from "../kernels/mod.ts";
import { BatchOrder, HeldOutLoss, meanLoss, stateOf } from "../models/mod.ts";
import { describeData, splitImages } from "./data/dataset.ts";
import { ImageSource, normalizationTo } from "./data/image_source.ts";
import { drawableOf } from "./draw/samples.ts";
import { writeSamples } from "./draw/sample_grid.ts";
import { runTask, stopSignal, TrainingError } from "./program/command.ts";
import { yieldToSignals } from "./terminal/yield_to_signals.ts";
import { ProgressBar, stderr } from "./program/progress.ts";
import { createRunFolder } from "./run/run_folder.ts";
import { heldOutOptions } from "./settings/tasks/objective.ts";
import { overfitting, resolveOverfitConfig, trainingConfigOf } from "./settings/tasks/overfit.ts";
import { compileKernels } from "./training/compile_kernels.ts";
import { loadData } from "./training/load_data.ts";
import { makeNetwork } from "./training/network.ts";
import { weightsFile } from "./run/layout.ts";
import { saveWeights } from "./training/run_state.ts";
import { print, say } from "./terminal/output.ts";

/** Steps between reads of the loss. */
const burst = 5;
/** Images in the final grid. */
const samples = 25;

await runTask(async () => {
  const flags = overfitting.parse(Deno.args);
  if (flags.help) {
    print(overfitting.help("deno task overfit"));
    return;
  }
  const settings = resolveOverfitConfig(flags);
  const { images: count, steps, out } = settings;
  const config = trainingConfigOf(settings);
  const device = await init(config);
  const data = await loadData(config.data, { say, terminal: stderr });
  const { train, validation } = splitImages(data.train.count, config);
  const source = new ImageSource(data.train.images, data, normalizationTo(config.normalize));
  const network = makeNetwork(config, source);
  const folder = out === null
    ? undefined
    : await createRunFolder({ name: "overfit", out, startedAt: new Date() });
  if (config.data !== null) say(describeData(data));
  const { trainer, model } = network;
  const order = new BatchOrder(train, config.batchSize, config.seed);
  const heldOut = new HeldOutLoss(model, source, heldOutOptions(config));
  const lossOf = async (images: Uint32Array) => {
    const loss = meanLoss(await heldOut.losses(images, yieldToSignals));
    checkLoss(loss, trainer.step);
    return loss.toFixed(4);
  };
  const others = validation.slice(0, count);
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
    await yieldToSignals();
  }
  bar.finish();

  const after = await lossOf(train);
  const ofOthers = others.length > 0 ? `; on ${others.length} others: ${await lossOf(others)}` : "";
  print(
    `loss on the ${train.length} images: ${before} before, ${after} after ${trainer.step} steps${ofOthers}`,
  );
  if (folder !== undefined) {
    const { seed, sampleSteps, solver } = config;
    await writeSamples(folder, drawableOf(model, source), {
      count: samples,
      seed,
      steps: sampleSteps,
      solver,
    });
    await saveWeights(folder, weightsFile("last"), network, source, await stateOf(model));
  }
  device.close();
  if (trainer.step < steps) Deno.exit(stop.exitCode);
});

/** @throws {TrainingError} if the loss after a step says that training has diverged */
function checkLoss(loss: number, step: number): void {
  if (Number.isFinite(loss)) return;
  throw new TrainingError(`The loss is ${loss} after step ${step}: training diverges; try a smaller --lr`);
}
