import { basename, dirname } from "node:path";
import { couplings, predictions, timeDistributions } from "../../models/mod.ts";
import { readJson, writeAtomic } from "../run/run_folder.ts";
import { anyOf } from "../run/field_checks.ts";
import { nameNetwork } from "../networks/own_network.ts";
import { ownModel } from "../cli/shared.ts";
import { readProgramFile } from "../run/program_files.ts";
import { ConfigError, didYouMean } from "../cli/settings.ts";
import { usualSolvers } from "../cli/solver.ts";
import { type CellSettings, type GivenPlan, type Plan, readPlan, type Value } from "./plan.ts";

interface BuiltInPlan extends Omit<GivenPlan, "name"> {
  /** What it compares, as one line of `--help`. */
  readonly doc: string;
}

const objectives = { coupling: couplings, times: timeDistributions, prediction: predictions };

/** The plans of the repository by name. */
export const plans: Readonly<Record<string, BuiltInPlan>> = {
  networks: {
    doc: "base against residual, with and without attention; base also as large, or as slow, as residual",
    grid: { model: ["base", "residual"], attn: [false, true] },
    cells: [
      { model: "base", attn: false, filters: "17,33,64" }, // as many parameters as residual
      { model: "base", attn: true, filters: "16,28,64" },
      { model: "base", attn: false, filters: "15,27,58" }, // as many multiply-adds
      { model: "base", attn: true, filters: "14,27,56" },
    ],
    fixed: { filters: "8,16,32" },
  },
  default_run: {
    doc:
      "base against residual at the widths and length of a default run; base also with as many multiply-adds",
    grid: { model: ["base", "residual"] },
    cells: [{ model: "base", filters: "28,58,115" }],
    steps: 5000,
    evaluation: { count: 2000 },
  },
  objectives: {
    doc: "couplings, distributions of t and predictions, varied one at a time",
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
    doc: "groups of the normalisations; with one channel per group, level 1 does not see t",
    grid: { groups: [1, 2, 4, 8] },
    fixed: { model: "residual", filters: "8,16,32" },
  },
  solvers: {
    doc: "solvers of the flow: sample quality against network evaluations",
    cells: [{}],
    fixed: { model: "residual" },
    evaluation: { guidance: 1, solvers: usualSolvers },
  },
  few_steps: {
    doc: "ways to few evaluations: flow maps by both rules, reflow and drift, 19,200 images per method",
    grid: { stages: ["bake+mean", "bake+shortcut", "reflow:whole=0.5", "reflow+drift"] },
    fixed: { model: "residual", teacher: "checkpoints/mnist_classes.safetensors", batchSize: 64 },
    steps: 300,
    evaluation: {
      count: 2000,
      solver: "map:steps=1",
      solvers: [1, 2, 4, 8].map((steps) => `map:steps=${steps}`),
    },
  },
  widths: {
    doc: "how quality grows with parameters and images",
    grid: { filters: ["8,16,32", "12,24,48", "16,32,64", "24,48,96"], share: [0.25, 0.5, 1] },
    fixed: { model: "residual", groups: 4 },
  },
};

export const planNames: readonly string[] = Object.keys(plans);

/** The flags that change a plan; null leaves it. */
export interface PlanFlags {
  readonly preset: Plan["preset"] | null;
  /** Number of seeds, from 1. */
  readonly seeds: number | null;
  readonly steps: number | null;
  readonly count: number | null;
}

/**
 * Finds a plan, changes it, and loads its custom networks.
 *
 * @param named a built-in plan, or the path of a JSON file; undefined for a plan of settings alone
 * @param settings as `NAME=VALUE`; one that has several values is varied
 * @throws {ConfigError} if there is no such plan, or it or a module cannot be used
 * @throws {RunError} if its file cannot be read
 */
export async function findPlan(
  named: string | undefined,
  settings: readonly string[] = [],
  { preset = null, seeds = null, steps = null, count = null }: Partial<PlanFlags> = {},
): Promise<Plan> {
  const plan = await namedPlan(named);
  const given = Map.groupBy(settings.map(settingIn), ([name]) => name);
  const values = [...given].map(([name, pairs]) => [name, pairs.map(([, value]) => value)] as const);
  const others = (all: object = {}) => Object.entries(all).filter(([name]) => !given.has(name));
  const [varied, fixed] = [
    values.filter(([, { length }]) => length > 1),
    values.filter(([, v]) => v.length === 1),
  ];
  const changed = readPlan({
    ...plan,
    ...preset !== null && { preset },
    ...seeds !== null && { seeds: Array.from({ length: seeds }, (_, i) => i + 1) },
    ...steps !== null && { steps },
    grid: Object.fromEntries([...others(plan.grid), ...varied]),
    fixed: Object.fromEntries([...others(plan.fixed), ...fixed.map(([name, [value]]) => [name, value])]),
    evaluation: { ...plan.evaluation, ...count !== null && { count } },
  }, named ?? "the command line");
  const models = [
    ...changed.grid.model ?? [],
    ...[changed.fixed, ...changed.cells].map(({ model }) => model),
  ];
  for (const own of models.flatMap((model) => ownModel(model) ?? [])) await nameNetwork(own.file);
  return changed;
}

/** Whether a word of a command line is a setting. */
export function isSetting(word: string): boolean {
  return /^\w+=/.test(word);
}

function settingIn(word: string): [name: string, value: Value] {
  const [, name, text] = /^(\w+)=(.*)$/s.exec(word)!;
  return [name, text === "true" ? true : text === "false" ? false : text];
}

async function namedPlan(named: string | undefined): Promise<GivenPlan> {
  if (named === undefined) return { name: "grid" };
  if (Object.hasOwn(plans, named)) {
    const { doc: _, ...plan } = plans[named];
    if (plan.fixed?.teacher) await bringFile(`${plan.fixed.teacher}`);
    return { name: named, ...plan };
  }
  if (await Deno.stat(named).then(({ isFile }) => isFile, () => false)) {
    return readPlan({ name: basename(named, ".json"), ...await readJson(named) }, named);
  }
  throw new ConfigError(
    `Cannot find the plan ${named}: there is no such plan, file or folder of a study` +
      (didYouMean(named, planNames) || ` (expected ${anyOf(planNames)}, the path of a plan, or NAME=VALUE)`),
  );
}

/** Copies a network of the repository to where a plan expects it, if the program runs elsewhere. */
async function bringFile(path: string): Promise<void> {
  if (await Deno.stat(path).then(() => true, () => false)) return;
  await Deno.mkdir(dirname(path), { recursive: true });
  await writeAtomic(path, await readProgramFile(path));
}
