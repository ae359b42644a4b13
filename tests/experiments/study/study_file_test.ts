import assert from "node:assert/strict";
import { join } from "node:path";
import { type CellResult, readResults, writeCellResult } from "../../../experiments/study/cell_result.ts";
import { cellFolder, readStudy, requireStudy, studyFile } from "../../../experiments/study/study.ts";
import { testInFolder } from "../../folder.ts";
import { makeStudy } from "./tiny_study.ts";

const recordOf = (cell: string): CellResult => ({
  ...{ cell, settings: { model: "base", attn: false, tEmb: 8 }, seed: 1, parameters: 10, multiplyAdds: 100 },
  ...{ images: 48, seconds: 1.5, figures: { frechet: 12.5 } },
  costs: [{ evaluations: 4, solver: "euler:steps=2", frechet: 20, recognised: 0.5 }],
  course: [{ images: 24, seconds: 0.7, frechet: 30 }],
});

testInFolder("readResults() reads all results, and reports damaged ones", async (folder) => {
  const study = await makeStudy(join(folder, "study"), {
    grid: { model: ["base", "residual"] },
    seeds: [1, 2],
  });
  const folders = study.cells.map((cell) => cellFolder(study, cell));
  for (const folder of folders) await Deno.mkdir(folder);
  await writeCellResult(folders[0], recordOf("base-s1"));
  await Deno.writeTextFile(join(folders[1], "cell.json"), '{"cell": "residual-s1"}');
  await Deno.writeTextFile(
    join(folders[2], "cell.json"),
    JSON.stringify({ ...recordOf("base-s2"), costs: null }),
  );
  const { results, unfinished, problems } = await readResults(study);
  assert.deepEqual(results, [recordOf("base-s1")]);
  assert.deepEqual(unfinished.map(({ id }) => id), ["residual-s2"]);
  assert.equal(problems.length, 2);
  assert.match(
    problems[0],
    /^Cannot read .*residual-s1.cell\.json: settings is missing \(expected .*; delete the file/,
  );
  assert.match(problems[1], /^Cannot read .*base-s2.cell\.json: costs is null \(expected a list, /);
  await Deno.writeTextFile(join(folders[2], "cell.json"), '{"cell": "base-s');
  assert.match((await readResults(study)).problems[1], /base-s2.cell\.json: it holds no JSON object/);
});

testInFolder("readStudy() reads what was written, and refuses what is no study", async (folder) => {
  assert.equal(await readStudy(folder), undefined);
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
    [
      "plan",
      { ...json.plan, evaluation: { count: null } },
      /^Cannot use count null in the evaluation of .*study\.json/,
    ],
    ["plan", null, /^Cannot read .*study\.json: expected an object/],
    ["cells", [{ ...json.cells[0], id: "../elsewhere" }], /cells is /],
    ["cells", [{ ...json.cells[0], secondsPerStep: null }], /cells is /],
  ];
  for (const [field, value, message] of spoilt) {
    await Deno.writeTextFile(path, JSON.stringify({ ...json, [field]: value }));
    await assert.rejects(readStudy(study.folder), { message }, field);
  }
});
