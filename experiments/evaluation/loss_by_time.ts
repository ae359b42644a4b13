import { join } from "node:path";
import { HeldOutLoss, meanLoss, type TimedLosses } from "../../models/mod.ts";
import type { TimeBin } from "../../viz/report/mod.ts";
import { type Dataset, firstIndices } from "../data/dataset.ts";
import { type ImageSource, sourceOf } from "../data/image_source.ts";
import { readFields, writeJson } from "../run/run_folder.ts";
import { runFile } from "../run/files.ts";
import { count, type FieldCheck, fieldsOf, finiteNumber, listOf, orNull } from "../run/field_checks.ts";
import { heldOutOptions } from "../cli/training_config.ts";
import { yieldToEvents } from "../../kernels/core/yield_to_events.ts";
import type { TrainingConfig } from "../cli/training.ts";
import type { Drawable } from "../draw/samples.ts";

/** Description in `loss_by_time.json`, for people who read the file. */
const what =
  "flow-matching loss on the test images, by the time t drawn for each (test_loss is the mean over all)";

/** A run to test, with its averaged weights. */
export interface TestedRun {
  readonly run: string;
  readonly config: TrainingConfig;
  readonly data: Dataset;
  readonly source: ImageSource;
  readonly drawable: Drawable;
}

/** Measures the test loss, and writes it by t. @param onProgress called with the images so far */
export async function writeTestLoss(
  { run, config, data, source, drawable }: TestedRun,
  onProgress: (images: number) => void = () => {},
): Promise<{ test_loss: number }> {
  const { conditional } = config;
  const test = sourceOf(data, "test", { conditional, normalization: source.normalization });
  const heldOut = new HeldOutLoss(drawable.model, test, heldOutOptions(config));
  const losses = await heldOut.losses(firstIndices(testImages({ config, data })), async (done) => {
    onProgress(done);
    await yieldToEvents();
  });
  await writeJson(join(run, runFile.lossByTime), { what, bins: binByTime(losses) });
  return { test_loss: meanLoss(losses) };
}

/** The number of test images that a run uses. */
export function testImages(
  { config: { testBatches, batchSize }, data }: Pick<TestedRun, "config" | "data">,
): number {
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

export const timeBins: FieldCheck<readonly TimeBin[]> = listOf(
  fieldsOf({ from: finiteNumber, to: finiteNumber, images: count, loss: orNull(finiteNumber) }),
);

/** Reads the bins in `loss_by_time.json` of a run; undefined if it has none. */
export async function readLossByTime(run: string): Promise<readonly TimeBin[] | undefined> {
  const advice = "delete the file, and the run is shown without it";
  return (await readFields(join(run, runFile.lossByTime), { bins: timeBins }, advice))?.bins;
}
