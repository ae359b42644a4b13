/**
 * The files of a run folder, each named only here: tasks write them, `--dry-run` and `runs` list them, the mirror sends
 * them, the report shows them. Paths are relative to the folder, with `/`; `<step>` and the like stand for a number or a
 * word, see {@linkcode fileAt}, and a path that ends with `/` for all files of a folder.
 */

import type { RunConfig } from "../settings/run_config.ts";

/** The properties of a training run that determine which files it has. */
export interface RunOutline {
  readonly config: RunConfig;
  readonly hasValidation?: boolean;
  readonly onGpu?: boolean;
}

/** A row of the table. */
interface RunFileRow {
  readonly path: string;
  /** What is in it. */
  readonly about: string;
  /** Whether training writes it, by default always. */
  readonly when?: (outline: RunOutline) => boolean;
  /** When a server gets it, by default as soon as it changes; tensors, which change at every checkpoint, at the end. */
  readonly mirrored?: "at the end" | "never";
  /** The section of the report that shows it. */
  readonly report?: "flow" | "plane" | "few-steps" | "quality" | "solvers" | "training" | "settings";
}

const withSamples = ({ config }: RunOutline) => config.samples > 0;
const withFlow = ({ config }: RunOutline) => config.flowSamples > 0;

/** Files that resuming a run and other tasks write. */
const filesOfOthers = {
  resumedEnvironment: {
    path: "environment-resumed-<time>.json",
    about: "machine, versions and commit when resumed",
  },
  replacedMetrics: { path: "metrics-replaced-<time>.jsonl", about: "steps repeated when resumed" },
  weightsAt: { path: "weights/step_<step>.safetensors", about: "averaged weights after this step" },
  evaluation: { path: "evaluation.json", about: "figures of quality", report: "quality" },
  judged: {
    path: "judged.safetensors",
    about: "samples by the judges' confidence, each with its nearest training images",
    report: "quality",
  },
  judge: { path: "judge.safetensors", about: "the first judge", report: "flow" },
  reference: {
    path: "reference.safetensors",
    about: "features of test images by the first judge",
    report: "flow",
  },
  solvers: { path: "solvers.json", about: "sample quality against solver cost", report: "solvers" },
  study: { path: "study.json", about: "the plan and the cells of a study" },
  cells: { path: "cells/", about: "the runs of a study", mirrored: "never" },
  cursor: { path: "mlflow.json", about: "record of what a server has received", mirrored: "never" },
} as const satisfies Record<string, RunFileRow>;

/** The table, by name: what training writes, then the rest. */
export const files = {
  record: { path: "run.json", about: "what the run is, and how far it got", report: "training" },
  config: { path: "config.json", about: "all settings, for --config", report: "settings" },
  network: {
    path: "network.ts",
    about: "module of its network, as it was",
    when: ({ config }) => config.model.kind === "module",
  },
  environment: { path: "environment.json", about: "machine, versions, git commit", report: "settings" },
  kernels: { path: "kernels.json", about: "kernels used in training", when: ({ onGpu = false }) => onGpu },
  teacher: {
    path: "teacher.safetensors",
    about: "network that it was distilled from",
    when: ({ config }) => config.distillation !== null,
  },
  metrics: {
    path: "metrics.jsonl",
    about: "losses and other measurements, one line every few steps",
    mirrored: "at the end",
    report: "training",
  },
  ema: {
    path: "ema.safetensors",
    about: "averaged weights: the ones to sample from",
    when: ({ config }) => config.ema > 0,
    report: "flow",
  },
  best: {
    path: "best.safetensors",
    about: "averaged weights at the lowest validation loss",
    when: ({ hasValidation = false }) => hasValidation,
  },
  last: { path: "last.safetensors", about: "weights after the last step, not averaged" },
  early: {
    path: "early.safetensors",
    about: "averaged weights after a sixth of a run",
    when: ({ config }) => keepsEarly(config),
    report: "flow",
  },
  state: { path: "state.safetensors", about: "what --resume needs besides the weights" },
  pairs: {
    path: "pairs/part_<part>.safetensors",
    about: "images drawn by the teacher",
    when: ({ config }) => config.distillation?.stages.some(({ name }) => name === "pairs") === true,
    mirrored: "never",
  },
  sampleGrid: {
    path: "samples/step_<step>.png",
    about: "samples during training",
    when: (run) => withSamples(run) && run.config.sampleEpochs !== 0,
  },
  samples: { path: "samples.png", about: "samples at the end", when: withSamples, report: "training" },
  fewSteps: {
    path: "few_steps.png",
    about: "the same noise with 1, 2, 4, 8 and 19 evaluations",
    when: withSamples,
    report: "few-steps",
  },
  flow: {
    path: "flow/sample_<k>.safetensors",
    about: "x, velocity and t of a sample at each Euler step",
    when: withFlow,
    report: "flow",
  },
  flowAnimation: {
    path: "flow_<pacing>.gif",
    about: "stored samples as they emerge from noise",
    when: withFlow,
  },
  paths: {
    path: "flow/paths.safetensors",
    about: "trajectories of many samples, in a plane",
    when: ({ config }) => config.pathSamples > 0,
    report: "plane",
  },
  lossByTime: { path: "loss_by_time.json", about: "test loss in ten bins of t", report: "training" },
  report: { path: "report.html", about: "the report" },
  ...filesOfOthers,
} as const satisfies Record<string, RunFileRow>;

/** Whether a run keeps early weights, for autoguidance. */
export function keepsEarly({ conditional, guidance }: Pick<RunConfig, "conditional" | "guidance">): boolean {
  return conditional !== true && guidance !== 1;
}

/** The path of each file by name. */
export const runFile = Object.fromEntries(
  Object.entries(files).map(([name, { path }]) => [name, path]),
) as { readonly [Name in keyof typeof files]: typeof files[Name]["path"] };

/** Folders in a run folder. */
export const runFolder = {
  samples: "samples",
  flow: "flow",
  weights: "weights",
  pairs: "pairs",
  cells: "cells",
} as const;

/** What a mark in a path may be replaced by, and its minimum number of digits. */
const marks = {
  k: { pattern: "[1-9]\\d*", digits: 0 },
  step: { pattern: "\\d{6,}", digits: 6 },
  part: { pattern: "\\d{4,}", digits: 4 },
  /** Milliseconds since 1970. */
  time: { pattern: "\\d+", digits: 0 },
  pacing: { pattern: "\\w+", digits: 0 },
} as const;
type Mark = keyof typeof marks;

/** A path with a value in place of its mark: `fileAt(runFile.weightsAt, 500)` is `weights/step_000500.safetensors`. */
export function fileAt<Name extends Mark>(
  path: `${string}<${Name}>${string}`,
  value: number | string,
): string {
  return path.replace(/<(\w+)>/, (_, mark: Name) => String(value).padStart(marks[mark].digits, "0"));
}

/** Whether a path is that of a row, with any value for its mark. */
export function isRunFile(row: string, path: string): boolean {
  if (row.endsWith("/")) return path.startsWith(row);
  const parts = row.split(/<(\w+)>/).map((part, i) =>
    i % 2 ? marks[part as Mark].pattern : RegExp.escape(part)
  );
  return new RegExp(`^${parts.join("")}$`).test(path);
}

/** The rows of the table. */
export const rows: readonly RunFileRow[] = Object.values(files);

const rowOf = (path: string) => rows.find((row) => isRunFile(row.path, path));

/** What is in a file of a run; empty for files of other programs. */
export function aboutFile(path: string): string {
  return rowOf(path)?.about ?? "";
}

/** Where the report shows a file, as a link in the run folder; empty if it does not. */
export function shownIn(path: string): string {
  const section = rowOf(path)?.report;
  return section === undefined ? "" : `${runFile.report}#${section}`;
}

/** When a server gets a file. */
export function whenMirrored(path: string): "as it changes" | "at the end" | "never" {
  return rowOf(path)?.mirrored ??
    (path.endsWith(".safetensors") ? "at the end" : "as it changes");
}

/** Whether a training run has a file. */
export function hasFile(name: keyof typeof files, outline: RunOutline): boolean {
  const { when = () => true }: RunFileRow = files[name];
  return !Object.hasOwn(filesOfOthers, name) && when(outline);
}

/** The files that training leaves. */
export function filesOfTraining(outline: RunOutline): string[] {
  const names = (Object.keys(files) as (keyof typeof files)[]).filter((name) => hasFile(name, outline));
  return names.map((name) => runFile[name].replace("<pacing>", outline.config.pacing));
}
