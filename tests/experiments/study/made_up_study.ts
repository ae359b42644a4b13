/** Made-up studies, without training. */

import { join } from "node:path";
import { writeTrajectories } from "../../../experiments/draw/trajectories.ts";
import { writeJson } from "../../../experiments/run/run_folder.ts";
import { type Cell, type CellSettings, type Plan, readPlan } from "../../../experiments/study/plan.ts";
import { cellFolder, type Study } from "../../../experiments/study/study.ts";
import { type CellResult, summarizeStudy, type Summary } from "../../../experiments/study/summary.ts";
import { writeResults } from "../../../experiments/study/write_results.ts";
import { init, withDevice } from "../../../kernels/mod.ts";
import { createModel, type ModelName, modelTypeOf, saveCheckpoint } from "../../../models/mod.ts";
import { withFolder } from "../../folder.ts";
import { madeUpFlow } from "../../viz/flow/made_up_flow.ts";

/** A plan of two networks. */
export const plan: Plan = readPlan({
  name: "networks",
  grid: { model: ["base", "residual"] },
  fixed: { filters: "8,16" },
}, "a test");

/** A setup and the Fréchet distance of each finished seed, counted from 1; undefined for an unfinished run. */
export interface MadeUpSetup {
  readonly settings: CellSettings;
  /** Defaults to the settings. */
  readonly asked?: CellSettings;
  readonly frechet: readonly (number | undefined)[];
  readonly parameters?: number;
  readonly multiplyAdds?: number;
  /** More fields of each seed's result. */
  readonly more?: (seed: number, frechet: number) => Partial<CellResult>;
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
      ...{ frechet, "vgg/frechet": 50 - frechet, kernel: frechet / 1000 },
      ...{ confident: 0.9 - frechet / 100, velocity_error: 0.17 + frechet / 1000 },
    },
  }),
}));

/** A study of made-up setups, and the results of finished cells. */
export function madeUp(setups: readonly MadeUpSetup[], folder = ""): { study: Study; results: CellResult[] } {
  const cells: Cell[] = [];
  const results: CellResult[] = [];
  for (const { settings, asked = settings, frechet, more, ...setup } of setups) {
    const { parameters = 1000, multiplyAdds = 50_000 } = setup;
    for (const [i, value] of frechet.entries()) {
      const [seed, words] = [i + 1, Object.values(settings).join("-")];
      const id = `${words.replaceAll(/[^\w.-]/g, "-")}-s${seed}`;
      cells.push({ id, asked, settings, seed, steps: 1000, network: null });
      if (value === undefined) continue;
      results.push({
        ...{ cell: id, settings, seed, parameters, multiplyAdds, images: 32_000, seconds: 60 + i },
        figures: { frechet: value, confident: 0.9 - value / 100, velocity_error: 0.17 + value / 1000 },
        ...{ dataset: { name: "digits", digest: "12" }, real: {}, solvers: [], course: [] },
        ...more?.(seed, value),
      });
    }
  }
  return { study: { folder, plan, count: 500, cells }, results };
}

/** The summary of made-up setups. */
export function summaryOf(setups: readonly MadeUpSetup[]): Summary {
  const { study, results } = madeUp(setups);
  return summarizeStudy(study.cells, results);
}

/** The stored table of {@linkcode judgedTwice}. */
export const goldenTable = new URL("./golden_table.txt", import.meta.url);

const imageSize = [8, 8] as const;

/** Writes a study of made-up setups, with untrained networks. */
export async function writeMadeUpStudy(folder: string, setups: readonly MadeUpSetup[]): Promise<Study> {
  const { study, results } = madeUp(setups, folder);
  await Deno.mkdir(folder, { recursive: true });
  await writeJson(join(folder, "study.json"), { version: 2, ...study, folder: undefined });
  const device = await init({ device: "cpu", threads: 1 });
  for (const result of results) {
    const run = cellFolder(study, { id: result.cell });
    const { seed, settings } = result;
    const type = modelTypeOf(settings.model as ModelName);
    const config = { type, filters: [8, 16], tEmb: 8 };
    const info = { config, normalization: { scale: 2, shift: -1 }, imageSize };
    await Deno.mkdir(run, { recursive: true });
    await writeJson(join(run, "config.json"), { ...settings, seed, filters: [8, 16] });
    const bytes = await withDevice(device, () => saveCheckpoint(createModel(config, seed), info));
    await Deno.writeFile(join(run, "ema.safetensors"), bytes);
    const flows = [0, 1].map((k) => madeUpFlow(seed + k, 5, imageSize));
    await writeTrajectories(run, flows, { modelType: type, seed, solver: "euler", steps: 4 });
    await writeJson(join(run, "cell.json"), result);
  }
  device.close();
  return study;
}

if (import.meta.main) {
  await withFolder(async (folder) => {
    await writeResults(await writeMadeUpStudy(folder, judgedTwice), { device: "cpu", threads: 1 });
    await Deno.copyFile(join(folder, "study.md"), goldenTable);
  });
}
