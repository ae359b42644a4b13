import { basename, dirname } from "node:path";
import { couplings, predictions, timeDistributions } from "../../models/mod.ts";
import { readJson, writeAtomic } from "../run/run_folder.ts";
import { readProgramFile } from "../run/program_files.ts";
import { nameNetwork } from "../networks/own_network.ts";
import { ownModel } from "../cli/model_setting.ts";
import { ConfigError } from "../cli/setting.ts";
import { usualSolvers } from "../cli/solver.ts";
import { nearestOf } from "../tracking/find_run.ts";
import { type CellSettings, completePlan, type GivenPlan, type Plan, readPlan } from "./plan.ts";
import { findStudy, requireStudy } from "./study.ts";

interface BuiltInPlan extends Omit<GivenPlan, "name"> {
  /** What it compares, as one line of `--help`. */
  readonly doc: string;
}

const objectives = { coupling: couplings, times: timeDistributions, prediction: predictions };

/** The plans of the repository by name. */
export const plans: Readonly<Record<string, BuiltInPlan>> = {
  networks: {
    doc: "base against residual, with and without attention, at equal and at matched widths",
    grid: { model: ["base", "residual"], attn: [false, true] },
    cells: ["parameters", "arithmetic", "time"].flatMap((match) =>
      [false, true].map((attn): CellSettings => ({ model: "base", attn, match }))
    ),
  },
  default_run: {
    doc: "base against residual at the widths and length of a default run, and at equal arithmetic",
    grid: { model: ["base", "residual"] },
    cells: [{ model: "base", match: "arithmetic" }],
    budget: { steps: 5000 },
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
    budget: { steps: 300 },
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

/**
 * Finds a plan and applies changes to it.
 *
 * @param named a built-in plan, the path of a JSON file, or the folder of a study; undefined for an empty plan
 * @param changes replace its fields; grid, fixed settings and evaluation are merged
 * @param root the folder of runs
 * @returns the plan, and the folder of its study if a study is named
 * @throws {ConfigError} if there is no such plan, or it cannot be used
 * @throws {RunError} if its file cannot be read
 */
export async function findPlan(
  named: string | undefined,
  changes: GivenPlan = {},
  root?: string,
): Promise<{ plan: Plan; folder?: string }> {
  const folder = named === undefined || Object.hasOwn(plans, named)
    ? undefined
    : await findStudy(named, root);
  const plan = folder === undefined ? await readNamed(named) : (await requireStudy(folder)).plan;
  const changed = completePlan({
    ...plan,
    ...changes,
    grid: { ...plan.grid, ...changes.grid },
    fixed: { ...plan.fixed, ...changes.fixed },
    evaluation: { ...plan.evaluation, ...changes.evaluation },
  });
  return { plan: changed, ...folder !== undefined && { folder } };
}

/** Loads the custom networks in a plan, so that its cells can be planned. @throws {ConfigError} if one cannot be used */
export async function loadPlannedNetworks(
  { grid, fixed, cells }: Pick<GivenPlan, "grid" | "fixed" | "cells">,
): Promise<void> {
  const models = [...grid?.model ?? [], fixed?.model, ...(cells ?? []).map(({ model }) => model)];
  for (const own of models.map(ownModel)) if (own) await nameNetwork(own.file);
}

/** Copies a network of the repository to where a plan expects it, if the program runs elsewhere. */
async function bringFile(path: string): Promise<void> {
  if (await Deno.stat(path).then(() => true, () => false)) return;
  await Deno.mkdir(dirname(path), { recursive: true });
  await writeAtomic(path, await readProgramFile(path));
}

async function readNamed(named: string | undefined): Promise<Plan> {
  if (named === undefined) return readPlan({ name: "grid" }, "the flags");
  if (Object.hasOwn(plans, named)) {
    const { doc: _, ...plan } = plans[named];
    if (plan.fixed?.teacher) await bringFile(`${plan.fixed.teacher}`);
    return readPlan({ name: named, ...plan }, `the plan ${named}`);
  }
  if (await Deno.stat(named).then(({ isFile }) => isFile, () => false)) {
    return readPlan({ name: basename(named, ".json"), ...await readJson(named) }, named);
  }
  const nearest = nearestOf(named, planNames);
  throw new ConfigError(
    `Cannot find the plan ${named}: there is no such plan, file or folder of a study${nearest}`,
  );
}
