import { accepted, ConfigError, shownValue } from "../settings/setting.ts";
import { makeSolver } from "../settings/solver.ts";
import { evaluating } from "../evaluate.ts";
import { shared } from "../settings/shared.ts";
import { plainSettings } from "./combinations.ts";
import { plainValue, settingOf } from "./cell_settings.ts";
import { mostMilestones } from "./milestones.ts";
import type { Plan, PlannedEvaluation } from "./plan.ts";

/** What a plan says; the rest has the usual values. */
export type GivenPlan = Partial<Omit<Plan, "evaluation">> & Pick<Plan, "name"> & {
  readonly evaluation?: Partial<PlannedEvaluation>;
};

/** What plans have that say nothing else. */
const usual = {
  preset: "quick",
  grid: {},
  cells: [],
  fixed: {},
  seeds: [1, 2, 3],
  budget: { steps: 1000 },
} as const satisfies Partial<Plan>;

const usualEvaluation: PlannedEvaluation = {
  ...{ count: 1000, seed: 0, courseImages: 64, bitsImages: 0, solvers: [] },
};

/**
 * Completes a plan, and checks its settings one by one: in their plain form, so that equal plans look the same.
 *
 * @throws {ConfigError} if a setting is unknown or a value cannot be used
 */
export function completePlan({ evaluation, ...given }: GivenPlan): Plan {
  const plan: Omit<Plan, "evaluation"> = { ...usual, ...given };
  const { name, fixed, cells, grid } = plan;
  const table = Object.entries(grid).map(([setting, values]) => {
    const plain = values.map((value) => plainValue(settingOf(setting, value, `the grid of ${name}`)));
    const twice = plain.find((value, i) => plain.indexOf(value) < i);
    if (twice === undefined) return [setting, plain] as const;
    throw new ConfigError(`Cannot use the grid of ${name}: ${setting} has ${twice} twice`);
  });
  const both = Object.keys(grid).find((setting) => setting in fixed);
  if (both !== undefined) {
    throw new ConfigError(
      `Cannot use ${both} of ${name}: the grid varies it, and it is fixed (expected one of them)`,
    );
  }
  for (const own of ["match", "share"]) {
    if (own in fixed) {
      throw new ConfigError(`Cannot fix ${own} in ${name}: it tells cells apart (expected it in them)`);
    }
  }
  return {
    ...plan,
    grid: Object.fromEntries(table),
    cells: cells.map((cell, i) => plainSettings(cell, `cell ${i + 1} of ${name}`)),
    fixed: plainSettings(fixed, `the fixed settings of ${name}`),
    seeds: checkedSeeds(plan.seeds, name),
    evaluation: checkedEvaluation({ ...usualEvaluation, ...evaluation }, name),
  };
}

function checkedSeeds(seeds: readonly number[], name: string): readonly number[] {
  const where = (seed: number) => `the seed ${JSON.stringify(seed)} of ${name}`;
  for (const seed of seeds) accepted(shared.seed, seed, where(seed));
  const twice = seeds.find((seed, i) => seeds.indexOf(seed) < i);
  if (twice !== undefined) throw new ConfigError(`Cannot use ${where(twice)}: it is given twice`);
  if (seeds.length > 0) return seeds;
  throw new ConfigError(`Cannot run the plan ${name}: it has no seeds (expected at least one)`);
}

function checkedEvaluation(evaluation: PlannedEvaluation, name: string): PlannedEvaluation {
  const { solvers, milestones = 0, ...rest } = evaluation;
  if (milestones > mostMilestones) {
    throw new ConfigError(
      `Cannot use ${milestones} milestones in the evaluation of ${name} (expected 0 to ${mostMilestones})`,
    );
  }
  for (const [setting, value] of Object.entries(rest)) {
    const row = evaluating.rows[setting as keyof typeof rest];
    accepted<unknown>(row, value, `${setting} ${shownValue(row, value)} in the evaluation of ${name}`);
  }
  [...solvers, ...evaluation.solver === undefined ? [] : [evaluation.solver]].forEach(makeSolver);
  const twice = solvers.find((spec, i) => solvers.indexOf(spec) < i);
  if (twice === undefined) return evaluation;
  throw new ConfigError(`Cannot use the solvers of ${name}: ${twice} is given twice`);
}
