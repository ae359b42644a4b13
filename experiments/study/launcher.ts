import { maxThreads } from "../../kernels/devices/cpu/thread_team.ts";
import { integer, line, optional, path, text } from "../cli/kinds.ts";
import type { Setting, Values } from "../cli/setting.ts";
import { defineSettings } from "../cli/settings.ts";
import { shared } from "../cli/shared.ts";
import type { Terminal } from "../cli/progress.ts";
import type { Cell, Study } from "./study.ts";

/** Exit code of `--only` if another program holds a cell: `EX_TEMPFAIL`, try again later. */
export const tryAgain = 75;

/** Seconds before its time limit at which a job saves. */
export const graceSeconds = 120;

/** Minimum time limit; with a shorter one, a job would hardly train before saving. */
const leastSeconds = 300;

const name = (hint: string, doc: string, pattern = /^\w[\w.-]*$/) =>
  optional(
    text({ doc, hint, pattern, expected: `a ${hint} such as those of your cluster: letters, digits, . _ -` }),
  );

/** Flags for the jobs of a study on a Slurm cluster; Slurm's defaults apply to everything else. */
export const slurmFlags = {
  profile: optional(
    path("FILE", 'settings of Slurm jobs as JSON; "setup" lists shell lines to start with'),
  ),
  partition: name("PARTITION", "partition of the jobs", /^\w[\w.-]*(,\w[\w.-]*)*$/),
  account: name("ACCOUNT", "account that the jobs are charged to"),
  qos: name("QOS", "quality of service of the jobs"),
  time: optional({
    ...text({
      doc: "time limit of a job; 2 minutes before it, the cell is saved and requeued",
      hint: "TIME",
      pattern: /./,
      expected:
        "at least 5 minutes as MINUTES, HOURS:MINUTES:SECONDS or DAYS-HOURS, such as 30, 4:00:00 or 2-12",
    }),
    accepts: (value): value is string =>
      typeof value === "string" && (secondsOfLimit(value) ?? 0) >= leastSeconds,
  }),
  gpus: optional(text({
    doc: "GPUs per cell",
    hint: "[TYPE:]N",
    pattern: /^([A-Za-z][\w.-]*:)?[1-9]\d{0,2}$/,
    expected: "a number such as 1, or a type with a number such as a100:1",
  })),
  cpus: optional(integer({ doc: "processors per job", min: 1, max: 4096 })),
  memory: optional(text({
    doc: "memory per job",
    hint: "SIZE",
    pattern: /^[1-9]\d{0,8}[KMGT]?$/,
    expected: "a size such as 8G or 500M; without a unit, it is in MB",
  })),
  constraint: optional(text({
    doc: "features that a node must have",
    hint: "FEATURES",
    pattern: /^[\w.,:&|*()[\]-]+$/,
    expected: "features such as a100 or a100|h100",
  })),
  maxTasks: optional(
    integer({ doc: "maximum number of cells that Slurm runs at a time", min: 1, max: 100_000 }),
  ),
} as const;

const { profile: _, ...jobRows } = slurmFlags;

/** The content of a profile: all flags except `--profile`, and the shell lines, which have no flag. */
export const slurmProfile = defineSettings({ ...jobRows, setup: shellLines() });

/** Settings of jobs; null means Slurm's default. */
export type JobSettings = Values<typeof slurmProfile.rows>;

/** Seconds of a time limit in one of Slurm's formats; undefined for other text. */
export function secondsOfLimit(text: string): number | undefined {
  const match = /^(?:(\d{1,3})-)?(\d{1,5})(?::(\d{1,2}))?(?::(\d{1,2}))?$/.exec(text);
  if (!match) return undefined;
  const [, days, ...rest] = match;
  const [first, second = 0, third] = rest.flatMap((part) => part === undefined ? [] : [Number(part)]);
  if (days !== undefined) return ((Number(days) * 24 + first) * 60 + second) * 60 + (third ?? 0);
  return third === undefined ? first * 60 + second : (first * 60 + second) * 60 + third;
}

function shellLines(): Setting<readonly string[]> {
  const { accepts } = line("LINE", "");
  return {
    doc: "shell lines to start a job with, such as module load",
    expected: "an array of lines of text",
    default: [],
    fromText: (text) => text,
    accepts: (value): value is readonly string[] => Array.isArray(value) && value.every(accepts),
  };
}

/** Settings for running the cells of a study, with any launcher. */
export const launching = {
  jobs: integer({ doc: "cells that the local launcher trains at a time", min: 1, max: 64, default: 1 }),
  device: shared.device,
  threads: optional(integer({
    doc: "threads of the CPU device per cell (default: its share of the cores)",
    min: 1,
    max: maxThreads,
  })),
  mlflow: {
    ...shared.mlflow,
    doc: "MLflow server to record the study on, with cells as nested runs (default: MLFLOW_TRACKING_URI)",
  },
  experiment: shared.experiment,
  ...slurmFlags,
} as const;

/** Settings that control how cells run. */
export type LaunchFlags = Values<typeof launching>;

export interface LaunchOptions {
  readonly flags: LaunchFlags;
  /** Ends the launch early; running cells save their state. */
  readonly signal: AbortSignal;
  /** Called with lines for the user. */
  readonly say: (message: string) => void;
  readonly terminal: Terminal;
}

/** A way to run the cells of a study. */
export interface Launcher {
  /** One line of `--help`. */
  readonly doc: string;
  /** The settings that affect only this launcher. */
  readonly flags: readonly (keyof LaunchFlags)[];
  /** Whether all cells have ended when `launch` returns, so that results can be collected. */
  readonly collects: boolean;
  /** Checks before planning that it can run cells at all. @throws {UserError} if it cannot */
  check?(options: LaunchOptions): Promise<void>;
  /** What `--dry-run` prints if cells are unfinished, such as the script to submit. */
  describe?(study: Study, unfinished: readonly Cell[], options: LaunchOptions): Promise<string>;
  /**
   * Runs cells, or hands them over to a scheduler.
   *
   * @param unfinished the cells without a result, in the order of the study
   * @returns ids of the cells that failed
   */
  launch(study: Study, unfinished: readonly Cell[], options: LaunchOptions): Promise<readonly string[]>;
}
