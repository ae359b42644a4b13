/** Damaged files of a study: each is read, or refused in one line that names it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { UserError } from "../../../kernels/core/user_error.ts";
import { conclude } from "../../../experiments/study/results/conclusion.ts";
import { qualityFigures } from "../../../experiments/study/results/quality_figures.ts";
import { summarizeStudy } from "../../../experiments/study/results/summary.ts";
import { csvOf, studyMarkdown, tablesOf } from "../../../experiments/study/results/tables.ts";
import { readResults } from "../../../experiments/study/cell_result.ts";
import { requireStudy } from "../../../experiments/study/study.ts";
import { init, withDevice } from "../../../kernels/mod.ts";
import { figureRow } from "../../../viz/mod.ts";
import { testInFolder } from "../../folder.ts";
import { mutateText, randomOf } from "../mutations.ts";
import { twoNetworks, writeMadeUpStudy } from "./results/made_up_study.ts";

/** All results of a study except those that need its weights. */
async function resultsOf(folder: string): Promise<unknown> {
  const study = await requireStudy(folder);
  const { results, problems } = await readResults(study);
  for (const problem of problems) assert.ok(problem.includes(folder), problem);
  const summary = summarizeStudy(study.cells, results);
  const conclusion = conclude(study.plan, summary);
  const figures = qualityFigures(summary);
  return [
    studyMarkdown("a study", conclusion, tablesOf(summary)),
    csvOf(summary),
    figures && figureRow(figures.stills, figures.legend),
  ];
}

testInFolder("requireStudy() and readResults() describe any damage to a file in one line", async (folder) => {
  const device = await init({ device: "cpu", threads: 1 });
  await withDevice(device, () => writeMadeUpStudy(folder, twoNetworks));
  device.close();
  for (const name of ["study.json", join("cells", "base-s1", "cell.json")]) {
    const path = join(folder, name);
    const whole = await Deno.readTextFile(path);
    const random = randomOf(46020);
    for (let i = 0; i < 200; i++) {
      const damaged = mutateText(whole, random);
      await Deno.writeFile(path, damaged);
      try {
        await resultsOf(folder);
      } catch (error) {
        const shown = new TextDecoder().decode(damaged);
        assert.ok(
          error instanceof UserError,
          `${name}, ${i}: ${error instanceof Error && error.stack}\n${shown}`,
        );
        assert.ok(error.message.includes(path), error.message);
      }
    }
    await Deno.writeTextFile(path, whole);
    await resultsOf(folder);
  }
});
