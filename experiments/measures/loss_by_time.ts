import { join } from "node:path";
import { HeldOutLoss, meanLoss, type TimedLosses } from "../../models/mod.ts";
import type { TimeBin } from "../../viz/report/mod.ts";
import { ImageSource, labelsFor } from "../data/image_source.ts";
import { firstIndices } from "../data/dataset.ts";
import { RunError, writeJson } from "../run/atomic_write.ts";
import { runFile } from "../run/files.ts";
import { readJson } from "../run/contained.ts";
import { heldOutOptions } from "../settings/training_config.ts";
import { yieldToEvents } from "../../kernels/core/yield_to_events.ts";
import type { NetworkArtifact, TrainedRun } from "../artifacts/artifact.ts";

/** Description in `loss_by_time.json`, for its readers. */
const what =
  "flow-matching loss on the test images, by the time t drawn for each (test_loss is the mean over all)";

/** The test loss, overall and by t. */
export const testLoss: NetworkArtifact = {
  needs: "network",
  makes: "lossByTime",
  evaluations: testImages,
  async write(trained, onProgress = () => {}) {
    const { run, config, data, source, drawable } = trained;
    const labels = labelsFor(config, data.test, data);
    const test = new ImageSource(data.test.images, data, source.normalization, labels);
    const heldOut = new HeldOutLoss(drawable.model, test, heldOutOptions(config));
    const losses = await heldOut.losses(firstIndices(testImages(trained)), async (done) => {
      onProgress(done);
      await yieldToEvents();
    });
    await writeJson(join(run, runFile.lossByTime), { what, bins: binByTime(losses) });
    return { test_loss: meanLoss(losses) };
  },
};

/** Number of test images that are measured. */
function testImages({ config: { testBatches, batchSize }, data }: TrainedRun): number {
  return testBatches > 0 ? Math.min(data.test.count, testBatches * batchSize) : data.test.count;
}

/** Means of losses over equal bins of t. */
export function binByTime({ t, loss }: TimedLosses, bins = 10): TimeBin[] {
  const sums = new Float64Array(bins);
  const images = new Uint32Array(bins);
  t.forEach((time, i) => {
    const bin = Math.min(Math.floor(time * bins), bins - 1);
    sums[bin] += loss[i];
    images[bin]++;
  });
  return Array.from(sums, (sum, bin) => ({
    from: bin / bins,
    to: (bin + 1) / bins,
    images: images[bin],
    loss: images[bin] > 0 ? sum / images[bin] : null,
  }));
}

/**
 * Reads `loss_by_time.json` of a run.
 *
 * @returns the bins, or undefined if the run has none
 */
export async function readLossByTime(run: string): Promise<TimeBin[] | undefined> {
  const path = join(run, runFile.lossByTime);
  const json = await readJson(path);
  if (json === undefined) return undefined;
  const { bins } = json;
  if (Array.isArray(bins) && bins.every(isBin)) return bins;
  throw new RunError(`Cannot read ${path}: it holds no bins of from, to, images and loss`);
}

function isBin(value: unknown): value is TimeBin {
  const { from, to, images, loss } = Object(value);
  return [from, to, images].every(Number.isFinite) && (loss === null || Number.isFinite(loss));
}
