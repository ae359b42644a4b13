/**
 * The folder of a made-up study whose runs hold untrained networks. Run it to write the stored table again, to be reviewed and
 * committed:
 *
 * deno run -A --lock=tests/deno.lock tests/experiments/study/results/study_folder.ts
 */

import { join } from "node:path";
import { writeExamples } from "../../../../experiments/data/example_file.ts";
import { writeTrajectories } from "../../../../experiments/draw/trajectories.ts";
import { writeResults } from "../../../../experiments/study/results/write_results.ts";
import { writeCellResult } from "../../../../experiments/study/cell_result.ts";
import { cellFolder, writeStudy } from "../../../../experiments/study/study.ts";
import { init } from "../../../../kernels/mod.ts";
import { createModel, type ModelName, modelTypeOf, saveCheckpoint } from "../../../../models/mod.ts";
import { withFolder } from "../../../folder.ts";
import { madeUpFlow } from "../../../viz/flow/made_up_flow.ts";
import { madeUp, type MadeUpSetup, plan, twoNetworks } from "./made_up_study.ts";

/** The stored table of {@linkcode twoNetworks}. */
export const goldenTable = new URL("./golden_table.txt", import.meta.url);

const imageSize = [8, 8] as const;

/** Writes a study of made-up setups; the device in use makes their networks. */
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
    await writeMadeUpStudy(folder, twoNetworks);
    await writeResults(folder);
    await Deno.copyFile(join(folder, "table.md"), goldenTable);
  });
}
