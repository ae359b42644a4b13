/** Describes a training run without starting it: for `--dry-run`. */

import { join } from "node:path";
import type { Device } from "../../kernels/mod.ts";
import { BatchOrder } from "../../models/mod.ts";
import { evaluationsOfArtifacts } from "./artifacts.ts";
import { describeData } from "../data/dataset.ts";
import { drawableOf } from "../draw/samples.ts";
import { formatTime, gigabytes } from "../cli/dry_run.ts";
import type { Terminal } from "../cli/progress.ts";
import { filesOfTraining } from "../run/files.ts";
import { checkEmptyFolder } from "../run/run_folder.ts";
import { stagesOf } from "../cli/stages.ts";
import type { TrainingConfig } from "../cli/training.ts";
import { TrainingLoop } from "./loop.ts";
import { networkLine, prepareTraining } from "./prepare_training.ts";
import { timeSteps } from "./trial.ts";

/**
 * Describes a run by timing a few of its steps, in rows for `printDryRun`.
 *
 * @param config see `trainingConfig`; with `resume`, the rest of that run is described
 * @returns undefined if it was stopped
 * @throws as `runTraining`
 */
export async function forecastTraining(
  settings: TrainingConfig,
  { device, say, terminal, signal }: {
    readonly device: Device;
    readonly say: (message: string) => void;
    readonly terminal: Terminal;
    readonly signal: AbortSignal;
  },
): Promise<Record<string, string | undefined> | undefined> {
  const prepared = await prepareTraining(device, settings, { say, terminal });
  const { config, network, data, images, source, initial, name } = prepared;
  if (config.resume === null && config.out !== null) await checkEmptyFolder(config.out, " as run folder");
  const run = config.resume ?? config.out ?? join("runs", `<time>-${name}`);
  using loop = new TrainingLoop({ ...prepared, run, keepAt: [], signal, say, terminal });
  const from = config.resume === null ? 0 : await loop.resume();
  if (!await loop.fixSteps()) return undefined;
  const to = loop.totalSteps;
  const order = new BatchOrder(images.train, config.batchSize, config.seed);

  const { interludes, ...trial } = loop.trial;
  const stages = stagesOf(config) ?? [{ from, steps: to - from }];
  let training = 0;
  let plainStep = Infinity;
  for (const { from: begin, steps } of stages) {
    const perStep = await timeSteps(network.trainer, trial, 3 / stages.length, begin);
    training += Math.max(0, Math.min(steps, begin + steps - from)) * perStep;
    plainStep = Math.min(plainStep, perStep);
  }
  const between = [];
  for (const { name, run } of interludes) {
    const startedMs = performance.now();
    await run();
    const seconds = (performance.now() - startedMs) / 1000;
    const isGrid = name === "sampleEpochs";
    let count = isGrid && from > 0 ? 0 : 1; // a grid at the start, a validation at the end
    for (let at = from; (at = order.endAfter(at, loop.cadence[name])) < to + Number(isGrid);) count++;
    between.push({ what: isGrid ? "grids" : "validations", count, seconds: count * seconds });
  }
  if (signal.aborted) return undefined;

  // The simplest step is an evaluation with its gradients, which costs about three evaluations.
  const evaluation = plainStep / (3 * config.batchSize);
  const pictures = evaluation *
    evaluationsOfArtifacts({ run, config, data, source, drawable: drawableOf(network.averaged, source) });
  const pairs = from > 0 ? 0 : pairEvaluations(config, source.classes) * evaluation;
  const parts = [
    ...pairs > 0 ? [{ what: "drawing pairs", seconds: pairs }] : [],
    { what: "training", seconds: training },
    ...between.map(({ what, count, seconds }) => ({ what: `${count} ${what}`, seconds })),
    { what: "test loss and pictures", seconds: pictures },
  ];
  const all = parts.reduce((sum, { seconds }) => sum + seconds, 0);
  const epochs = (to - from) * config.batchSize / images.train.length;
  return {
    network: networkLine(prepared, device),
    weights: initial?.lines.join("; "),
    data: describeData(data),
    steps: `${(to - from).toLocaleString("en")} of ${config.batchSize} images${
      from > 0 ? `, from step ${from} on` : ""
    }: ${epochs.toPrecision(3)} epochs of ${images.train.length.toLocaleString("en")} images`,
    time: `about ${formatTime(all)}: ${
      parts.map(({ what, seconds }) => `${what} ${formatTime(seconds)}`).join(", ")
    }`,
    memory: `${gigabytes(device.allocatedBytes)} on the device`,
    files: `about ${gigabytes(bytesOf([{ parameters: network.size }], 0))} in ${run}: ${
      filesOfTraining({
        config,
        hasValidation: images.validation.length > 0,
        onGpu: device.kind === "webgpu",
      }).join(", ")
    }`,
  };
}

/** Evaluations of the teacher for the pairs of reflow, drawn by Heun's method; guidance doubles them. */
function pairEvaluations(config: TrainingConfig, classes: number): number {
  const each = classes > 0 && config.teacherGuidance !== 1 ? 4 : 2;
  return (stagesOf(config) ?? []).filter(({ name }) => name === "reflow")
    .reduce((sum, { settings: { pairs, steps } }) => sum + each * pairs * steps, 0);
}

/** Values stored for each parameter: four files of weights, and a state with weights, their average and two moments. */
const valuesOfParameter = 8;
/** Pictures, trajectories, judged samples and the report of a run of 28 x 28 pixels. */
const picturesBytes = 12 << 20;

/** Approximate bytes of the runs of cells, each with weights at some milestones. */
export function bytesOf(cells: readonly { readonly parameters: number }[], milestones: number): number {
  return cells.reduce(
    (sum, { parameters }) => sum + 4 * (valuesOfParameter + milestones) * parameters + picturesBytes,
    0,
  );
}
