import { basename } from "node:path";
import { couplings } from "../../models/flow/coupling.ts";
import { predictions } from "../../models/flow/prediction.ts";
import { timeDistributions } from "../../models/flow/time_distribution.ts";
import { fieldProblem } from "../run/field_checks.ts";
import { readJson } from "../run/contained.ts";
import { ConfigError, didYouMean } from "../settings/setting.ts";
import type { PresetName } from "../settings/training.ts";
import { usualSolvers } from "../solvers.ts";
import { nearestOf } from "../tracking/find_run.ts";
import {
  type CellSettings,
  completePlan,
  type GivenPlan,
  givenPlanFields,
  type Plan,
  type Value,
} from "./plan.ts";
import { findStudy, requireStudy } from "./study.ts";

/** A plan of the repository. */
interface BuiltInPlan extends Omit<GivenPlan, "name"> {
  /** The question that it answers, one line of `--help`. */
  readonly doc: string;
}

/** Each part of the objective. */
const objectives = { coupling: couplings, times: timeDistributions, prediction: predictions };

/** The plans of the repository by name. */
export const plans: Readonly<Record<string, BuiltInPlan>> = {
  networks: {
    doc: "base against residual, attention on and off, at the same widths and matched",
    grid: { model: ["base", "residual"], attn: [false, true] },
    cells: ["parameters", "arithmetic", "time"].flatMap((match) =>
      [false, true].map((attn): CellSettings => ({ model: "base", attn, match }))
    ),
  },
  default_run: {
    doc: "base against residual at widths and length of a default run, and at equal arithmetic",
    grid: { model: ["base", "residual"] },
    cells: [{ model: "base", match: "arithmetic" }],
    budget: { steps: 5000 },
    evaluation: { count: 2000 },
  },
  objectives: {
    doc: "couplings, distributions of t and predictions, each varied alone",
    cells: [
      {},
      ...Object.entries(objectives).flatMap(([setting, registry]) =>
        Object.keys(registry).map((name): CellSettings => ({ [setting]: name }))
      ),
    ],
    fixed: { model: "residual" },
    evaluation: {
      guidance: 1, // a guided evaluation counts twice
      solvers: [1, 2, 4, 8, 32].map((steps) => `heun:steps=${steps}`), // 2, 4, 8, 16 and 64 evaluations
    },
  },
  groups: {
    doc: "groups of the normalisations; with one channel a group, level 1 does not see t",
    grid: { groups: [1, 2, 4, 8] },
    fixed: { model: "residual", filters: "8,16,32" },
  },
  solvers: {
    doc: "solvers of the flow: quality of samples against evaluations of the network",
    cells: [{}],
    fixed: { model: "residual" },
    evaluation: { guidance: 1, solvers: usualSolvers },
  },
  widths: {
    doc: "how quality grows with parameters and images",
    grid: { filters: ["8,16,32", "12,24,48", "16,32,64", "24,48,96"], share: [0.25, 0.5, 1] },
    fixed: { model: "residual", groups: 4 },
  },
};

/** Names of the plans of the repository. */
export const planNames: readonly string[] = Object.keys(plans);

/** What a command line changes in a plan; null is no change. */
export interface PlanFlags {
  /** A plan of the repository, the path of a JSON file, or the folder of a study; undefined for an empty plan. */
  readonly plan: string | undefined;
  readonly preset: PresetName | null;
  /** Such as `model=base|residual;attn=true|false`. */
  readonly grid: string | null;
  /** Such as `filters=8,16,32;batchSize=64`. */
  readonly fixed: string | null;
  readonly seeds: number | null;
  readonly steps: number | null;
  readonly minutes: number | null;
  readonly count: number | null;
  readonly guidance: number | null;
  readonly milestones: number | null;
  /** With `;` between them. */
  readonly solvers: string | null;
}

/**
 * Finds the plan that a command line names, and changes it by the flags.
 *
 * @returns the plan, and the folder of its study if a study is named
 * @throws {ConfigError} if there is no such plan, or it cannot be used
 * @throws {RunError} if its file cannot be read
 */
export async function findPlan(flags: PlanFlags, root?: string): Promise<{ plan: Plan; folder?: string }> {
  const { plan: named } = flags;
  const complete = (name: string, given: GivenPlan) => completePlan(name, changed(given, flags));
  if (named === undefined) return { plan: complete("grid", {}) };
  if (Object.hasOwn(plans, named)) {
    const { doc: _, ...plan } = plans[named];
    return { plan: complete(named, plan) };
  }
  const folder = await findStudy(named, root);
  if (folder !== undefined) {
    const { plan } = await requireStudy(folder);
    return { plan: complete(plan.name, plan), folder };
  }
  if (await Deno.stat(named).then(({ isFile }) => isFile, () => false)) {
    const { name, ...plan } = await readPlan(named);
    return { plan: complete(name, plan) };
  }
  throw new ConfigError(
    `Cannot find the plan ${named}: there is no such plan, file or folder of a study${
      nearestOf(named, planNames)
    }`,
  );
}

/**
 * Reads a plan from a JSON file.
 *
 * @throws {ConfigError} if a field is unknown, or not what it must be
 * @throws {RunError} if the file cannot be read
 */
async function readPlan(path: string): Promise<GivenPlan & { name: string }> {
  const json = await readJson(path) ?? {};
  const unknown = Object.keys(json).find((field) => !Object.hasOwn(givenPlanFields, field));
  if (unknown !== undefined) {
    throw new ConfigError(
      `Unknown field ${unknown} in ${path}${didYouMean(unknown, Object.keys(givenPlanFields))}`,
    );
  }
  const plan = { name: basename(path).replace(/\.json$/, ""), ...json };
  const problem = fieldProblem(plan, givenPlanFields);
  if (problem === undefined) return plan;
  throw new ConfigError(`Cannot use the plan ${path}: ${problem}`);
}

function changed(plan: GivenPlan, flags: PlanFlags): GivenPlan {
  const { preset, grid, fixed, seeds, steps, minutes, count, guidance, milestones, solvers } = flags;
  return {
    ...plan,
    ...preset !== null && { preset },
    ...grid !== null && { grid: { ...plan.grid, ...gridOf(grid) } },
    ...fixed !== null && { fixed: { ...plan.fixed, ...fixedOf(fixed) } },
    ...seeds !== null && { seeds: Array.from({ length: seeds }, (_, i) => i + 1) },
    ...steps !== null && { budget: { steps } },
    ...minutes !== null && { budget: { minutes } },
    evaluation: {
      ...plan.evaluation,
      ...count !== null && { count },
      ...guidance !== null && { guidance },
      ...milestones !== null && { milestones },
      ...solvers !== null &&
        { solvers: solvers.split(";").map((spec) => spec.trim()).filter((spec) => spec !== "") },
    },
  };
}

function gridOf(text: string): Plan["grid"] {
  const pairs = pairsOf(text, "--grid");
  return Object.fromEntries(pairs.map(([name, values]) => [name, values.split("|").map(valueOf)]));
}

function fixedOf(text: string): CellSettings {
  return Object.fromEntries(pairsOf(text, "--fixed").map(([name, value]) => [name, valueOf(value)]));
}

function pairsOf(text: string, flag: string): [name: string, value: string][] {
  const pairs = text.split(";").map((pair): [string, string] => {
    const at = pair.indexOf("=");
    return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
  });
  const names = pairs.map(([name]) => name);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice === undefined) return pairs;
  throw new ConfigError(`Cannot use ${flag} ${text}: ${twice} is given twice (expected each setting once)`);
}

function valueOf(text: string): Value {
  return text === "true" ? true : text === "false" ? false : text;
}
