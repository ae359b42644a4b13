/** Made-up studies, without training. */

import { join } from "node:path";
import { appendMetrics } from "../../../experiments/run/metrics_log.ts";
import { writeJson } from "../../../experiments/run/run_folder.ts";
import { configJson } from "../../../experiments/settings/config_file.ts";
import { newTraining } from "../../../experiments/settings/decide.ts";
import type { Cell } from "../../../experiments/study/cells.ts";
import { type CellSettings, type Plan, readPlan } from "../../../experiments/study/plan.ts";
import { type CellResult, readResults } from "../../../experiments/study/results.ts";
import { cellFolder, type Study } from "../../../experiments/study/study.ts";
import { summarizeStudy, type Summary } from "../../../experiments/study/summary.ts";
import { writeResults } from "../../../experiments/study/write_results.ts";
import { newRecord, writeRecord } from "../../../experiments/tracking/record.ts";
import { modelNames } from "../../../models/mod.ts";
import { withFolder } from "../../folder.ts";

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
      frechet,
      "vgg/frechet": 50 - frechet,
      kernel: frechet / 1000,
      confident: 0.9 - frechet / 100,
      velocity_error: 0.17 + frechet / 1000,
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
      const seed = i + 1;
      const words = Object.values(settings).join("-");
      const id = `${words.replaceAll(/[^\w.-]/g, "-")}-s${seed}`;
      const cell = { id, asked, settings, seed, steps: 1000, network: null };
      cells.push(cell);
      if (value === undefined) continue;
      const own = more?.(seed, value);
      results.push({
        cell,
        dataset: { name: "digits", digest: "12" },
        figures: { frechet: value, confident: 0.9 - value / 100, velocity_error: 0.17 + value / 1000 },
        real: {},
        solvers: [],
        milestones: [],
        ...own,
        costs: { parameters, multiplyAdds, images: 32_000, seconds: 60 + i, ...own?.costs },
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

/** Writes the files of a study of made-up setups that its results come from. */
export async function writeMadeUpStudy(folder: string, setups: readonly MadeUpSetup[]): Promise<Study> {
  const { study, results } = madeUp(setups, folder);
  await Deno.mkdir(folder, { recursive: true });
  const { plan, count, cells } = study;
  await writeJson(join(folder, "study.json"), { version: 2, plan, count, cells });
  for (const { cell, costs, dataset, figures, real, milestones } of results) {
    const run = cellFolder(study, cell);
    await Deno.mkdir(run, { recursive: true });
    const model = modelNames.find((name) => name === cell.settings.model);
    const network = { kind: "unet", name: model ?? "base" } as const;
    await writeJson(join(run, "config.json"), configJson(newTraining({ model: network, filters: [8, 16] })));
    const record = newRecord({ name: cell.id, experiment: "a test", source: "a test", startedAt: 1 });
    const { parameters = null, seconds = 0 } = costs;
    await writeRecord(run, { ...record, endedAt: 2, status: "FINISHED", parameterCount: parameters });
    appendMetrics(join(run, "metrics.jsonl"), { step: cell.steps, elapsed_seconds: seconds, time: 1 });
    const measured = Object.entries(figures).map(([key, value]) => {
      return [key, { value, low: value, high: value, evaluations: 1, seconds: 1, real: real[key] }];
    });
    await writeJson(join(run, "evaluation.json"), {
      version: 2,
      time: 1,
      seconds: 1,
      weights: { file: "ema.safetensors", sha256: "12" },
      device: "made up",
      multiplyAdds: costs.multiplyAdds,
      dataset,
      judges: [],
      samples: { count, seed: 0, how: "made up", evaluations: 1, seconds: 1 },
      figures: Object.fromEntries(measured),
      milestones,
    });
  }
  return study;
}

/** Writes the results of a made-up study, as `study FOLDER` does. */
export async function writeMadeUpResults(study: Study) {
  const results = await readResults(study);
  return await writeResults(study, results, summarizeStudy(study.cells, results));
}

if (import.meta.main) {
  await withFolder(async (folder) => {
    await writeMadeUpResults(await writeMadeUpStudy(folder, judgedTwice));
    await Deno.copyFile(join(folder, "study.md"), goldenTable);
  });
}
