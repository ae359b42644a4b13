/** The plans of the repository, and those of command lines. */

import { basename, dirname, join } from "node:path";
import { couplings, predictions, timeDistributions } from "../../models/mod.ts";
import { ConfigError, didYouMean } from "../cli/settings.ts";
import { usualSolvers } from "../cli/solver.ts";
import { nameNetwork } from "../networks/own_network.ts";
import { anyOf } from "../run/field_checks.ts";
import { runFile } from "../run/files.ts";
import { readProgramFile } from "../run/program_files.ts";
import { readJson, writeAtomic } from "../run/run_folder.ts";
import { parseNetwork } from "../settings/network.ts";
import { type GivenPlan, type Plan, readPlan, type Value } from "./plan.ts";

interface BuiltInPlan extends Omit<GivenPlan, "name"> {
  /** What it compares, as one line of `--help`. */
  readonly doc: string;
}

/** The plans of the repository by name. */
export const plans: Readonly<Record<string, BuiltInPlan>> = {
  networks: {
    doc: "base against residual, with and without attention; base also as large, or as slow, as residual",
    grid: { model: ["base", "residual"], attn: [false, true] },
    cells: [
      { model: "base", attn: false, filters: [17, 33, 64] }, // as many parameters as residual
      { model: "base", attn: true, filters: [16, 28, 64] },
      { model: "base", attn: false, filters: [15, 27, 58] }, // as many multiply-adds
      { model: "base", attn: true, filters: [14, 27, 56] },
    ],
    fixed: { filters: [8, 16, 32] },
  },
  default_run: {
    doc:
      "base against residual at the widths and length of a default run; base also with as many multiply-adds",
    grid: { model: ["base", "residual"] },
    cells: [{ model: "base", filters: [28, 58, 115] }],
    steps: 5000,
    evaluation: { count: 2000 },
  },
  objectives: {
    doc: "couplings, distributions of t and predictions, varied one at a time",
    cells: [
      {},
      ...Object.keys(couplings).map((coupling) => ({ coupling })),
      ...Object.keys(timeDistributions).map((times) => ({ times })),
      ...Object.keys(predictions).map((prediction) => ({ prediction })),
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
    fixed: { model: "residual", filters: [8, 16, 32] },
  },
  solvers: {
    doc: "solvers of the flow: sample quality against network evaluations",
    cells: [{}],
    fixed: { model: "residual" },
    evaluation: { guidance: 1, solvers: usualSolvers },
  },
  few_steps: {
    doc: "ways to few evaluations: the mean rule, pairs, and both ways to drift, 19,200 images per method",
    grid: { stages: ["mean", "pairs", "pairs+drift:whole=100", "pairs+drift"] },
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
    grid: {
      filters: [[8, 16, 32], [12, 24, 48], [16, 32, 64], [24, 48, 96]],
      share: [0.25, 0.5, 1],
    },
    fixed: { model: "residual", groups: 4 },
  },
};

export const planNames: readonly string[] = Object.keys(plans);

/** What a command line changes in a plan; null leaves it. */
interface PlanFlags {
  readonly preset?: Plan["preset"] | null;
  /** Number of seeds, from 1 on. */
  readonly seeds?: number | null;
  readonly steps?: number | null;
  readonly count?: number | null;
}

/**
 * Finds a plan, changes it, and loads its custom networks.
 *
 * @param named a built-in plan, or the path of a JSON file; undefined for a plan of settings alone
 * @param settings as `NAME=VALUE`; one that has several values is varied
 */
export async function findPlan(
  named: string | undefined,
  settings: readonly string[] = [],
  { preset, seeds, steps, count }: PlanFlags = {},
): Promise<Plan> {
  const plan = await namedPlan(named);
  const grid = new Map(Object.entries(plan.grid));
  const fixed = new Map(Object.entries(plan.fixed));
  for (const [name, pairs] of Map.groupBy(settings.map(settingIn), ({ name }) => name)) {
    grid.delete(name);
    fixed.delete(name);
    const values = pairs.map(({ value }) => value);
    if (values.length > 1) grid.set(name, values);
    else fixed.set(name, values[0]);
  }
  const changed = readPlan({
    ...plan,
    preset: preset ?? plan.preset,
    seeds: seeds ? Array.from({ length: seeds }, (_, i) => i + 1) : plan.seeds,
    steps: steps ?? plan.steps,
    grid: Object.fromEntries(grid),
    fixed: Object.fromEntries(fixed),
    evaluation: { ...plan.evaluation, count: count ?? plan.evaluation.count },
  }, named ?? "the command line");
  const networks = [...changed.cells, changed.fixed].map(({ model }) => model);
  for (const model of [...changed.grid.model ?? [], ...networks]) {
    const network = parseNetwork(String(model));
    if (network?.kind === "module") await nameNetwork(network.file);
  }
  return changed;
}

const assignment = /^(\w+)=(.*)$/s;

/** Whether a word of a command line is a setting. */
export function isSetting(word: string): boolean {
  return assignment.test(word);
}

function settingIn(word: string): { readonly name: string; readonly value: Value } {
  const [, name, text] = assignment.exec(word)!;
  const isSwitch = text === "true" || text === "false";
  return { name, value: isSwitch ? text === "true" : text };
}

async function namedPlan(named: string | undefined): Promise<Plan> {
  if (named === undefined) return readPlan({ name: "grid" }, "the command line");
  if (Object.hasOwn(plans, named)) {
    const { doc: _, ...plan } = plans[named];
    if (plan.fixed?.teacher) await bringFile(String(plan.fixed.teacher));
    return readPlan({ name: named, ...plan }, named);
  }
  if (await Deno.stat(named).then(({ isFile }) => isFile, () => false)) {
    return readPlan({ name: basename(named, ".json"), ...await readJson(named) }, named);
  }
  if (await Deno.stat(join(named, runFile.config)).then(() => true, () => false)) {
    throw new ConfigError(
      `Cannot use ${named} as a plan: it is a run (compare runs with ./denow task runs A B)`,
    );
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
