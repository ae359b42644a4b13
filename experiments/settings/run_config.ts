/** The settings of a run as values: those of a training, or of a distillation. */

import { flowSolverOf, maxPaired } from "../../models/mod.ts";
import { integers, optional } from "../cli/kinds.ts";
import { ConfigError, defineSettings, flagOf, type Setting, type Values } from "../cli/settings.ts";
import { startCommand } from "../run/program_files.ts";
import { distillationSettings } from "./distillation.ts";
import { type PlannedStage, plannedStages, type StageSpec } from "./stages.ts";
import type { WeightsChoice } from "./network.ts";
import { trainingSettings } from "./training.ts";

/** Where a run starts. */
export type Start =
  | { readonly kind: "fresh" }
  | ({ readonly kind: "weights" } & WeightsChoice)
  | ResumedStart;

/** A run that goes on in its folder. */
export interface ResumedStart {
  readonly kind: "resume";
  readonly run: string;
  /** Its settings so far. */
  readonly earlier: RunConfig;
  /** Whether the user sets its learning rate, which else goes on without a jump. */
  readonly setsRate: boolean;
}

/** The length of a run. */
export interface RunLength {
  /** 0 is no limit, as in the other two. */
  readonly epochs: number;
  readonly steps: number;
  readonly minutes: number;
  /** How the steps of a run limited by minutes changed. */
  readonly replans: readonly Replan[];
}

/** A change of the length of a run that is limited by minutes. */
export interface Replan {
  /** The step after which the length changed. */
  readonly step: number;
  /** The steps of the run from then on. */
  readonly totalSteps: number;
}

/** A setting for the changes of a run's length, written as a list of step and length in turn. */
function replansSetting(doc: string): Setting<readonly Replan[], readonly number[]> {
  const { default: _, read: __, write: ___, ...numbers } = integers({
    doc,
    setByStudy: "--steps, or steps of the plan",
  });
  return {
    ...numbers,
    read: (list) =>
      Array.from({ length: Math.floor(list.length / 2) }, (_, i) => {
        return { step: list[2 * i], totalSteps: list[2 * i + 1] };
      }),
    write: (replans) => replans.flatMap(({ step, totalSteps }) => [step, totalSteps]),
  };
}

const { config: _, ...recorded } = trainingSettings;

/** The fields of `config.json`, for both kinds of run. */
export const fields = defineSettings({
  ...recorded,
  ...distillationSettings,
  replans: optional(
    replansSetting("steps at which a run limited by minutes changed its length, each with the new length"),
  ),
});

/** The settings of a run by field of `config.json`. */
export type Fields = Values<typeof fields.rows>;

/** What a distillation has besides the settings of a training. */
export interface Distillation {
  /** The file of the network to distil, or its run. */
  readonly teacher: string;
  readonly stages: readonly StageSpec[];
  /** Guidance of the teacher, which the flow map learns. */
  readonly teacherGuidance: number;
  /** The flow map takes guidance from 1 to this as an input; 1 is none. */
  readonly maxGuidance: number;
}

type Grouped =
  | ("init" | "resume")
  | ("epochs" | "maxSteps" | "maxMinutes" | "replans")
  | keyof typeof distillationSettings;

/** The settings of a run. */
export interface RunConfig extends Omit<Fields, Grouped> {
  readonly start: Start;
  readonly length: RunLength;
  /** Null if it is a training. */
  readonly distillation: Distillation | null;
}

/** The settings of a run from its fields. @throws {ConfigError} if they contradict each other */
export function runConfig(given: Fields, where = ""): RunConfig {
  const problem = problemOf(given);
  if (problem !== undefined) throw new ConfigError(problem + where);
  const {
    init,
    resume: _,
    epochs,
    maxSteps,
    maxMinutes,
    replans,
    teacher,
    stages,
    teacherGuidance,
    maxGuidance,
    ...settings
  } = given;
  return {
    ...settings,
    start: init === null ? { kind: "fresh" } : { kind: "weights", ...init },
    length: { epochs, steps: maxSteps, minutes: maxMinutes, replans: replans ?? [] },
    distillation: teacher === null ? null : { teacher, stages: stages!, teacherGuidance, maxGuidance },
  };
}

/** The fields of a run; the inverse of {@linkcode runConfig}. */
export function fieldsOfRun({ start, length, distillation, ...settings }: RunConfig): Fields {
  const { teacher, stages, teacherGuidance, maxGuidance } = distillation ?? {
    teacher: null,
    stages: null,
    teacherGuidance: 1,
    maxGuidance: 1,
  };
  return {
    ...settings,
    init: weightsOf(start),
    resume: null, // no run is resumed because a file says so
    epochs: length.epochs,
    maxSteps: length.steps,
    maxMinutes: length.minutes,
    replans: length.replans.length > 0 ? length.replans : null,
    teacher,
    stages,
    teacherGuidance,
    maxGuidance,
  };
}

function weightsOf(start: Start): Fields["init"] {
  if (start.kind === "weights") return { source: start.source, sha256: start.sha256 };
  return start.kind === "resume" ? weightsOf(start.earlier.start) : null;
}

/** The stages of a run with their steps; undefined if it is not a distillation. */
export function stagesOf(
  { distillation, batchSize, length }: Pick<RunConfig, "distillation" | "batchSize" | "length">,
): readonly PlannedStage[] | undefined {
  return distillation ? plannedStages(distillation.stages, batchSize, length.steps) : undefined;
}

/** The settings that end a run. */
export const ends = ["epochs", "maxSteps", "maxMinutes"] as const;

/** Why a run cannot have these settings together, if it cannot. */
function problemOf(settings: Fields): string | undefined {
  const { model, filters, attn, groups, timeEmbedding, tEmb, batchSize, schedule, valFraction } = settings;
  if (model.kind === "unet") {
    const isNormalised = (level: number) => {
      return model.name === "residual" || (attn && level === filters.length - 1);
    };
    const undivided = filters.findIndex((channels, i) => isNormalised(i) && channels % groups !== 0);
    if (undivided >= 0) {
      const reason = model.name === "residual"
        ? "the residual model normalises every level"
        : "--attn normalises the last";
      return `Cannot use --groups ${groups} with --filters ${filters}: ` +
        `${groups} does not divide ${filters[undivided]}, the channels of level ${undivided + 1} ` +
        `(${reason}; expected multiples of ${groups}, or other --groups)`;
    }
    if (timeEmbedding === "sinusoidal" && tEmb % 2 !== 0) {
      return `Cannot use --time-embedding sinusoidal with --t-emb ${tEmb}: the features of t are pairs of sine and ` +
        "cosine (expected an even number)";
    }
  }
  if (settings.teacher !== null && settings.stages === null) {
    return "Cannot distil without stages: they are null (expected stages such as pairs+drift)";
  }
  if (ends.every((name) => settings[name] === 0)) {
    return `Cannot train without an end: ${ends.map(flagOf).join(", ")} are all 0 (expected one above 0)`;
  }
  if (settings.coupling.value.sees !== undefined && batchSize > maxPaired) {
    return `Cannot use --coupling ${settings.coupling.text} with --batch-size ${batchSize}: pairing more would take ` +
      `longer than a step (expected at most ${maxPaired})`;
  }
  if (flowSolverOf(settings.solver.how.solver).needsMap && settings.teacher === null) {
    return `Cannot use --solver ${settings.solver.text}: only a distilled network can take such steps ` +
      `(see ${startCommand("distill")})`;
  }
  if (schedule === "plateau" && valFraction === 0) {
    return "Cannot use --schedule plateau with --val-fraction 0: it follows the validation loss (expected above 0)";
  }
}
