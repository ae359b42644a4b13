/** Made-up studies: nothing was trained. */

import type { CellResult } from "../../../../experiments/study/cell_result.ts";
import type { CellSettings, Plan } from "../../../../experiments/study/plan.ts";
import { setupsOf, summarize, type Summary } from "../../../../experiments/study/results/summary.ts";
import type { Cell } from "../../../../experiments/study/study.ts";

/** A plan of two networks. */
export const plan: Plan = {
  name: "networks",
  preset: "quick",
  grid: { model: ["base", "residual"] },
  cells: [],
  fixed: { filters: "8,16" },
  seeds: [1, 2, 3],
  budget: { steps: 1000 },
  evaluation: {
    count: 500,
    seed: 7,
    solver: null,
    guidance: null,
    courseImages: 0,
    bitsImages: 0,
    milestones: 0,
    solvers: [],
  },
};

/** A setup and the Fréchet distance of each finished seed, counted from 1; undefined is a run that is not finished. */
export interface MadeUpSetup {
  readonly settings: CellSettings;
  /** Default: the settings. */
  readonly asked?: CellSettings;
  readonly frechet: readonly (number | undefined)[];
  readonly parameters?: number;
  readonly multiplyAdds?: number;
  /** More of the result of each seed. */
  readonly more?: (seed: number, frechet: number) => Partial<CellResult>;
}

/** Base and residual networks with a clear difference. */
export const twoNetworks: readonly MadeUpSetup[] = [
  { settings: { model: "base" }, frechet: [24, 25.1, 23.9], parameters: 1000, multiplyAdds: 50_000 },
  { settings: { model: "residual" }, frechet: [14.1, 15.4, 13], parameters: 4000, multiplyAdds: 230_000 },
];

/** The cells of made-up setups, and the results of those that are finished. */
export function madeUp(setups: readonly MadeUpSetup[]): { cells: Cell[]; results: CellResult[] } {
  const cells: Cell[] = [];
  const results: CellResult[] = [];
  for (
    const { settings, asked = settings, frechet, parameters = 1000, multiplyAdds = 50_000, more } of setups
  ) {
    for (const [i, value] of frechet.entries()) {
      const [seed, id] = [i + 1, `${Object.values(settings).join("-").replaceAll(",", "-")}-s${i + 1}`];
      cells.push({ id, asked, settings, seed, steps: 1000, parameters, multiplyAdds });
      if (value === undefined) continue;
      const figures = { frechet: value, confident: 0.9 - value / 100, test_loss: 0.17 + value / 1000 };
      const measured = { images: 32_000, seconds: 60 + i, figures };
      results.push({
        cell: id,
        settings,
        seed,
        parameters,
        multiplyAdds,
        ...measured,
        ...more?.(seed, value),
      });
    }
  }
  return { cells, results };
}

/** What made-up setups sum up to. */
export function summaryOf(setups: readonly MadeUpSetup[]): Summary {
  const { cells, results } = madeUp(setups);
  return summarize(setupsOf(cells, results));
}
