import assert from "node:assert/strict";
import { combinations, completePlan, type GivenPlan, readPlan } from "../../../experiments/study/plan.ts";
import { cellId, unusedId } from "../../../experiments/study/plan_study.ts";
import { planNames, plans } from "../../../experiments/study/plans.ts";
import { planOf } from "./tiny_study.ts";

Deno.test("completePlan() fills in defaults, and gives settings one form", () => {
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
    /^Cannot use tEmb of mine: the grid varies it, and it is fixed \(expected one of them\)$/,
  ],
  [{ fixed: { share: 0.5 } }, /^Cannot fix share in mine: it tells cells apart/],
  [{ cells: [{ share: 0 }] }, /^Cannot use share 0 in cell 1 of mine: expected a number above 0 /],
  [{ seeds: [1, 1] }, /^Cannot use the seeds of mine: there is 1 twice$/],
  [
    { evaluation: { solvers: ["hein:steps=2"] } },
    /^Cannot use the solver "hein:steps=2": expected .* \(did you mean heun\?\)$/,
  ],
  [
    { evaluation: { solvers: ["heun:steps=2", "heun:steps=2"] } },
    /^Cannot use the solvers of mine: there is heun:steps=2 twice$/,
  ],
  [{ evaluation: { solver: "hein:steps=2" } }, /^Cannot use /],
  [
    { cells: [{ match: "size" }] },
    /^Cannot use match "size" in cell 1 of mine: expected parameters, arithmetic or time \(did you mean time\?\)$/,
  ],
];

Deno.test("completePlan() refuses what no study can have", () => {
  for (const [plan, message] of refusals) {
    assert.throws(() => planOf(plan), { name: "ConfigError", message });
  }
});

Deno.test("combinations() are those of the grid, then the cells", () => {
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
    message: "Cannot run the plan mine: it has neither a grid nor cells (expected one of them)",
  });
});

Deno.test("plans of the repository are complete", () => {
  for (const name of planNames) {
    const { doc, ...plan } = plans[name];
    assert.ok(
      doc.length > 0 && combinations(completePlan(readPlan({ name, ...plan }, name))).length > 0,
      name,
    );
  }
});

Deno.test("cellId() names a cell by the settings in which it differs", () => {
  assert.equal(cellId({ model: "residual", attn: false }, 1), "residual-attention-off-s1");
  assert.equal(
    cellId({ model: "base", attn: true, match: "parameters" }, 2),
    "base-attention-on-matched-parameters-s2",
  );
  assert.equal(cellId({ filters: "8,16,32", share: 0.25 }, 3), "filters-8-16-32-share-0.25-s3");
  assert.equal(cellId({ times: "u_shaped:a=2", batchSize: 64 }, 1), "times-u_shaped-a-2-batch-size-64-s1");
  assert.equal(cellId({}, 1), "default-s1");
  assert.equal(unusedId("base-s1", []), "base-s1");
  assert.equal(unusedId("base-s1", ["base-s1", "base-2-s1"]), "base-3-s1");
});
