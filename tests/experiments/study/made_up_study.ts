/** Made-up studies, without training. */

import { join } from "node:path";
import { writeExamples } from "../../../experiments/data/example_file.ts";
import { writeTrajectories } from "../../../experiments/draw/trajectories.ts";
import { type FinishedCell, writeCellResult } from "../../../experiments/study/cell_result.ts";
import type { CellSettings, Plan } from "../../../experiments/study/plan.ts";
import { summarizeStudy, type Summary } from "../../../experiments/study/summary.ts";
import { writeResults } from "../../../experiments/study/write_results.ts";
import { type Cell, cellFolder, writeStudy } from "../../../experiments/study/study.ts";
import { init } from "../../../kernels/mod.ts";
import { createModel, type ModelName, modelTypeOf, saveCheckpoint } from "../../../models/mod.ts";
import { withFolder } from "../../folder.ts";
import { madeUpFlow } from "../../viz/flow/made_up_flow.ts";

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

/** A setup and the Fréchet distance of each finished seed, counted from 1; undefined for an unfinished run. */
export interface MadeUpSetup {
  readonly settings: CellSettings;
  /** Defaults to the settings. */
  readonly asked?: CellSettings;
  readonly frechet: readonly (number | undefined)[];
  readonly parameters?: number;
  readonly multiplyAdds?: number;
  /** More fields of each seed's result. */
  readonly more?: (seed: number, frechet: number) => Partial<FinishedCell>;
}

/** Base and residual networks with a clear difference. */
export const twoNetworks: readonly MadeUpSetup[] = [
  { settings: { model: "base" }, frechet: [24, 25.1, 23.9], parameters: 1000, multiplyAdds: 50_000 },
  { settings: { model: "residual" }, frechet: [14.1, 15.4, 13], parameters: 4000, multiplyAdds: 230_000 },
];

/** The same by both judges, who rank the setups differently. */
export const judgedTwice: readonly MadeUpSetup[] = twoNetworks.map((setup) => ({
  ...setup,
  more: (_, frechet) => ({
    figures: {
      frechet,
      "vgg/frechet": 50 - frechet,
      confident: 0.9 - frechet / 100,
      velocity_error: 0.17 + frechet / 1000,
    },
  }),
}));

/** The cells of made-up setups, and the results of finished cells. */
export function madeUp(setups: readonly MadeUpSetup[]): { cells: Cell[]; results: FinishedCell[] } {
  const cells: Cell[] = [];
  const results: FinishedCell[] = [];
  for (
    const { settings, asked = settings, frechet, parameters = 1000, multiplyAdds = 50_000, more } of setups
  ) {
    for (const [i, value] of frechet.entries()) {
      const [seed, id] = [i + 1, `${Object.values(settings).join("-").replaceAll(",", "-")}-s${i + 1}`];
      cells.push({ id, asked, settings, seed, steps: 1000, parameters, multiplyAdds });
      if (value === undefined) continue;
      const figures = { frechet: value, confident: 0.9 - value / 100, velocity_error: 0.17 + value / 1000 };
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

/** The summary of made-up setups. */
export function summaryOf(setups: readonly MadeUpSetup[]): Summary {
  const { cells, results } = madeUp(setups);
  return summarizeStudy(cells, results);
}

/** The stored table of {@linkcode judgedTwice}. */
export const goldenTable = new URL("./golden_table.txt", import.meta.url);

const imageSize = [8, 8] as const;

/** Writes a study of made-up setups, with untrained networks on the current device. */
export async function writeMadeUpStudy(folder: string, setups: readonly MadeUpSetup[]): Promise<void> {
  const { cells, results } = madeUp(setups);
  const study = { folder, digest: "0".repeat(64), plan, cells };
  await Deno.mkdir(folder, { recursive: true });
  await writeStudy(study);
  for (const result of results) {
    const run = cellFolder(study, { id: result.cell });
    const { seed, settings } = result;
    const type = modelTypeOf(settings.model as ModelName);
    const config = { type, filters: [8, 16], tEmb: 8 };
    const info = { config, normalization: { scale: 2, shift: -1 }, imageSize };
    await Deno.mkdir(run, { recursive: true });
    await Deno.writeTextFile(
      join(run, "config.json"),
      JSON.stringify({ ...settings, seed, filters: [8, 16] }),
    );
    await Deno.writeFile(join(run, "ema.safetensors"), await saveCheckpoint(createModel(config, seed), info));
    const flows = [0, 1].map((k) => madeUpFlow(seed + k, 5, imageSize));
    await writeTrajectories(run, flows, { modelType: type, seed, solver: "euler", steps: 4 });
    const image = Float32Array.from({ length: 3 * 64 }, (_, i) => (i % 11) / 10);
    await writeExamples(run, { shape: [3, 1, ...imageSize], image });
    await writeCellResult(run, result);
  }
}

if (import.meta.main) {
  await init({ device: "cpu" });
  await withFolder(async (folder) => {
    await writeMadeUpStudy(folder, judgedTwice);
    await writeResults(folder);
    await Deno.copyFile(join(folder, "table.md"), goldenTable);
  });
}
