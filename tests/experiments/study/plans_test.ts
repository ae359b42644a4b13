import assert from "node:assert/strict";
import { join } from "node:path";
import { studyTask } from "../../../experiments/study.ts";
import { findPlan } from "../../../experiments/study/plans.ts";
import { findStudy } from "../../../experiments/study/study.ts";
import { testInFolder } from "../../folder.ts";
import { makeStudy } from "./tiny_study.ts";

const found = (argv: readonly string[], root?: string) => findPlan(studyTask.parse(argv), root);

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

testInFolder("findPlan() refuses null, for which a plan leaves a field out", async (folder) => {
  const path = join(folder, "mine.json");
  for (const field of ["name", "preset", "grid", "cells", "fixed", "seeds", "budget", "evaluation"]) {
    await Deno.writeTextFile(path, JSON.stringify({ grid: { model: ["base"] }, [field]: null }));
    const message = new RegExp(`^Cannot use the plan .*mine\\.json: ${field} is null \\(expected `);
    await assert.rejects(found([path]), { name: "ConfigError", message });
  }
  const settings = [
    "count",
    "seed",
    "courseImages",
    "bitsImages",
    "solvers",
    "solver",
    "guidance",
    "milestones",
  ];
  for (const setting of settings) {
    await Deno.writeTextFile(path, JSON.stringify({ cells: [{}], evaluation: { [setting]: null } }));
    const message =
      /^Cannot use the plan .*: evaluation is .*null.* \(expected an object with some of count, /;
    await assert.rejects(found([path]), { name: "ConfigError", message });
  }
  await Deno.writeTextFile(path, '{"cells": [{}], "toString": 1}');
  await assert.rejects(found([path]), { name: "ConfigError", message: /^Unknown field toString in / });
});

Deno.test("findPlan() refuses a setting that a flag gives twice", async () => {
  await assert.rejects(found(["--grid", "model=base;attn=true|false;model=residual"]), {
    name: "ConfigError",
    message: "Cannot use --grid model=base;attn=true|false;model=residual: model is given twice " +
      "(expected each setting once)",
  });
  await assert.rejects(found(["networks", "--fixed", "tEmb=8; tEmb = 16"]), {
    name: "ConfigError",
    message: /^Cannot use --fixed tEmb=8; tEmb = 16: tEmb is given twice /,
  });
});

testInFolder("findPlan() finds a study by its folder, and by its name among the runs", async (folder) => {
  const study = await makeStudy(join(folder, "study-a"), { grid: { model: ["base"] } });
  assert.deepEqual(await found([study.folder]), { plan: study.plan, folder: study.folder });
  assert.deepEqual(await found(["study-a"], folder), { plan: study.plan, folder: study.folder });
  const { plan } = await found(["study-a", "--seeds", "5"], folder);
  assert.deepEqual(plan.seeds, [1, 2, 3, 4, 5]);
  assert.equal(await findStudy("study-b", folder), undefined);
});
