import assert from "node:assert/strict";
import { join } from "node:path";
import { studyTask } from "../../../experiments/study.ts";
import { combinations, completePlan, type GivenPlan, readPlan } from "../../../experiments/study/plan.ts";
import { cellId, unusedId } from "../../../experiments/study/plan_study.ts";
import { findPlan, planNames, plans } from "../../../experiments/study/plans.ts";
import { findStudy } from "../../../experiments/study/study.ts";
import { testInFolder } from "../../folder.ts";
import { makeStudy, planOf } from "./tiny_study.ts";

Deno.test("completePlan() fills in defaults, and normalises settings", () => {
  const plan = planOf({
    grid: { filters: ["8,16", "16,32"], tEmb: ["64", 32] },
    fixed: { attn: true, batchSize: "64" },
  });
  assert.deepEqual(plan.grid, { filters: ["8,16", "16,32"], tEmb: [64, 32] });
  assert.deepEqual(plan.fixed, { attn: true, batchSize: 64 });
  assert.deepEqual([plan.seeds, plan.preset, plan.evaluation.count], [[1, 2, 3], "quick", 1000]);
  assert.deepEqual(completePlan(plan), plan);
});

const refusals: readonly [GivenPlan, RegExp][] = [
  [{ grid: { atn: [true] } }, /^Unknown setting atn in the grid of mine \(did you mean attn\?\)$/],
  [
    { grid: { coupling: ["ots"] } },
    /^Cannot use coupling "ots" in the grid of mine: expected independent, ot or class_ot \(did you mean ot\?\)$/,
  ],
  [
    { fixed: { maxSteps: 4 } },
    /^Cannot use maxSteps in the fixed settings of mine: a study sets it \(expected the budget\)$/,
  ],
  [{ grid: { tEmb: [8, "8"] } }, /^Cannot use the grid of mine: tEmb has 8 twice$/],
  [{ grid: { attn: [] }, cells: [{}] }, /^Cannot use the grid of mine: attn has no values /],
  [
    { grid: { tEmb: [8] }, fixed: { tEmb: 8 } },
    /^Cannot use tEmb of mine: it is both in the grid and fixed \(expected one of them\)$/,
  ],
  [{ fixed: { share: 0.5 } }, /^Cannot fix share in mine: it varies by cell/],
  [{ cells: [{ share: 0 }] }, /^Cannot use share 0 in cell 1 of mine: expected a number above 0 /],
  [{ seeds: [1, 1] }, /^Cannot use the seeds of mine: there is 1 twice$/],
  [
    { evaluation: { solvers: ["hein:steps=2"] } },
    /^Cannot use solvers .* in the evaluation of mine: hein:steps=2: expected .* \(did you mean heun\?\)$/,
  ],
  [
    { evaluation: { solvers: ["heun:steps=2", "heun:steps=2"] } },
    /^Cannot use solvers .* in the evaluation of mine: heun:steps=2 is listed twice$/,
  ],
  [{ evaluation: { solver: "hein:steps=2" } }, /^Cannot use /],
  [
    { cells: [{ match: "size" }] },
    /^Cannot use match "size" in cell 1 of mine: expected parameters, arithmetic or time \(did you mean time\?\)$/,
  ],
];

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1);
const tooMany = (cells: string) =>
  new RegExp(
    `^Cannot run the plan mine: its grid, cells and seeds give ${cells} cells \\(expected at most 1,000\\); use fewer `,
  );
const tooLarge: readonly [GivenPlan, RegExp][] = [
  [
    { grid: Object.fromEntries(["tEmb", "lr", "batchSize", "groups"].map((name) => [name, numbers(300)])) },
    tooMany("24,300,000,000"),
  ],
  [{ cells: [{}], seeds: numbers(20_000) }, tooMany("20,000")],
  [{ grid: { tEmb: numbers(1000) }, cells: [{}], seeds: [1] }, tooMany("1,001")],
];

Deno.test("completePlan() rejects invalid plans, and too many cells before listing them", () => {
  for (const [plan, message] of [...refusals, ...tooLarge]) {
    assert.throws(() => planOf(plan), { name: "ConfigError", message });
  }
  assert.equal(combinations(planOf({ grid: { tEmb: numbers(500) }, seeds: [1, 2] })).length, 500);
});

Deno.test("combinations() lists the grid, then the cells", () => {
  const name = "mine";
  assert.deepEqual(combinations({ name, grid: { a: [1, 2], b: [true, false] }, cells: [{ c: "x" }] }), [
    { a: 1, b: true },
    { a: 1, b: false },
    { a: 2, b: true },
    { a: 2, b: false },
    { c: "x" },
  ]);
  assert.deepEqual(combinations({ name, grid: {}, cells: [{}] }), [{}]);
  assert.throws(() => combinations({ name, grid: {}, cells: [] }), {
    message: "Cannot run the plan mine: it has neither a grid nor cells (expected at least one of them)",
  });
});

Deno.test("built-in plans are complete", () => {
  for (const name of planNames) {
    const { doc, ...plan } = plans[name];
    assert.ok(
      doc.length > 0 && combinations(completePlan(readPlan({ name, ...plan }, name))).length > 0,
      name,
    );
  }
});

Deno.test("cellId() names a cell after its distinguishing settings", () => {
  assert.equal(cellId({ model: "residual", attn: false }, 1), "residual-attention-off-s1");
  assert.equal(
    cellId({ model: "base", attn: true, match: "parameters" }, 2),
    "base-attention-on-matched-parameters-s2",
  );
  assert.equal(cellId({ filters: "8,16,32", share: 0.25 }, 3), "filters-8-16-32-share-0.25-s3");
  assert.equal(cellId({ times: "u_shaped:a=2", batchSize: 64 }, 1), "times-u_shaped-a-2-batch-size-64-s1");
  assert.equal(cellId({}, 1), "default-s1");
  assert.equal(unusedId("base-s1", new Set()), "base-s1");
  assert.equal(unusedId("base-s1", new Set(["base-s1", "base-2-s1"])), "base-3-s1");
});

const found = (argv: readonly string[], root?: string) => {
  const { plan, changes } = studyTask.parse(argv);
  return findPlan(plan, changes, root);
};

Deno.test("findPlan() finds a built-in plan, and applies flags to it", async () => {
  const { plan, folder } = await found([
    ...["networks", "--fixed", "filters=8,16,32;tEmb=32", "--seeds", "2", "--steps", "600", "--count", "500"],
    ...["--guidance", "1", "--milestones", "2", "--preset", "standard"],
    ...["--solvers", "euler:steps=4, heun:steps=2"],
  ]);
  assert.equal(folder, undefined);
  assert.deepEqual(plan.grid, { model: ["base", "residual"], attn: [false, true] });
  assert.deepEqual(plan.fixed, { filters: "8,16,32", tEmb: 32 });
  const { name, preset, seeds, budget, evaluation: { count, guidance, milestones, solvers } } = plan;
  assert.deepEqual([name, preset, seeds, budget], ["networks", "standard", [1, 2], { steps: 600 }]);
  assert.deepEqual([count, guidance, milestones, solvers], [500, 1, 2, ["euler:steps=4", "heun:steps=2"]]);
});

testInFolder(
  "findPlan() builds a plan from flags, or from a file whose name becomes the plan's",
  async (folder) => {
    const grid = "model=base|residual;attn=true|false;tEmb=8|16";
    const { plan } = await found(["--grid", grid, "--minutes", "0.5"]);
    assert.deepEqual(plan.grid, { model: ["base", "residual"], attn: [true, false], tEmb: [8, 16] });
    assert.deepEqual([plan.name, plan.budget], ["grid", { minutes: 0.5 }]);
    const path = join(folder, "mine.json");
    const json = { grid: { filters: [[8, 16], "16,32"] }, fixed: { model: "base" } };
    await Deno.writeTextFile(path, JSON.stringify(json));
    const { plan: own } = await found([path]);
    assert.deepEqual([own.name, own.grid], ["mine", { filters: ["8,16", "16,32"] }]);
  },
);

testInFolder("findPlan() rejects unknown fields and null", async (folder) => {
  const path = join(folder, "mine.json");
  const fields = ["name", "preset", "grid", "cells", "fixed", "seeds", "budget", "evaluation"];
  const ofEvaluation = [
    "count",
    "seed",
    "courseImages",
    "bitsImages",
    "solvers",
    "milestones",
  ];
  const cases: [plan: unknown, message: string][] = [
    ...fields.map((field): [unknown, string] => [
      { grid: { model: ["base"] }, [field]: null },
      `Cannot use ${field} null in ${path}: expected `,
    ]),
    ...ofEvaluation.map((field): [unknown, string] => [
      { evaluation: { [field]: null } },
      `Cannot use ${field} null in the evaluation of ${path}: expected `,
    ]),
    [{ gird: {} }, `Unknown field gird in ${path} (did you mean grid?)`],
    [{ toString: 1 }, `Unknown field toString in ${path}`],
    [{ budget: { steps: 0 } }, `Cannot use budget {"steps":0} in ${path}: expected steps (`],
    [{ budget: { steps: 1, minutes: 1 } }, "Cannot use budget "],
    [{ seeds: [] }, `Cannot use seeds [] in ${path}: expected a list of at least one seed`],
    [{ seeds: [2 ** 32] }, "Cannot use seeds [4294967296] in "],
    [{ evaluation: { milestones: 21 } }, "Cannot use milestones 21 in the evaluation of "],
    [{ evaluation: { count: 1 } }, "Cannot use count 1 in the evaluation of "],
    [{ evaluation: { cuont: 1 } }, `Unknown field cuont in the evaluation of ${path} (did you mean count?)`],
    [[], `Cannot read ${path}: it is not a JSON object`],
  ];
  for (const [plan, message] of cases) {
    await Deno.writeTextFile(path, JSON.stringify(plan));
    await assert.rejects(found([path]), (error: Error) => {
      assert.equal(error.message.slice(0, message.length), message);
      return true;
    });
  }
});

Deno.test("study rejects settings that a flag sets twice, or not as NAME=VALUE", () => {
  for (const text of ["model=base;attn=true;model=residual", "tEmb=8; tEmb = 16", "tEmb", "tEmb=", ""]) {
    for (const flag of ["--grid", "--fixed"]) {
      assert.throws(() => studyTask.parse(["networks", flag, text]), {
        name: "ConfigError",
        message: /^Cannot use --(grid|fixed) .*: expected settings such as .*, each once$/,
      });
    }
  }
});

testInFolder("findPlan() finds a study by its folder, and by its name among the runs", async (folder) => {
  const study = await makeStudy(join(folder, "study-a"), { grid: { model: ["base"] } });
  assert.deepEqual(await found([study.folder]), { plan: study.plan, folder: study.folder });
  const { plan, folder: same } = await found(["study-a", "--seeds", "5"], folder);
  assert.deepEqual([plan.seeds, same], [[1, 2, 3, 4, 5], study.folder]);
  assert.equal(await findStudy("study-b", folder), undefined);
});
