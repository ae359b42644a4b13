import { join } from "node:path";
import { yieldToEvents } from "../../kernels/devices/device.ts";
import { formatTime, gigabytes, printDryRun } from "../cli/output.ts";
import { describeData } from "../data/dataset.ts";
import { drawableOf } from "../draw/samples.ts";
import { filesOfTraining } from "../run/files.ts";
import { checkEmptyFolder } from "../run/run_folder.ts";
import type { RunConfig } from "../settings/run_config.ts";
import { evaluationsAfter } from "./artifacts.ts";
import { TrainingLoop } from "./loop.ts";
import { prepareTraining } from "./prepare_training.ts";
import { networkLine, type RunTrainingOptions } from "./run_training.ts";

/** Seconds of steps that are timed, after as many that are not: kernels are compiled and optimised. */
const trialSeconds = 2;

/** About how many evaluations of the network take as long as training on an image. */
const evaluationsPerImage = 2.5;

type PlanOptions = Required<Pick<RunTrainingOptions, "device" | "say" | "terminal" | "signal">>;

/**
 * Prepares a run and times a few of its steps (if it is resumed, of its rest); undefined if stopped.
 *
 * @returns the run, its steps, their seconds, and those before and after training
 */
export async function timeTraining(settings: RunConfig, { device, say, terminal, signal }: PlanOptions) {
  const prepared = await prepareTraining(device, settings, { say, terminal });
  const startSeconds = performance.now() / 1000; // since the program began
  const { config, name, network, source } = prepared;
  const { start } = config;
  const earlier = start.kind === "resume" ? start.run : undefined;
  const run = earlier ?? config.out ?? join("runs", `<time>-${name}`);
  using loop = new TrainingLoop(prepared, { run, keepAt: [], signal, say, onSettings: async () => {} });
  const from = start.kind === "resume" ? await loop.resume(start) : 0;
  const { stages, totalSteps } = loop.schedule;

  // Each stage of a distillation has steps of its own.
  let seconds = 0;
  let perStep = 0;
  for (const { from: begin, steps } of stages ?? [{ from, steps: totalSteps - from }]) {
    perStep = await loop.secondsPerStep(begin, trialSeconds / (stages?.length ?? 1));
    if (steps < Infinity) seconds += Math.max(0, Math.min(steps, begin + steps - from)) * perStep;
    await yieldToEvents();
    if (signal.aborted) return undefined;
  }
  const { minutes } = config.length;
  const left = minutes > 0 ? Math.floor((minutes * 60 - loop.elapsedSeconds) / perStep) : Infinity;
  const steps = Math.min(totalSteps - from, left);
  const trained = { ...prepared, run, drawable: drawableOf(network.averaged, source), steps: from + steps };
  return {
    prepared,
    run,
    from,
    steps,
    startSeconds,
    seconds: seconds > 0 ? seconds : steps * perStep,
    endSeconds: evaluationsAfter(trained) * perStep / config.batchSize / evaluationsPerImage,
  };
}

/** Times a few steps of a run, and prints what it would do. Returns false if stopped. */
export async function printTrainingPlan(settings: RunConfig, options: PlanOptions): Promise<boolean> {
  const { start, out } = settings;
  if (start.kind !== "resume" && out !== null) await checkEmptyFolder(out, " as run folder");
  const timed = await timeTraining(settings, options);
  if (!timed) return false;
  const { prepared, run, from, steps, startSeconds, seconds, endSeconds } = timed;
  const { config, data, images, initial } = prepared;
  const { device } = options;
  const epochs = steps * config.batchSize / images.train.length;
  printDryRun({
    network: networkLine(prepared, device),
    weights: initial?.lines.join("; "),
    data: describeData(data),
    steps: `${steps.toLocaleString("en")} of ${config.batchSize} images${
      from > 0 ? `, from step ${from} on` : ""
    }: ${epochs.toPrecision(3)} epochs of ${images.train.length.toLocaleString("en")} images`,
    time: `about ${formatTime(startSeconds + seconds + endSeconds)}: ${formatTime(seconds)} of training, ` +
      `${formatTime(endSeconds)} of measuring and drawing after it`,
    memory: `${gigabytes(device.allocatedBytes)} on the device`,
    files: `${run}: ${
      filesOfTraining({
        config,
        hasValidation: images.validation.length > 0,
        onGpu: device.kind === "webgpu",
      }).join(", ")
    }`,
  });
  return true;
}
