import assert from "node:assert/strict";
import { combinations } from "../../../experiments/study/combinations.ts";
import { completePlan, type GivenPlan } from "../../../experiments/study/complete_plan.ts";
import { planNames, plans } from "../../../experiments/study/plans/plans.ts";

Deno.test("completePlan() fills in the usual values, and gives settings one form", () => {
  const plan = completePlan({
    name: "mine",
    grid: { filters: ["8,16", "16,32"], tEmb: ["64", 32] },
    fixed: { attn: true, batchSize: "64" },
  });
  assert.deepEqual(plan.grid, { filters: ["8,16", "16,32"], tEmb: [64, 32] });
  assert.deepEqual(plan.fixed, { attn: true, batchSize: 64 });
  assert.deepEqual(plan.seeds, [1, 2, 3]);
  assert.equal(plan.preset, "quick");
  assert.equal(plan.evaluation.count, 1000);
});

const refusals: Record<string, [Partial<GivenPlan>, RegExp]> = {
  "an unknown setting": [
    { grid: { atn: [true] } },
    /^Unknown setting atn in the grid of mine \(did you mean attn\?\)$/,
  ],
  "a value that the train task refuses": [
    { grid: { coupling: ["ots"] } },
    /^Cannot use coupling "ots" in the grid of mine: expected independent, ot or class_ot \(did you mean ot\?\)$/,
  ],
  "a setting of the study itself": [
    { fixed: { maxSteps: 4 } },
    /^Cannot use maxSteps in the fixed settings of mine: a study sets it \(expected the budget\)$/,
  ],
  "a value that stands twice": [
    { grid: { tEmb: [8, "8"] } },
    /^Cannot use the grid of mine: tEmb has 8 twice$/,
  ],
  "a setting that is varied and fixed": [
    { grid: { tEmb: [8] }, fixed: { tEmb: 8 } },
    /^Cannot use tEmb of mine: the grid varies it, and it is fixed \(expected one of them\)$/,
  ],
  "no seeds": [{ seeds: [] }, /^Cannot run the plan mine: it has no seeds \(expected at least one\)$/],
  "a seed that stands twice": [{ seeds: [1, 1] }, /^Cannot use the seed 1 of mine: it is given twice$/],
  "a solver that there is not": [
    { evaluation: { solvers: ["hein:steps=2"] } },
    /^Cannot use the solver "hein:steps=2": expected .* \(did you mean heun\?\)$/,
  ],
  "too many milestones": [
    { evaluation: { milestones: 21 } },
    /^Cannot use 21 milestones in the evaluation of mine \(expected 0 to 20\)$/,
  ],
  "too few samples for an evaluation": [
    { evaluation: { count: 1 } },
    /^Cannot use count 1 in the evaluation of mine: expected a whole number of at least 2 and of at most 100000$/,
  ],
  "an unknown way to match": [
    { cells: [{ match: "size" }] },
    /^Cannot use match "size" in cell 1 of mine: expected parameters, arithmetic, time \(did you mean time\?\)$/,
  ],
};
for (const [what, [plan, message]] of Object.entries(refusals)) {
  Deno.test(`completePlan() refuses ${what}`, () => {
    assert.throws(() => completePlan({ name: "mine", ...plan }), { name: "ConfigError", message });
  });
}

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
  assert.throws(() => combinations({ name, grid: { attn: [] }, cells: [{}] }), {
    message: "Cannot use the grid of mine: attn has no values (expected at least one)",
  });
});

Deno.test("every plan of the repository can be completed", () => {
  for (const name of planNames) {
    const { doc, ...plan } = plans[name as keyof typeof plans];
    assert.ok(doc.length > 0 && combinations(completePlan({ name, ...plan })).length > 0, name);
  }
});
