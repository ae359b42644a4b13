import assert from "node:assert/strict";
import { join } from "node:path";
import { combinations, expandPlan } from "../../../experiments/study/cells.ts";
import { findPlan, planNames } from "../../../experiments/study/find_plan.ts";
import { type CellSettings, type GivenPlan, readPlan } from "../../../experiments/study/plan.ts";
import { testInFolder } from "../../folder.ts";

const planOf = (given: GivenPlan) => readPlan({ name: "mine", ...given }, "mine.json");

Deno.test("readPlan() fills in defaults, and writes equal settings alike", () => {
  const plan = planOf({
    grid: { filters: ["8,16", "16,32"], tEmb: ["64", 32] },
    fixed: { attn: true, batchSize: "64" },
  });
  assert.deepEqual(plan.grid, { filters: [[8, 16], [16, 32]], tEmb: [64, 32] });
  assert.deepEqual(plan.fixed, { attn: true, batchSize: 64 });
  assert.deepEqual([plan.seeds, plan.preset, plan.steps], [[1, 2, 3], "quick", 1000]);
  const { count, milestones, bitsImages, courseImages } = plan.evaluation;
  assert.deepEqual([count, milestones, bitsImages, courseImages], [null, 0, 0, 64]);
  assert.deepEqual(readPlan(plan, "again"), plan);
});

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1);
const fields = ["name", "preset", "grid", "cells", "fixed", "seeds", "steps", "evaluation"];

const mistakes: readonly [plan: unknown, message: string][] = [
  [[], "Cannot read mine.json: expected an object with the fields name, preset, "],
  [{ gird: {} }, "Unknown field gird in mine.json (did you mean grid?)"],
  ...fields.map((field): [unknown, string] => [
    { name: "mine", [field]: null },
    `Cannot use ${field} null in mine.json: expected `,
  ]),
  [{ seeds: [] }, "Cannot use seeds [] in mine.json: expected a list of at least one seed"],
  [{ seeds: [1, 1] }, "Cannot use seeds [1,1] in mine.json: expected "],
  [{ seeds: [2 ** 32] }, "Cannot use seeds [4294967296] in mine.json: expected "],
  [{ steps: 0 }, "Cannot use steps 0 in mine.json: expected a whole number of at least 1"],
  [{ evaluation: { milestones: 21 } }, "Cannot use milestones 21 in the evaluation of mine.json: "],
  [{ evaluation: { cuont: 1 } }, "Unknown field cuont in the evaluation of mine.json (did you mean count?)"],
  [{ evaluation: { solver: "hein:steps=2" } }, "Cannot use solver "],
  [{ evaluation: { solvers: ["heun:steps=2", "heun:steps=2"] } }, "Cannot use solvers "],
  [{ grid: { atn: [true] } }, "Unknown setting atn in the grid of mine (did you mean attn?)"],
  [{ grid: { coupling: ["ots"] } }, 'Cannot use coupling "ots" in the grid of mine: expected '],
  [{ grid: { tEmb: [8, "8"] } }, "Cannot use the grid of mine: tEmb has 8, 8 (expected values, each once)"],
  [{ grid: { attn: [] } }, "Cannot use the grid of mine: attn has no values "],
  [{ grid: { tEmb: [8] }, fixed: { tEmb: 8 } }, "Cannot use tEmb of mine: it is both in the grid and fixed"],
  [{ fixed: { maxSteps: 4 } }, "Cannot use maxSteps in the fixed settings of mine: a study sets it "],
  [{ cells: [{ share: 0 }] }, "Cannot use share 0 in cell 1 of mine: expected a number above 0 "],
];

const [many, grid] = ["Cannot run the plan mine: its grid, cells and seeds give more than 1,000 cells ", {
  ...Object.fromEntries(["tEmb", "lr", "batchSize", "groups"].map((name) => [name, numbers(300)])),
}];

/** Plans whose cells cannot be made. */
const impossible: readonly [GivenPlan, string][] = [
  [{}, "Cannot run the plan mine: it has neither a grid nor cells (expected at least one of them)"],
  [{ grid }, many],
  [{ cells: [{}], seeds: numbers(1001) }, many],
  [{ cells: [{}] }, "Cannot run default-s1 of the plan mine: it does not name a network (expected model="],
  [{ cells: [{ model: "base", muonLr: 0.1, optimizer: "sgd" }] }, "--muon-lr has no effect without --opt"],
  [
    { grid: { groups: [4, 5] }, fixed: { model: "residual", filters: "8,16" } },
    "Cannot use --groups 5 with --filters 8,16: 5 does not divide 8",
  ],
];

Deno.test("readPlan() and expandPlan() refuse invalid plans in one line", () => {
  const begins = (words: string) => ({ name: "ConfigError", message: RegExp(`^${RegExp.escape(words)}`) });
  for (const [plan, words] of mistakes) {
    const json = Array.isArray(plan) ? plan : { name: "mine", ...Object(plan) };
    assert.throws(() => readPlan(json, "mine.json"), begins(words));
  }
  for (const [plan, words] of impossible) assert.throws(() => expandPlan(planOf(plan)), begins(words));
  assert.throws(() => expandPlan(planOf(impossible.at(-1)![0])), /\(cell groups-5-s1 of the plan mine\)$/);
  assert.equal(combinations(planOf({ grid: { tEmb: numbers(500) }, seeds: [1, 2] })).length, 500);
});

Deno.test("combinations() lists the grid, then the cells; built-in plans have some", async () => {
  const plan = planOf({ grid: { groups: [1, 2], attn: [true, false] }, cells: [{ tEmb: 8 }] });
  const grid = [1, 2].flatMap((groups) => [true, false].map((attn) => ({ groups, attn })));
  assert.deepEqual(combinations(plan), [...grid, { tEmb: 8 }]);
  for (const name of planNames) assert.ok(combinations(await findPlan(name)).length > 0, name);
});

Deno.test("expandPlan() lists cells seed by seed, each run once, with all settings that the plan names", () => {
  const own: CellSettings[] = [{ attn: true }, { coupling: "independent" }, { share: 0.5 }];
  const plan = planOf({
    grid: { model: ["base", "residual"] },
    cells: own.map((cell) => ({ model: "base", ...cell })),
    ...{ fixed: { filters: "8,16", groups: 4 }, seeds: [7, 3], steps: 5 },
  });
  const planned = expandPlan(plan);
  const cells = planned.map(({ cell }) => cell);
  const names = { base: 5, residual: 5, "base-attention-on": 5, "base-share-0.5": 3 };
  const of = (seed: number) =>
    Object.entries(names).map(([name, steps]) => [`${name}-s${seed}`, seed, steps]);
  assert.deepEqual(cells.map(({ id, seed, steps }) => [id, seed, steps]), [...of(7), ...of(3)]);
  const [base, residual] = cells;
  const common = { attn: false, coupling: "independent", share: 1, filters: "8,16" };
  assert.deepEqual(base.settings, { model: "base", ...common, groups: 8 }, "no normalisation to group");
  assert.deepEqual(residual.settings, { model: "residual", ...common, groups: 4 });
  const { seed, length, sampleEpochs, filters } = planned[4].set;
  assert.deepEqual([seed, length.steps, sampleEpochs, filters], [3, 5, 0, [8, 16]]);
  const narrow = planOf({ fixed: plan.fixed, cells: [{ model: "base", filters: "4,8" }] });
  assert.deepEqual(expandPlan(narrow)[0].set.filters, [4, 8], "a cell's own setting counts");
});

Deno.test("cells are named after the settings they differ in", () => {
  const cells: [GivenPlan["fixed"], id: string][] = [
    [{}, "default-s2"],
    [{ attn: false, filters: "16,32" }, "attention-off-filters-16-32-s2"],
    [{ times: "u_shaped:a=2", batchSize: 64 }, "times-u_shaped-a-2-batch-size-64-s2"],
    [{ data: "a/b" }, "data-a-b-s2"],
    [{ data: "a-b" }, "data-a-b-2-s2"],
  ];
  const plan = { seeds: [2], fixed: { model: "residual" }, cells: cells.map(([settings]) => settings!) };
  assert.deepEqual(expandPlan(planOf(plan)).map(({ cell }) => cell.id), cells.map(([, id]) => id));
});

testInFolder("findPlan() reads a plan from a file, and changes it by settings and flags", async (folder) => {
  const settings = ["filters=8,16", "attn=true", "tEmb=32", "tEmb=64"];
  const flags = { preset: "standard", seeds: 2, steps: 600, count: 500 } as const;
  const message = /^Cannot use path "a=b" in the fixed settings of networks: /;
  await assert.rejects(findPlan("networks", [...settings, "path=a=b"], flags), { message });
  const plan = await findPlan("networks", settings, flags);
  assert.deepEqual(plan.grid, { model: ["base", "residual"], tEmb: [32, 64] });
  assert.deepEqual(plan.fixed, { filters: [8, 16], attn: true });
  const { name, preset, seeds, steps, evaluation: { count } } = plan;
  assert.deepEqual([name, preset, seeds, steps, count], ["networks", "standard", [1, 2], 600, 500]);
  const own = await findPlan(undefined, ["model=base", "model=residual", "attn=false"]);
  const read = ({ name, grid, fixed }: typeof own) => [name, grid, fixed];
  assert.deepEqual(read(own), ["grid", { model: ["base", "residual"] }, { attn: false }]);

  const path = join(folder, "mine.json");
  const write = (json: unknown) => Deno.writeTextFile(path, JSON.stringify(json));
  await write({ grid: { filters: [[8, 16], "16,32"] }, fixed: { model: "base" } });
  const changed = await findPlan(path, ["filters=4,8"]);
  assert.deepEqual(read(changed), ["mine", {}, { model: "base", filters: [4, 8] }]);
  await write([]);
  await assert.rejects(findPlan(path), /^RunError: Cannot read .*mine\.json: it is not a JSON obj/);
});
