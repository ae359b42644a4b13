import assert from "node:assert/strict";
import { join } from "node:path";
import { studyTask } from "../../../experiments/study.ts";
import { findPlan } from "../../../experiments/study/plans.ts";
import { findStudy } from "../../../experiments/study/study.ts";
import { testInFolder } from "../../folder.ts";
import { makeStudy } from "./tiny_study.ts";

const found = (argv: readonly string[], root?: string) => {
  const { plan, changes } = studyTask.parse(argv);
  return findPlan(plan, changes, root);
};

Deno.test("findPlan() takes a plan of the repository, and changes it by the flags", async () => {
  const { plan, folder } = await found([
    ...["networks", "--fixed", "filters=8,16,32;tEmb=32", "--seeds", "2", "--steps", "600", "--count", "500"],
    ...["--guidance", "1", "--milestones", "2", "--preset", "standard"],
    ...["--solvers", "euler:steps=4; heun:steps=2"],
  ]);
  assert.equal(folder, undefined);
  assert.deepEqual(plan.grid, { model: ["base", "residual"], attn: [false, true] });
  assert.deepEqual(plan.fixed, { filters: "8,16,32", tEmb: 32 });
  assert.deepEqual([plan.name, plan.preset, plan.seeds, plan.budget], ["networks", "standard", [1, 2], {
    steps: 600,
  }]);
  const { count, guidance, milestones, solvers } = plan.evaluation;
  assert.deepEqual([count, guidance, milestones, solvers], [500, 1, 2, ["euler:steps=4", "heun:steps=2"]]);
});

Deno.test("findPlan() makes a plan of flags", async () => {
  const { plan } = await found([
    "--grid",
    "model=base|residual;attn=true|false;tEmb=8|16",
    "--minutes",
    "0.5",
  ]);
  assert.deepEqual(plan.grid, { model: ["base", "residual"], attn: [true, false], tEmb: [8, 16] });
  assert.deepEqual([plan.name, plan.budget], ["grid", { minutes: 0.5 }]);
});

testInFolder("findPlan() reads a file, whose name is the plan's, with lists as lists", async (folder) => {
  const path = join(folder, "mine.json");
  await Deno.writeTextFile(
    path,
    JSON.stringify({ grid: { filters: [[8, 16], "16,32"] }, fixed: { model: "base" } }),
  );
  const { plan } = await found([path]);
  assert.deepEqual([plan.name, plan.grid], ["mine", { filters: ["8,16", "16,32"] }]);
});

testInFolder("findPlan() refuses fields that no plan has, and null", async (folder) => {
  const path = join(folder, "mine.json");
  const cases: readonly [plan: unknown, message: RegExp][] = [
    ...["name", "preset", "grid", "cells", "fixed", "seeds", "budget", "evaluation"].map((
      field,
    ): [unknown, RegExp] => [
      { grid: { model: ["base"] }, [field]: null },
      new RegExp(`^Cannot use ${field} null in .*mine\\.json: expected `),
    ]),
    ...["count", "seed", "courseImages", "bitsImages", "solvers", "milestones"].map((
      setting,
    ): [unknown, RegExp] => [
      { evaluation: { [setting]: null } },
      new RegExp(`^Cannot use ${setting} null in the evaluation of .*mine\\.json: expected `),
    ]),
    [{ gird: {} }, /^Unknown field gird in .*mine\.json \(did you mean grid\?\)$/],
    [{ budget: { steps: 0 } }, /^Cannot use budget \{"steps":0\} in .*: expected steps, /],
    [{ budget: { steps: 1, minutes: 1 } }, /^Cannot use budget /],
    [{ seeds: [] }, /^Cannot use seeds \[\] in .*: expected a list of at least one seed/],
    [{ seeds: [2 ** 32] }, /^Cannot use seeds \[4294967296\] in /],
    [{ evaluation: { milestones: 21 } }, /^Cannot use milestones 21 in the evaluation of .* of at most 20$/],
    [
      { evaluation: { count: 1 } },
      /^Cannot use count 1 in the evaluation of .*: expected a whole number of at least 2 /,
    ],
    [{ evaluation: { cuont: 1 } }, /^Unknown field cuont in the evaluation of .* \(did you mean count\?\)$/],
    [[], /it holds no JSON object/],
  ];
  for (const [plan, message] of cases) {
    await Deno.writeTextFile(path, JSON.stringify(plan));
    await assert.rejects(found([path]), { message });
  }
  await Deno.writeTextFile(path, '{"cells": [{}], "toString": 1}');
  await assert.rejects(found([path]), { name: "ConfigError", message: /^Unknown field toString in / });
});

Deno.test("study refuses settings that a flag gives twice, or not as NAME=VALUE", () => {
  for (
    const [flag, value] of [
      ["--grid", "model=base;attn=true|false;model=residual"],
      ["--fixed", "tEmb=8; tEmb = 16"],
      ["--fixed", "tEmb"],
      ["--fixed", "tEmb="],
      ["--grid", ""],
    ]
  ) {
    assert.throws(() => studyTask.parse(["networks", flag, value]), {
      name: "ConfigError",
      message: /^Cannot use --(grid|fixed) .*: expected settings such as .*, each once$/,
    });
  }
});

testInFolder("findPlan() finds a study by its folder, and by its name among the runs", async (folder) => {
  const study = await makeStudy(join(folder, "study-a"), { grid: { model: ["base"] } });
  assert.deepEqual(await found([study.folder]), { plan: study.plan, folder: study.folder });
  assert.deepEqual(await found(["study-a"], folder), { plan: study.plan, folder: study.folder });
  const { plan } = await found(["study-a", "--seeds", "5"], folder);
  assert.deepEqual(plan.seeds, [1, 2, 3, 4, 5]);
  assert.equal(await findStudy("study-b", folder), undefined);
});
