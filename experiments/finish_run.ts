import { Evaluation, meanLoss } from "./evaluation.ts";
import { followPaths } from "./flow_paths.ts";
import { writeFlowPaths } from "./flow_paths_file.ts";
import { ImageSource } from "./image_source.ts";
import { writeLossByTime } from "./loss_by_time.ts";
import { writePictures } from "./pictures.ts";
import type { TrainingSession } from "./training.ts";

/** Euler steps of the many paths that the report shows: enough for a line, few enough for seconds. */
const pathSteps = 20;

/**
 * Measures a trained network on the test images, and leaves pictures, flows and paths in the run's folder.
 *
 * @returns the mean test loss
 */
export async function finishRun({ config, data, run, trainer, source }: TrainingSession): Promise<number> {
  const test = new ImageSource(data.test.images, data, source.normalization);
  const evaluation = trainer.withBestWeights(() =>
    new Evaluation(trainer.model, test, config.batchSize, config.seed)
  );
  const most = config.testBatches > 0 ? config.testBatches * config.batchSize : Infinity;
  const count = Math.min(data.test.count, most);
  const losses = await evaluation.losses(Uint32Array.from({ length: count }, (_, i) => i));
  await writeLossByTime(run, losses);
  const drawable = { model: trainer.model, ...source.info };
  const { seed, pacing, flowFrames: frames } = config;
  await writePictures(run, drawable, {
    samples: { count: config.samples, seed, steps: config.sampleSteps, solver: config.solver },
    // Euler, as in the study: then x of the next snapshot is x + v / steps, as readers of the files may expect.
    flow: {
      count: config.flowSamples,
      seed,
      steps: config.flowSteps,
      solver: "euler",
      modelType: trainer.options.type,
    },
    pacing,
    frames,
  }, (draw) => trainer.withBestWeights(draw));
  if (config.pathSamples > 0) {
    const options = { count: config.pathSamples, seed, steps: pathSteps, batch: config.batchSize };
    await writeFlowPaths(run, await trainer.withBestWeights(() => followPaths(drawable, data, options)));
  }
  return meanLoss(losses);
}
