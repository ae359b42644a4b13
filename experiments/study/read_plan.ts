import { basename } from "node:path";
import { fieldProblem, ifGiven } from "../run/field_checks.ts";
import { readJson } from "../run/read_file.ts";
import { ConfigError, didYouMean } from "../settings/setting.ts";
import type { StudyWords } from "./study_words.ts";
import { nearestOf } from "../tracking/find_run.ts";
import { completePlan, type GivenPlan } from "./complete_plan.ts";
import type { CellSettings, Plan, Value } from "./plan.ts";
import { eachOf, planChecks } from "./plan_checks.ts";
import { planNames, plans } from "./plans/plans.ts";
import { findStudy, requireStudy } from "./study_file.ts";

/** A plan, and the folder of the study that it stands in already, if it is that of one. */
export interface FoundPlan {
  readonly plan: Plan;
  readonly folder?: string;
}

/**
 * Finds the plan that a command line names, and changes it by the flags: a plan of the repository, the folder of a study,
 * or a JSON file.
 *
 * @throws {ConfigError} if there is no such plan, or it cannot be used
 * @throws {RunError} if its file cannot be read
 */
export async function findPlan(words: StudyWords, root?: string): Promise<FoundPlan> {
  const { plan: name } = words;
  if (name === undefined) return { plan: completePlan(changed({ name: "grid" }, words)) };
  if (Object.hasOwn(plans, name)) {
    const { doc: _, ...plan } = plans[name as keyof typeof plans];
    return { plan: completePlan(changed({ name, ...plan }, words)) };
  }
  const folder = await findStudy(name, root);
  if (folder !== undefined) {
    return { plan: completePlan(changed((await requireStudy(folder)).plan, words)), folder };
  }
  const isFile = await Deno.stat(name).then((info) => info.isFile, () => false);
  if (isFile) return { plan: completePlan(changed(await readPlan(name), words)) };
  throw new ConfigError(
    `Cannot find the plan ${name}: there is no such plan, file or folder of a study${
      nearestOf(name, planNames)
    }`,
  );
}

/**
 * Reads a plan from a JSON file.
 *
 * @throws {ConfigError} if a field is unknown or missing, or not what it must be
 * @throws {RunError} if the file cannot be read
 */
export async function readPlan(path: string): Promise<GivenPlan> {
  const json = await readJson(path) ?? {};
  const unknown = Object.keys(json).find((field) => !Object.hasOwn(planChecks, field));
  if (unknown !== undefined) {
    throw new ConfigError(
      `Unknown field ${unknown} in ${path}${didYouMean(unknown, Object.keys(planChecks))}`,
    );
  }
  const plan = { name: basename(path).replace(/\.json$/, ""), ...json };
  const problem = fieldProblem(plan, eachOf(planChecks, ifGiven));
  if (problem === undefined) return plan as GivenPlan;
  throw new ConfigError(`Cannot use the plan ${path}: ${problem}`);
}

/** A plan with what the flags say instead. */
function changed(plan: GivenPlan, words: StudyWords): GivenPlan {
  const { preset, grid, fixed, seeds, steps, minutes, count, guidance, milestones, solvers } = words;
  return {
    ...plan,
    ...preset !== null && { preset },
    ...grid !== null && { grid: { ...plan.grid, ...gridOf(grid) } },
    ...fixed !== null && { fixed: { ...plan.fixed, ...settingsOf(fixed) } },
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

/** Reads `model=base|residual;attn=true|false`. */
function gridOf(text: string): Plan["grid"] {
  const pairs = pairsOf(text, "--grid");
  return Object.fromEntries(pairs.map(([name, values]) => [name, values.split("|").map(valueOf)]));
}

/** Reads `filters=8,16,32;batchSize=64`. */
function settingsOf(text: string): CellSettings {
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
