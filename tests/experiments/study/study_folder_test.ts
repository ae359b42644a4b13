/** The folder of a study: its files, and the runs of its cells. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { normalizationTo } from "../../../experiments/settings/data.ts";
import { objectiveOf } from "../../../experiments/settings/objective.ts";
import { splitImages } from "../../../experiments/data/dataset.ts";
import { sourceOf } from "../../../experiments/data/image_source.ts";
import { loadDataset } from "../../../experiments/data/load_dataset.ts";
import { expandPlan } from "../../../experiments/study/cells.ts";
import { type CellSettings, type GivenPlan, type Plan, readPlan } from "../../../experiments/study/plan.ts";
import { milestonesOf } from "../../../experiments/study/measure_cell.ts";
import { cellFolder, openStudy as openExpanded, readStudy } from "../../../experiments/study/study.ts";
import { readResults } from "../../../experiments/study/results.ts";
import { modelOptions } from "../../../experiments/training/network.ts";
import { init } from "../../../kernels/mod.ts";
import { BatchOrder, blankInitialiser, createModel, Trainer } from "../../../models/mod.ts";
import { summarizeStudy } from "../../../experiments/study/summary.ts";
import { testInFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { writeTinyIdx } from "../data/tiny_idx.ts";
import { damage } from "../mutations.ts";
import { judgedTwice, writeMadeUpStudy } from "./made_up_study.ts";
import { tinyPlan } from "./tiny_study.ts";

const openStudy = (folder: string, plan: Plan) => openExpanded(folder, plan, expandPlan(plan));

/** A plan on made-up data with few or enough test images. */
async function planIn(folder: string, given: GivenPlan = {}, test = 360) {
  const data = join(folder, "data");
  await writeTinyIdx(data, { train: 300, test, classes: 4 });
  const { fixed, evaluation: { count: _, ...evaluation } } = tinyPlan;
  const own = { fixed: { ...fixed, data }, evaluation: { ...evaluation, ...given.evaluation } };
  return readPlan({ ...tinyPlan, grid: { model: ["base"] }, ...given, ...own }, "mine");
}

testInFolder("openStudy() writes a study, and continues it under the same plan only", async (root) => {
  const folder = join(root, "study");
  const plan = await planIn(root);
  const both = await Promise.all([openStudy(folder, plan), openStudy(folder, plan)]); // as jobs of an array do
  assert.deepEqual(both[0], both[1]);
  assert.deepEqual(await readStudy(folder), both[0]);
  assert.deepEqual(await openStudy(folder, plan), both[0]);
  const changed: [GivenPlan, string][] = [
    [{ steps: 7 }, "steps of its plan is 6, now 7"],
    [{ seeds: [1, 2, 3] }, "seeds of its plan is [1,2], now [1,2,3]"],
    [{ evaluation: { seed: 1 } }, "evaluation of its plan is {"],
  ];
  for (const [given, how] of changed) {
    const says = RegExp.escape(`Cannot continue the study ${folder}: ${how}`);
    const message = RegExp(`^${says}.*\\(expected the same plan, or a new study with --out DIR\\)$`);
    await assert.rejects(openStudy(folder, await planIn(root, given)), { message });
  }
  const file = join(folder, "study.json");
  const text = await Deno.readTextFile(file);
  await Deno.writeTextFile(file, text.replace('"groups": 8,', '"groups": 2,')); // the default of another version
  const message =
    /: the module of a network or a preset has changed \(expected the same plan, or a new study/;
  await assert.rejects(openStudy(folder, plan), { message });
  await Deno.writeTextFile(file, text);
  assert.deepEqual(await readStudy(folder), both[0]);
});

testInFolder("openStudy() starts no study among other files", async (root) => {
  const folder = join(root, "run");
  await Deno.mkdir(folder);
  await Deno.writeTextFile(join(folder, ".study.json.tmp"), ""); // of a program that was killed
  await Deno.writeTextFile(join(folder, "report.html"), "of a run");
  const plan = await planIn(root);
  const message = /^Cannot start a study in .*run: it holds report\.html but no study\.json \(expected /;
  await assert.rejects(openStudy(folder, plan), { name: "RunError", message });
  await assert.rejects(openStudy(join(folder, "report.html"), plan), { name: "RunError" });
  await Deno.remove(join(folder, "report.html"));
  await openStudy(folder, plan);
});

testInFolder("openStudy() takes as many samples as the data of all cells allows", async (root) => {
  const countIn = async (folder: string, given: GivenPlan, test?: number) =>
    (await openStudy(join(root, folder), await planIn(root, given, test))).count;
  assert.equal(await countIn("a", {}), 270, "nine tenths of the training images");
  assert.equal(await countIn("b", { grid: { model: ["base"], trainLimit: [200, 250] } }), 200);
  assert.equal(await countIn("c", { evaluation: { count: 169 } }), 169);
  assert.equal(await countIn("e", {}, 40), 270, "few test images are compared with more samples");
  await assert.rejects(countIn("d", { evaluation: { count: 400 } }), /Cannot compare 400 samples: /);
});

testInFolder("readStudy() and readResults() describe any damage to a file in one line", async (folder) => {
  await writeMadeUpStudy(folder, judgedTwice);
  const readAll = async () => await readResults((await readStudy(folder))!);
  assert.equal((await readAll()).length, 6);
  for (const name of ["study.json", join("cells", "base-s1", "evaluation.json")]) {
    await damage(folder, name, 20, readAll);
    const path = join(folder, name);
    const whole = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, '{"version": 3}');
    await assert.rejects(readAll(), { name: "RunError", message: new RegExp(`^Cannot read ${path}: `) });
    await Deno.writeTextFile(path, whole);
  }
  await Deno.remove(join(cellFolder({ folder }, { id: "base-s1" }), "evaluation.json"));
  assert.equal((await readAll()).length, 5);
  assert.equal(await readStudy(join(folder, "cells")), undefined);
});

testNeeding({ read: true }, "readResults() reads a study of version 1.0", async () => {
  const study = (await readStudy(new URL("./study_1_0", import.meta.url).pathname))!;
  assert.deepEqual(study.plan.fixed.filters, [8, 16]);
  const [result, ...others] = await readResults(study);
  assert.deepEqual([result.cell.id, others], ["base-s1", []]);
  const costs = { parameters: 3417, multiplyAdds: 246_856, images: 320, seconds: 0.085 };
  assert.deepEqual(result.costs, costs);
  assert.deepEqual(Object.keys(result.figures), ["frechet", "vgg/frechet", "velocity_error"]);
  assert.deepEqual(Object.keys(result.real), ["frechet", "vgg/frechet"]);
  assert.deepEqual(result.milestones.map(({ step }) => step), [20]);
  assert.equal(result.milestones[0].figures.frechet.toPrecision(3), "0.0221");
  assert.deepEqual(result.solvers.map(({ spec, evaluations }) => [spec, evaluations]), [["heun:steps=1", 4]]);
  const { setups: [setup], primaries } = summarizeStudy(study.cells, [result]);
  assert.deepEqual([setup.label, primaries.map(({ key }) => key)], ["base", ["frechet", "vgg/frechet"]]);
});

testInFolder(
  "readResults() skips cells that are not finished, or were measured in another way",
  async (root) => {
    const source = new URL("./study_1_0/cells/base-s1/", import.meta.url);
    const files = ["evaluation", "solvers", "run"];
    const read = async (name: string) => JSON.parse(await Deno.readTextFile(new URL(`${name}.json`, source)));
    const [evaluation, solvers, record] = await Promise.all(files.map(read));
    solvers.solvers[0].evaluations = 7.123456789123; // a mean over batches
    const whole = { ...evaluation, multiplyAdds: 1, milestones: [] };
    const common = (change: object) => ({
      solvers: { ...solvers, common: { ...solvers.common, ...change } },
    });
    const cases: [finished: boolean, changed: Readonly<Record<string, unknown>>][] = [
      [true, {}],
      [true, { evaluation: { ...whole, judges: [] }, solvers: null }],
      [false, { evaluation: { ...whole, milestones: undefined } }], // of the task evaluate
      [false, { evaluation: null }],
      [false, { solvers: null }],
      [false, { solvers: { ...solvers, solvers: [] } }],
      [false, common({ count: 1 })],
      [false, common({ seed: 1 })],
      [false, common({ guidance: 1 })],
      [false, { run: { ...record, status: "KILLED" } }],
    ];
    const study = (await readStudy(new URL("./study_1_0", import.meta.url).pathname))!;
    for (const [i, [finished, changed]] of cases.entries()) {
      const folder = join(root, String(i));
      const run = cellFolder({ folder }, { id: "base-s1" });
      await Deno.mkdir(run, { recursive: true });
      await Deno.copyFile(new URL("config.json", source), join(run, "config.json"));
      const all = { evaluation: whole, solvers, run: record, ...changed };
      for (const [name, json] of Object.entries(all)) {
        if (json) await Deno.writeTextFile(join(run, `${name}.json`), JSON.stringify(json));
      }
      const results = await readResults({ ...study, folder });
      const evaluations = results.map(({ solvers }) => solvers.map(({ evaluations }) => evaluations));
      const expected = all.solvers ? [[7.12345679]] : [[]];
      assert.deepEqual(evaluations, finished ? expected : [], JSON.stringify(changed));
    }
  },
);

Deno.test("milestonesOf() halves the training as often as possible, and lists the earliest step first", () => {
  assert.deepEqual(milestonesOf(1000, 3), [125, 250, 500]);
  assert.deepEqual(milestonesOf(1001, 1), [501]);
  assert.deepEqual(milestonesOf(1000, 0), []);
  assert.deepEqual(milestonesOf(6, 20), [1, 2, 3]);
  assert.deepEqual(milestonesOf(1, 4), []);
});

const paired = {
  name: "paired",
  // On this path the loss of a network of zeros depends on images, noise and times.
  fixed: { path: "cosine", batchSize: 8, tEmb: 8, groups: 4, conditional: true },
  steps: 3,
};

testInFolder("cells of one seed see the same images, noise and times", async (folder) => {
  await writeTinyIdx(`${folder}/data`, { train: 60, test: 8 });
  const data = await loadDataset(`${folder}/data`);
  const device = await init({ device: "cpu", threads: 1 });
  /** Losses of the first steps of a network whose weights stay zero. */
  const lossesOf = async (settings: CellSettings, seed: number) => {
    const [{ set: config }] = expandPlan(readPlan({ ...paired, cells: [settings], seeds: [seed] }, "a test"));
    const normalization = normalizationTo(config.normalize);
    const source = sourceOf(data, "train", { conditional: true, normalization });
    const model = createModel(modelOptions(config, source.shape, data.classes), blankInitialiser);
    const { batchSize, labelDropout } = config;
    const trainer = new Trainer(model, source, {
      ...{ batchSize, seed, labelDropout, learningRate: 1, objective: objectiveOf(config) },
    });
    const order = new BatchOrder(splitImages(data.train.count, config).train, batchSize, seed);
    for (let step = 0; step < 3; step++) trainer.queueStep(order.batch(step), 0);
    return await trainer.losses();
  };
  const expected = await lossesOf({ model: "base", filters: "8,16" }, 1);
  assert.equal(new Set(expected).size, 3, "each step sees other data");
  const cells: CellSettings[] = [
    { model: "residual", filters: "8,16" },
    { model: "base", filters: "9,24", attn: true },
    { model: "residual", filters: "4,8,12", prediction: "velocity" },
  ];
  for (const settings of cells) {
    assert.deepEqual(await lossesOf(settings, 1), expected, JSON.stringify(settings));
  }
  assert.notDeepEqual(await lossesOf({ model: "base", filters: "8,16" }, 2), expected, "another seed");
  const other = await lossesOf({ model: "base", filters: "8,16", times: "uniform" }, 1);
  assert.notDeepEqual(other, expected, "other times would change the losses");
  device.close();
});
