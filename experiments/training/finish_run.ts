import { Evaluation, meanLoss } from "./evaluation.ts";
import { followPaths } from "../draw/follow_paths.ts";
import { writeFlowPaths } from "../draw/path_file.ts";
import { ImageSource } from "../data/image_source.ts";
import { writeLossByTime } from "../draw/loss_by_time.ts";
import { writeSamples } from "../draw/sample_grid.ts";
import { writeFlow } from "../draw/write_flow.ts";
import type { TrainingSession } from "./training.ts";

/** Euler steps of the many paths that the report shows: enough for a line, few enough for seconds. */
const pathSteps = 20;

/**
 * Measures a trained network on the test images, and leaves pictures, flows and paths in the run's folder.
 *
 * @param stopped asked between two works
 * @returns the mean test loss, unless stopped on the way
 */
export async function finishRun(
  { config, data, run, trainer, source, say }: TrainingSession,
  stopped: () => Promise<boolean>,
): Promise<number | undefined> {
  if (await stopped()) return;
  say("Measuring the test loss and drawing");
  const test = new ImageSource(data.test.images, data, source.normalization);
  const evaluation = trainer.withBestWeights(() =>
    new Evaluation(trainer.model, test, config.batchSize, config.seed)
  );
  const most = config.testBatches > 0 ? config.testBatches * config.batchSize : Infinity;
  const count = Math.min(data.test.count, most);
  const losses = await evaluation.losses(Uint32Array.from({ length: count }, (_, i) => i));
  await writeLossByTime(run, losses);
  if (await stopped()) return;
  const drawable = { model: trainer.model, normalization: source.normalization, shape: source.shape };
  const withWeights = <T>(draw: () => T) => trainer.withBestWeights(draw);
  const { seed } = config;
  const drawing = { count: config.samples, seed, steps: config.sampleSteps, solver: config.solver };
  await writeSamples(run, drawable, drawing, withWeights);
  if (await stopped()) return;
  // Euler, as in the study: then x of the next snapshot is x + v / steps, as readers of the files may expect.
  const flow = { count: config.flowSamples, seed, steps: config.flowSteps, solver: "euler" } as const;
  const animation = { pacing: config.pacing, frames: config.flowFrames };
  await writeFlow(run, drawable, { ...flow, modelType: trainer.options.type }, animation, withWeights);
  if (await stopped()) return;
  if (config.pathSamples > 0) {
    const options = { count: config.pathSamples, seed, steps: pathSteps, batch: config.batchSize };
    await writeFlowPaths(run, await withWeights(() => followPaths(drawable, data, options)));
  }
  return await stopped() ? undefined : meanLoss(losses);
}
