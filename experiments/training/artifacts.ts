import { join } from "node:path";
import { yieldToEvents } from "../../kernels/devices/device.ts";
import { HeldOutLoss, meanLoss } from "../../models/mod.ts";
import { firstIndices } from "../data/dataset.ts";
import { sourceOf } from "../data/image_source.ts";
import { binByTime } from "../evaluation/measures.ts";
import { heldOutOptions } from "../settings/objective.ts";
import { writeReport } from "../report/write_report.ts";
import { hasFile, runFile } from "../run/files.ts";
import { writeJson } from "../run/run_folder.ts";
import { type Artifact, fewSteps, flowGif, flows, type Measured, paths, samples } from "./pictures.ts";
import { testedImages } from "./measures.ts";
import type { TrainedRun } from "./pictures.ts";

export type { Measured };

/** Description in `loss_by_time.json`, for people who read the file. */
const what =
  "flow-matching loss on the test images, by the time t drawn for each (test_loss is the mean over all)";

function testImages({ config: { testBatches, batchSize }, data: { test }, steps }: TrainedRun): number {
  if (testBatches === "auto") return testedImages(test.count, steps, batchSize);
  return testBatches > 0 ? Math.min(test.count, testBatches * batchSize) : test.count;
}

const testLoss: Artifact = {
  makes: "lossByTime",
  evaluations: testImages,
  async write(trained, onProgress) {
    const { run, config, data, source: { normalization }, drawable } = trained;
    const test = sourceOf(data, "test", { conditional: config.conditional, normalization });
    const heldOut = new HeldOutLoss(drawable.model, test, heldOutOptions(config));
    const losses = await heldOut.losses(firstIndices(testImages(trained)), async (done) => {
      onProgress?.(done);
      await yieldToEvents();
    });
    await writeJson(join(run, runFile.lossByTime), { what, bins: binByTime(losses) });
    return { test_loss: meanLoss(losses), test_loss_margin: marginOf(losses.loss) };
  },
};

/** Half the 95 % interval of a mean over images. */
function marginOf(values: Float32Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return 1.96 * Math.sqrt(squares / Math.max(values.length - 1, 1) / values.length);
}

const report: Artifact = {
  makes: "report",
  write: ({ run }) => writeReport([run], join(run, runFile.report)),
};

/** The outputs of a run in the order in which they are written; the report is last because it shows the others. */
const pictures: readonly Artifact[] = [samples, fewSteps, flows, flowGif, paths];
const outputs: readonly Artifact[] = [testLoss, ...pictures, report];

/** About how often the network is evaluated after training. */
export function evaluationsAfter(trained: TrainedRun): number {
  return outputs.filter(({ makes }) => hasFile(makes, trained))
    .reduce((sum, { evaluations }) => sum + (evaluations?.(trained) ?? 0), 0);
}

/** Whether an earlier session has written a picture: it is newer than the state after the last step. */
async function isDrawn({ run, config }: TrainedRun, makes: Artifact["makes"]): Promise<boolean> {
  const path = runFile[makes].replace("<pacing>", config.pacing);
  const [drawn, saved] = await Promise.all([path, runFile.state].map(async (name) => {
    const file = await Deno.stat(join(run, name)).catch(() => undefined);
    return file?.mtime?.getTime() ?? 0;
  }));
  return drawn > saved;
}

/**
 * Writes all artifacts of a trained run, until `stopped`; `measured` takes the metrics of each. Pictures that an earlier
 * session has drawn since the last step are kept.
 *
 * @param onProgress called with the number of network evaluations so far, and the approximate total
 * @returns whether all were written
 */
export async function writeArtifacts(
  trained: TrainedRun,
  measured: (values: Measured) => Promise<void>,
  stopped: () => Promise<boolean>,
  onProgress: (done: number, all: number) => void,
): Promise<boolean> {
  const due: { readonly artifact: Artifact; readonly cost: number }[] = [];
  for (const artifact of outputs) {
    const { makes, drawnWith = makes } = artifact;
    if (!hasFile(makes, trained)) continue;
    if (pictures.includes(artifact) && await isDrawn(trained, drawnWith)) continue;
    due.push({ artifact, cost: artifact.evaluations?.(trained) ?? 0 });
  }
  const all = due.reduce((sum, { cost }) => sum + cost, 0);
  let done = 0;
  for (const { artifact, cost } of due) {
    if (await stopped()) return false;
    const values = await artifact.write(trained, (evaluations) => onProgress(done + evaluations, all));
    if (values) await measured(values);
    done += cost;
    onProgress(done, all);
  }
  return true;
}
