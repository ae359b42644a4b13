import assert from "node:assert/strict";
import { join } from "node:path";
import { writeJson } from "../../../experiments/run/run_folder.ts";
import { trainingConfig } from "../../../experiments/cli/training_config.ts";
import {
  type CellResult,
  milestonesOf,
  readResults,
  resultOf,
} from "../../../experiments/study/cell_result.ts";
import { openCellLog } from "../../../experiments/study/local.ts";
import { planStudy } from "../../../experiments/study/plan_study.ts";
import { removeUnsaved } from "../../../experiments/study/run_cell.ts";
import {
  cellFolder,
  makeCellFolder,
  readStudy,
  requireStudy,
  type Study,
  studyFile,
  writeStudy,
} from "../../../experiments/study/study.ts";
import { newRecord, writeRecord } from "../../../experiments/tracking/record.ts";
import { nestedRuns } from "../../../experiments/tracking/record.ts";
import { init, UserError } from "../../../kernels/mod.ts";
import { conclude } from "../../../experiments/study/conclusion.ts";
import { qualityFigures } from "../../../experiments/study/quality_figures.ts";
import { summarizeStudy } from "../../../experiments/study/summary.ts";
import { csvOf, studyMarkdown, tablesOf } from "../../../experiments/study/tables.ts";
import { figureRow } from "../../../viz/mod.ts";
import { mutateText, randomOf } from "../mutations.ts";
import { twoNetworks, writeMadeUpStudy } from "./made_up_study.ts";
import { testInFolder } from "../../folder.ts";
import { cellOf, makeStudy, planning, planOf } from "./tiny_study.ts";

const recordOf = (cell: string): CellResult => ({
  ...{ cell, settings: { model: "base", attn: false, tEmb: 8 }, seed: 1, parameters: 10, multiplyAdds: 100 },
  ...{ images: 48, seconds: 1.5, figures: { frechet: 12.5, velocity_error: 0.2 } },
  costs: [{ evaluations: 4, solver: "euler:steps=2", frechet: 20, confident: 0.5 }],
  course: [{ images: 24, seconds: 0.7, frechet: 30 }],
});

testInFolder("readResults() reads all results, and reports damaged ones", async (folder) => {
  const ids = ["a-s1", "b-s1", "c-s1", "d-s1", "e-s1"];
  const study = { folder, digest: "", plan: planOf({ cells: [{}] }), cells: ids.map((id) => cellOf(id)) };
  const texts = [
    JSON.stringify(recordOf("a-s1")).replace("confident", "recognised"), // the name in version 0.9
    '{"cell": "b-s1"}',
    JSON.stringify({ ...recordOf("c-s1"), costs: null }),
    '{"cell": "d-s',
  ];
  for (const [i, text] of texts.entries()) {
    await Deno.writeTextFile(join(await makeCellFolder(study, study.cells[i]), "cell.json"), text);
  }
  const sizes = { channels: 1, height: 8, width: 8, classes: 0, train: 9, validation: 1, test: 1 };
  const dataset = { name: "digits", digest: "12", source: "a", ...sizes };
  const record = newRecord({ name: "a", experiment: "x", source: "a test", startedAt: 1 });
  await writeRecord(cellFolder(study, study.cells[0]), { ...record, dataset });
  const figure = (value: number, real: number) => ({
    value,
    low: 0,
    high: 99,
    real,
    evaluations: 1,
    seconds: 1,
  });
  const evaluation = {
    ...{
      version: 1,
      time: 1,
      seconds: 1,
      device: "cpu",
      weights: { file: "ema.safetensors", sha256: "" },
      dataset,
    },
    samples: { count: 9, seed: 0, how: "heun", evaluations: 1, seconds: 1 },
    figures: { frechet: figure(12.5, 4.5), velocity_error: figure(0.3, 0.1) }, // a different velocity error from the cell's
  };
  await writeJson(join(cellFolder(study, study.cells[0]), "evaluation.json"), evaluation);
  const { results, unfinished, problems } = await readResults(study);
  assert.deepEqual(results, [{ ...recordOf("a-s1"), dataset, real: { frechet: 4.5 } }]);
  assert.deepEqual(unfinished.map(({ id }) => id), ["e-s1"]);
  const expected = [
    /^Cannot read .*b-s1.cell\.json: settings is missing \(expected .*; delete the file/,
    /^Cannot read .*c-s1.cell\.json: costs is null \(expected a list, /,
    /d-s1.cell\.json: it is not a JSON object/,
  ];
  assert.equal(problems.length, expected.length);
  problems.forEach((problem, i) => assert.match(problem, expected[i]));
});

testInFolder(
  "readStudy() reads a written study, and rejects damaged ones",
  async (folder) => {
    await assert.rejects(requireStudy(folder), {
      name: "RunError",
      message: `Cannot find a study in ${folder}: there is no ${studyFile} (expected the folder of a study)`,
    });
    const study = await makeStudy(join(folder, "study"), { grid: { model: ["base"] } });
    assert.deepEqual(await requireStudy(study.folder), study);
    const path = join(study.folder, studyFile);
    const json = JSON.parse(await Deno.readTextFile(path));
    const spoilt: [string, unknown, RegExp][] = [
      ["version", 2, /version is 2 \(expected 1\)/],
      ["plan", { ...json.plan, seeds: ["1"] }, /^Cannot use seeds \["1"\] in .*study\.json: expected /],
      ["plan", { ...json.plan, evaluation: { count: null } }, /^Cannot use count null in the evaluation of /],
      ["plan", null, /^Cannot read .*study\.json: expected an object/],
      ["cells", [{ ...json.cells[0], id: "../elsewhere" }], /cells is /],
      ["cells", [{ ...json.cells[0], secondsPerStep: null }], /cells is /],
    ];
    for (const [field, value, message] of spoilt) {
      await Deno.writeTextFile(path, JSON.stringify({ ...json, [field]: value }));
      await assert.rejects(readStudy(study.folder), { message }, field);
    }
  },
);

const cell = cellOf("base-s1");
const folders = ["cells", "logs", ".locks", "slurm", join("cells", cell.id)];

/** Defines a test with a study of one cell, beside a foreign folder with a file. */
function testForeign(name: string, test: (study: Study, home: string) => Promise<void>): void {
  testInFolder(name, async (root) => {
    const home = join(root, "home");
    await Deno.mkdir(join(home, cell.id), { recursive: true });
    await Deno.writeTextFile(join(home, "kept.txt"), "kept");
    const plan = planOf({ cells: [{ model: "base" }] });
    const study = { folder: join(root, "study"), digest: "", plan, cells: [cell] };
    await Deno.mkdir(study.folder);
    await writeStudy(study);
    await test(study, home);
    const left = await Array.fromAsync(Deno.readDir(home), ({ name }) => name);
    assert.deepEqual(left.sort(), [cell.id, "kept.txt"]);
    assert.equal(await Deno.readTextFile(join(home, "kept.txt")), "kept");
  });
}

async function link(study: Study, name: string, home: string): Promise<void> {
  await Deno.remove(join(study.folder, name), { recursive: true }).catch(() => {}); // there is none
  await Deno.mkdir(join(study.folder, name, ".."), { recursive: true });
  await Deno.symlink(home, join(study.folder, name));
}

testForeign("requireStudy() rejects links and files in place of folders", async (study, home) => {
  for (const name of folders) {
    const place = `${study.folder}: ${join(study.folder, name)}`;
    const expected = "(expected a folder; only the study's own may be a link)";
    await link(study, name, home);
    await assert.rejects(requireStudy(study.folder), {
      name: "RunError",
      message: `Cannot use the study ${place} is a link ${expected}`,
    });
    await Deno.remove(join(study.folder, name));
    await Deno.writeTextFile(join(study.folder, name), "");
    await assert.rejects(requireStudy(study.folder), {
      message: `Cannot use the study ${place} is a file ${expected}`,
    });
    await Deno.remove(join(study.folder, name));
    await requireStudy(study.folder);
  }
});

testInFolder("planStudy() rejects a link in the place of a new cell", async (root) => {
  const study = await makeStudy(join(root, "study"), { grid: { model: ["base"] }, seeds: [1] });
  await Deno.symlink(root, join(study.folder, "cells", "base-s2"));
  const device = await init({ device: "cpu", threads: 1 });
  const planned = planStudy(study.folder, { ...study.plan, seeds: [1, 2] }, planning);
  await assert.rejects(planned, { name: "RunError", message: /base-s2 is a link \(expected a folder; / });
  device.close();
});

testInFolder("openCellLog() escapes control characters", async (folder) => {
  const own = await openCellLog({ folder }, cell);
  own.add("said\x1b[2J\ntouch /tmp/x #");
  const lines = (await Deno.readTextFile(own.path)).split("\n");
  assert.match(lines[0], /^\S+Z said\\u001b\[2J$/);
  assert.match(lines[1], /^\S+Z touch \/tmp\/x #$/);
  assert.equal(lines.length, 3);
});

testForeign("removeUnsaved() removes a run without a checkpoint, and nothing else", async (_, home) => {
  const run = await Deno.makeTempDir({ dir: join(home, cell.id) });
  const isThere = () => Deno.stat(run).then(() => true, () => false);
  for (const names of [[], [".lock", `.run.json.${"0".repeat(32)}.tmp`], ["run.json", "metrics.jsonl"]]) {
    await Deno.mkdir(run, { recursive: true });
    for (const name of names) await Deno.writeTextFile(join(run, name), "");
    await removeUnsaved(run);
    assert.ok(!await isThere(), `${names}`);
  }
  await Deno.mkdir(run);
  await Deno.writeTextFile(join(run, "letter.txt"), "kept");
  await assert.rejects(removeUnsaved(run), {
    name: "RunError",
    message:
      `Cannot restart ${run}: found letter.txt, but no run.json of a run (expected a run, or an empty folder); move it elsewhere`,
  });
  assert.equal(await Deno.readTextFile(join(run, "letter.txt")), "kept");
});

testForeign("nestedRuns() does not follow links to cells", async (study, home) => {
  const run = join(await makeCellFolder(study, cell), "run.json");
  await Deno.writeTextFile(run, "{}");
  assert.deepEqual(await nestedRuns(study.folder), [join(study.folder, "cells", cell.id)]);
  await Deno.rename(join(study.folder, "cells"), join(study.folder, "others"));
  await Deno.symlink("others", join(study.folder, "cells"));
  assert.deepEqual(await nestedRuns(study.folder), []);
  await Deno.stat(join(home, "kept.txt"));
});

testInFolder("resultOf() interpolates the times of milestones between lines of the log", async (folder) => {
  await Deno.writeTextFile(
    `${folder}/config.json`,
    JSON.stringify(trainingConfig({ model: "base", batchSize: 8 })),
  );
  const lines = [[20, 4], [40, 8], [60, 8], [64, 10]].map(([step, elapsed_seconds]) => ({
    step,
    elapsed_seconds,
  }));
  const log = [...lines, { step: 64, "eval/frechet": 3 }].map((line) => JSON.stringify(line) + "\n");
  await Deno.writeTextFile(`${folder}/metrics.jsonl`, log.join(""));
  const own = { value: 9, low: 8, high: 10 };
  const milestones = [5, 20, 30, 60].map((step) => ({ step, cost: { frechet: own, "vgg/frechet": own } }));
  const frechet = { value: 7, low: 6, high: 8, evaluations: 0, seconds: 0 };
  const measures = { figures: { frechet }, costs: [], milestones };
  const { seconds, course, figures } = await resultOf(folder, { ...cellOf("base-s1"), steps: 64 }, measures);
  assert.deepEqual([seconds, figures], [10, { frechet: 7 }]);
  assert.deepEqual(
    course?.map(({ seconds }) => seconds),
    [1, 4, 6, 8, 10],
    "the steps before the first line also take time",
  );
  assert.deepEqual(course?.map((point) => point["vgg/frechet"]), [9, 9, 9, 9, undefined]);
});

Deno.test("milestonesOf() halves the training as often as possible, and lists the earliest step first", () => {
  assert.deepEqual(milestonesOf(1000, 3), [125, 250, 500]);
  assert.deepEqual(milestonesOf(1001, 1), [501]);
  assert.deepEqual(milestonesOf(1000), []);
  assert.deepEqual(milestonesOf(6, 20), [1, 2, 3]);
  assert.deepEqual(milestonesOf(1, 4), []);
});

/** All results of a study except for those that need its weights. */
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
  await writeMadeUpStudy(folder, twoNetworks);
  device.close();
  for (const name of ["study.json", join("cells", "base-s1", "cell.json")]) {
    const path = join(folder, name);
    const whole = await Deno.readTextFile(path);
    const random = randomOf(46020);
    for (let i = 0; i < 40; i++) {
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
