import type { Launcher } from "./launch/launcher.ts";
import { local } from "./launch/local.ts";
import { slurm } from "./launch/slurm.ts";
import { mostMilestones } from "./plan.ts";
import { planNames, plans } from "./plans.ts";
import { anyOf, choice, integer, number, optional, path, text, toggle } from "../settings/kinds.ts";
import { ConfigError, flagOf, type Values } from "../settings/setting.ts";
import { defineSettings } from "../settings/settings.ts";
import { evaluating } from "../evaluate.ts";
import { launching } from "./launch/launch_flags.ts";
import { training } from "../settings/training.ts";

const settingsList = (hint: string, doc: string) =>
  optional(
    text({ doc, hint, pattern: /^[^=;]+=[^;]+(;[^=;]+=[^;]+)*$/, expected: `settings such as ${hint}` }),
  );
/** The launchers by name. */
export const launchers = { local, slurm } as const satisfies Readonly<Record<string, Launcher>>;

const launcherNames = Object.keys(launchers) as (keyof typeof launchers)[];

/** The settings of the task that runs studies. */
export const studying = defineSettings({
  preset: optional({ ...training.rows.preset, doc: "preset of all cells (else the plan's, else quick)" }),
  grid: settingsList(
    "model=base|residual;attn=true|false",
    "settings to vary, in all combinations, named as in config.json",
  ),
  fixed: settingsList("filters=8,16,32;batchSize=64", "settings of all cells, likewise"),
  seeds: optional(integer({ doc: "number of seeds: 1 to N (else the plan's, else 3)", min: 1, max: 1000 })),
  steps: optional(integer({ doc: "training steps of each cell (else the plan's, else 1000)", min: 1 })),
  minutes: optional(number({
    doc: "minutes of training of each cell instead, converted to steps by timing some",
    above: 0,
  })),
  count: optional({ ...evaluating.rows.count, doc: "samples of an evaluation (else the plan's, else 1000)" }),
  guidance: optional({
    ...evaluating.rows.guidance,
    doc: "guidance of evaluations, 1 = none (else the plan's, else the preset's)",
  }),
  milestones: optional(integer({
    doc: "how often quality is measured in training: after 1/2, 1/4, ... of it (else the plan's, else 0)",
    max: mostMilestones,
  })),
  solvers: optional(text({
    doc: "further solvers to sample each network with (else the plan's)",
    hint: "SPEC;...",
    pattern: /[^;\s]/,
    expected: "solvers such as heun:steps=8;dopri5:rtol=1e-2",
  })),

  out: optional(path("DIR", "folder of the study (else runs/study-NAME)")),
  launcher: choice(launcherNames, {
    doc: launcherNames.map((name) => `${name}: ${launchers[name].doc}`).join("; "),
    default: "local",
  }),
  dryRun: toggle({ doc: "print what would be run, and run nothing", default: false }),
  only: optional(text({
    doc: "run only these cells of the study in a folder",
    hint: "ID,ID,...",
    pattern: /^[\w.-]+(,[\w.-]+)*$/,
    expected: "ids of cells, such as base-s1,base-s2",
  })),
  collect: toggle({
    doc: "write table and report of the study in a folder, and run nothing",
    default: false,
  }),
  ...launching,
}, { preset: "Plan", out: "Run", profile: "On a Slurm cluster" });

/** The plans by name, for `--help`. */
export function plansHelp(): string {
  const rows = Object.entries(plans).map(([name, { doc }]) => `  ${name.padEnd(30)}${doc}`);
  return `Plans\n${rows.join("\n")}`;
}

/** What the command line of the task says. */
export type StudyWords = Values<typeof studying.rows> & {
  /** Name of a plan, path of one, or the folder of a study; undefined where flags make the plan. */
  readonly plan: string | undefined;
};

/** @throws {ConfigError} if there is no plan, or a flag has no effect */
export function resolveStudy(
  values: Partial<Values<typeof studying.rows>>,
  words: readonly string[],
): StudyWords {
  const config = studying.resolve(values);
  const plan = words[0];
  if (words.length > 1) {
    throw new ConfigError(`Cannot run ${words.length} plans: ${words.join(", ")} (expected one)`);
  }
  if (plan === undefined && config.grid === null) {
    throw new ConfigError(
      `Missing PLAN: name one (${anyOf(planNames)}), the path of one, the folder of a study, or give --grid`,
    );
  }
  if (config.steps !== null && config.minutes !== null) {
    throw new ConfigError("Cannot use --minutes with --steps: each is a budget (expected one of them)");
  }
  if (config.only !== null && config.collect) {
    throw new ConfigError("Cannot use --collect with --only: it runs no cell (expected one of them)");
  }
  const others = launcherNames.filter((name) => name !== config.launcher);
  for (const name of others) {
    const given = launchers[name].flags.find((flag) => flag in values);
    if (given === undefined) continue;
    throw new ConfigError(
      `Cannot use ${
        flagOf(given)
      } with --launcher ${config.launcher}: it has no effect there (expected --launcher ${name})`,
    );
  }
  const alone = config.only !== null ? "only" : config.collect ? "collect" : undefined;
  const kept: readonly string[] = ["only", "collect", "device", "threads", "mlflow", "experiment"];
  const idle = alone && Object.keys(values).find((name) => !kept.includes(name));
  if (idle) {
    throw new ConfigError(
      `Cannot use ${flagOf(idle)} with ${flagOf(alone)}: the study keeps its plan (leave it out)`,
    );
  }
  return { ...config, plan };
}
