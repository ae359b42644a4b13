import { join } from "node:path";
import { findContained } from "./contained.ts";

/** File names of a run folder, each defined only here. Paths are relative to the folder, with `/`. */

/** Files with a fixed name. */
export const runFile = {
  /** The run's identity and status. */
  record: "run.json",
  /** Its settings. */
  config: "config.json",
  /** Machine and code of the first session. */
  environment: "environment.json",
  /** The chosen kernels, on devices with a choice. */
  kernels: "kernels.json",
  /** Metrics, one line per measurement. */
  metrics: "metrics.jsonl",
  /** The checkpoint of `--resume`. */
  state: "state.safetensors",
  /** The final grid of samples. */
  samples: "samples.png",
  /** Samples from the same noise with few evaluations and many. */
  fewSteps: "few_steps.png",
  /** Trajectories of many samples, projected to a plane. */
  paths: "flow/paths.safetensors",
  /** Test loss in bins of t. */
  lossByTime: "loss_by_time.json",
  /** Quality of the network, as measured by `deno task evaluate`. */
  evaluation: "evaluation.json",
  /** Samples by the judge's confidence, with their nearest training images. */
  judged: "judged.safetensors",
  /** The judge of the evaluation, for the report's page. */
  judge: "judge.safetensors",
  /** The judge's features of test images, for the report's page. */
  reference: "reference.safetensors",
  /** Some test images, for the report's page. */
  examples: "examples.safetensors",
  /** Quality against evaluations for each solver, as measured by `deno task solvers`. */
  solvers: "solvers.json",
  /** The network that a distilled run started from. */
  teacher: "teacher.safetensors",
  /** The program of a custom network. */
  network: "network.json",
  report: "report.html",
  /** The plan and the cells of a study. */
  study: "study.json",
  /** How much of the run an MLflow server has. */
  cursor: "mlflow.json",
  /** With a generation, such as `.lock.1`, while a program works on the run. */
  lock: ".lock",
} as const;

/** Folders in a run folder. */
export const runFolder = {
  /** Grids of samples during training. */
  samples: "samples",
  /** Trajectories of samples. */
  flow: "flow",
  /** Averaged weights after requested steps. */
  weights: "weights",
  /** Images that a teacher drew, for reflow. */
  pairs: "pairs",
  /** Run folders of a study's cells. */
  cells: "cells",
} as const;

/** Weights that a run keeps: last step, lowest validation loss, averaged, and averaged early in training. */
export type WeightsName = "last" | "best" | "ema" | "early";

/** The file of weights, e.g. `ema.safetensors`. */
export function weightsFile(name: WeightsName): string {
  return `${name}.safetensors`;
}

/** Averaged weights after a step, e.g. `weights/step_000500.safetensors`. */
export function weightsAtFile(step: number): string {
  return `${runFolder.weights}/${stepName(step)}.safetensors`;
}

/** The grid of samples at a step, e.g. `samples/step_000400.png`. */
export function sampleGridFile(step: number): string {
  return `${runFolder.samples}/${stepName(step)}.png`;
}

function stepName(step: number): string {
  return `step_${String(step).padStart(6, "0")}`;
}

/** The trajectory of a sample, counted from 1: `flow/sample_1.safetensors`. */
export function flowFile(sample: number | "<k>"): string {
  return `${runFolder.flow}/sample_${sample}.safetensors`;
}

/** A file of pairs, counted from 0: `pairs/part_0000.safetensors`. */
export function pairsFile(part: number): string {
  return `${runFolder.pairs}/part_${String(part).padStart(4, "0")}.safetensors`;
}

/** Whether a path is that of a sample's trajectory. */
export function isFlowFile(path: string): boolean {
  return /^flow\/sample_[1-9]\d*\.safetensors$/.test(path);
}

/** The animation of the trajectories, e.g. `flow_linear.gif`. */
export function flowAnimationFile(pacing: string): string {
  return `flow_${pacing}.gif`;
}

/** Lines of `metrics.jsonl` replaced by a session that resumed at a time (ms since 1970). */
export function replacedMetricsFile(time: number): string {
  return `metrics-replaced-${time}.jsonl`;
}

/** Whether a file of a run holds replaced lines of `metrics.jsonl`. */
export function isReplacedMetricsFile(name: string): boolean {
  return /^metrics-replaced-\d+\.jsonl$/.test(name);
}

/** An evaluation of a time (ms since 1970) that another one has replaced. */
export function replacedEvaluationFile(time: number): string {
  return `evaluation-replaced-${time}.json`;
}

/** Machine and code of a session that resumed at a time (ms since 1970). */
export function resumedEnvironmentFile(time: number): string {
  return `environment-resumed-${time}.json`;
}

/** Weights in order of preference: averaged if the run keeps an average, else last. */
const names = [weightsFile("ema"), weightsFile("last")];

/** A checkpoint and its size in bytes. */
export interface RunWeights {
  readonly path: string;
  readonly size: number;
}

/**
 * Finds the weights of a run to draw with.
 *
 * @returns undefined if there are none
 * @throws {RunError} if the folder cannot be read, or a link in it leads out of it
 */
export function findWeights(run: string): RunWeights | undefined {
  for (const name of names) {
    const found = find(run, name);
    if (found) return found;
  }
  return undefined;
}

/**
 * Finds the early weights of a run, see `autoguided`.
 *
 * @returns undefined if the run has none
 * @throws as {@linkcode findWeights}
 */
export function findEarlyWeights(run: string): RunWeights | undefined {
  return find(run, weightsFile("early"));
}

function find(run: string, name: string): RunWeights | undefined {
  const path = join(run, name);
  const found = findContained(path);
  return found && { path, size: found.size };
}

/** Why a run without weights cannot be used, for messages. */
export const noWeights = `it has no ${names.join(" or ")}`;
