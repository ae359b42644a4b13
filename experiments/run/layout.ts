import { join } from "node:path";
import { findContained } from "./contained.ts";

/** The files of a run folder, every name once. Paths are relative to the folder, with `/`. */

/** Files that a run has at most one of. */
export const runFile = {
  /** What the run is, and its status. */
  record: "run.json",
  /** Its settings. */
  config: "config.json",
  /** The machine and the code of its first session. */
  environment: "environment.json",
  /** The kernels that it trains with, on a device that has a choice. */
  kernels: "kernels.json",
  /** What was measured, a line for each time. */
  metrics: "metrics.jsonl",
  /** What `--resume` continues from. */
  state: "state.safetensors",
  /** The grid of samples at the end. */
  samples: "samples.png",
  /** The trajectories of many samples in a plane. */
  paths: "flow/paths.safetensors",
  /** The test loss in bins of t. */
  lossByTime: "loss_by_time.json",
  /** How good the network is, as `deno task evaluate` measured it. */
  evaluation: "evaluation.json",
  /** Samples by the judge's confidence, each with the nearest training images. */
  judged: "judged.safetensors",
  /** The judge of the evaluation, for the report's page. */
  judge: "judge.safetensors",
  /** What the judge sees in test images, for the report's page. */
  reference: "reference.safetensors",
  /** Some test images, for the report's page. */
  examples: "examples.safetensors",
  /** Quality against evaluations for each solver, as `deno task solvers` measured it. */
  solvers: "solvers.json",
  report: "report.html",
  /** What an MLflow server has of the run. */
  cursor: "mlflow.json",
  /** Locked while a program works on the run. */
  lock: ".lock",
} as const;

/** Folders in a run folder. */
export const runFolder = {
  /** Grids of samples over the epochs. */
  samples: "samples",
  /** Trajectories of samples. */
  flow: "flow",
  /** Averaged weights at steps during training, if they were requested. */
  weights: "weights",
  /** Of a study: the runs nested in it. */
  cells: "cells",
} as const;

/** Weights that a run keeps: of the last step, of the lowest validation loss, averaged, and averaged early on. */
export type WeightsName = "last" | "best" | "ema" | "early";

/** The file of weights, e.g. `ema.safetensors`. */
export function weightsFile(name: WeightsName): string {
  return `${name}.safetensors`;
}

/** The averaged weights after a step, e.g. `weights/step_000500.safetensors`. */
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

/** Whether a path is that of a sample's trajectory. */
export function isFlowFile(path: string): boolean {
  return /^flow\/sample_[1-9]\d*\.safetensors$/.test(path);
}

/** The animation of the trajectories, e.g. `flow_linear.gif`. */
export function flowAnimationFile(pacing: string): string {
  return `flow_${pacing}.gif`;
}

/** The lines of `metrics.jsonl` that a session, resumed at a time in milliseconds since 1970, replaced. */
export function replacedMetricsFile(time: number): string {
  return `metrics-replaced-${time}.jsonl`;
}

/** Whether a file of a run is one of these. */
export function isReplacedMetricsFile(name: string): boolean {
  return /^metrics-replaced-\d+\.jsonl$/.test(name);
}

/** The machine and the code of a session, resumed at a time in milliseconds since 1970. */
export function resumedEnvironmentFile(time: number): string {
  return `environment-resumed-${time}.json`;
}

/** The weights of a run by preference: averaged over its last steps, or the last ones where it keeps no average. */
const names = [weightsFile("ema"), weightsFile("last")];

/** A checkpoint and its size in bytes. */
export interface RunWeights {
  readonly path: string;
  readonly size: number;
}

/**
 * Finds the weights to show of a run.
 *
 * @returns undefined where the run has none
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
 * @returns undefined where the run has not kept it
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

/** What a message says of a run without weights. */
export const noWeights = `it has no ${names.join(" or ")}`;
