import assert from "node:assert/strict";
import { join } from "node:path";
import { type GivenPlan, readPlan } from "../../../experiments/study/plan.ts";
import { milestonesOf } from "../../../experiments/study/run_cell.ts";
import { cellFolder, openStudy, readStudy } from "../../../experiments/study/study.ts";
import { readResults } from "../../../experiments/study/summary.ts";
import { UserError } from "../../../kernels/mod.ts";
import { testInFolder } from "../../folder.ts";
import { writeTinyIdx } from "../data/tiny_idx.ts";
import { mutateText, randomOf } from "../mutations.ts";
import { judgedTwice, writeMadeUpStudy } from "./made_up_study.ts";
import { tinyPlan } from "./tiny_study.ts";

/** A plan on made-up data with few or enough test images. */
async function planIn(folder: string, given: GivenPlan = {}, test = 360) {
  const data = join(folder, "data");
  await writeTinyIdx(data, { train: 300, test, classes: 4 });
  const { evaluation: { count: _, ...evaluation } } = tinyPlan;
  const fixed = { ...tinyPlan.fixed, data, ...given.fixed };
  return readPlan({
    ...tinyPlan,
    grid: { model: ["base"] },
    ...given,
    fixed,
    evaluation: { ...evaluation, ...given.evaluation },
  }, "mine");
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
    await assert.rejects(openStudy(folder, await planIn(root, given)), (error: Error) => {
      assert.ok(error.message.startsWith(`Cannot continue the study ${folder}: ${how}`), error.message);
      return /\(expected the same plan, or a new study with --out DIR\)$/.test(error.message);
    });
  }
  assert.deepEqual(await readStudy(folder), both[0]);
});

testInFolder("openStudy() starts no study among other files", async (root) => {
  const folder = join(root, "run");
  await Deno.mkdir(folder);
  await Deno.writeTextFile(join(folder, ".study.json.tmp"), ""); // of a program that was killed
  await Deno.writeTextFile(join(folder, "report.html"), "of a run");
  const plan = await planIn(root);
  await assert.rejects(openStudy(folder, plan), {
    name: "RunError",
    message:
      `Cannot start a study in ${folder}: it holds report.html but no study.json (expected a new or empty ` +
      "folder); choose another one with --out DIR",
  });
  await assert.rejects(openStudy(join(folder, "report.html"), plan), { name: "RunError" });
  await Deno.remove(join(folder, "report.html"));
  await openStudy(folder, plan);
});

testInFolder(
  "openStudy() takes as many samples as the data of all cells allows, before they are trained",
  async (root) => {
    const countIn = async (folder: string, given: GivenPlan, test?: number) =>
      (await openStudy(join(root, folder), await planIn(root, given, test))).count;
    assert.equal(await countIn("a", {}), 270, "nine tenths of the training images");
    assert.equal(await countIn("b", { grid: { model: ["base"], trainLimit: [200, 250] } }), 200);
    assert.equal(await countIn("c", { evaluation: { count: 169 } }), 169);
    await assert.rejects(countIn("d", { evaluation: { count: 400 } }), {
      message: /^Cannot compare 400 samples: /,
    });
  },
);

testInFolder("readStudy() and readResults() describe any damage to a file in one line", async (folder) => {
  await writeMadeUpStudy(folder, judgedTwice);
  const readAll = async () => await readResults((await readStudy(folder))!);
  assert.equal((await readAll()).length, 6);
  for (const name of ["study.json", join("cells", "base-s1", "cell.json")]) {
    const path = join(folder, name);
    const whole = await Deno.readTextFile(path);
    const random = randomOf(46020);
    for (let i = 0; i < 40; i++) {
      await Deno.writeFile(path, mutateText(whole, random));
      await readAll().catch((error) => {
        assert.ok(error instanceof UserError && error.message.includes(path), error.stack);
      });
    }
    await Deno.writeTextFile(path, '{"version": 1}');
    await assert.rejects(readAll(), { name: "RunError", message: new RegExp(`^Cannot read ${path}: `) });
    await Deno.writeTextFile(path, whole);
  }
  await Deno.remove(join(cellFolder({ folder }, { id: "base-s1" }), "cell.json"));
  assert.equal((await readAll()).length, 5);
  assert.equal(await readStudy(join(folder, "cells")), undefined);
});

Deno.test("milestonesOf() halves the training as often as possible, and lists the earliest step first", () => {
  assert.deepEqual(milestonesOf(1000, 3), [125, 250, 500]);
  assert.deepEqual(milestonesOf(1001, 1), [501]);
  assert.deepEqual(milestonesOf(1000, 0), []);
  assert.deepEqual(milestonesOf(6, 20), [1, 2, 3]);
  assert.deepEqual(milestonesOf(1, 4), []);
});
