import assert from "node:assert/strict";
import { join } from "node:path";
import { init } from "../../../kernels/mod.ts";
import type { TrainingConfig } from "../../../experiments/cli/training.ts";
import type { GivenPlan, Plan } from "../../../experiments/study/plan.ts";
import {
  planCells,
  planLock,
  type PlanningOptions,
  planStudy,
  saveStudy,
} from "../../../experiments/study/plan_study.ts";
import { type Lock, tryLock } from "../../../experiments/run/run_folder.ts";
import { type Cell, makeStudyFolder, readStudy, requireStudy } from "../../../experiments/study/study.ts";
import { testInFolder } from "../../folder.ts";
import { writeTinyIdx } from "../data/tiny_idx.ts";
import { makeStudy, planning, planOf, tinyPlan } from "./tiny_study.ts";

async function planIn(folder: string, given: Partial<GivenPlan>) {
  await writeTinyIdx(`${folder}/data`, { train: 300, test: 360, classes: 4 });
  const { fixed, ...plan } = { ...tinyPlan, ...given };
  return planOf({ ...plan, fixed: { ...fixed, data: `${folder}/data` } });
}

/** Calls back with a device that counts networks. */
async function withCounting<T>(use: () => Promise<T>): Promise<T> {
  const device = await init({ device: "cpu", threads: 1 });
  return await use().finally(() => device.close());
}

const cellsOf = async (
  plan: Plan,
  { earlier = [], ...options }: Partial<PlanningOptions> & { earlier?: readonly Cell[] } = {},
) => (await withCounting(() => planCells(plan, earlier, { ...planning, ...options }))).cells;

testInFolder(
  "planCells() lists cells seed by seed, each once, with all settings that the plan names",
  async (folder) => {
    const plan = await planIn(folder, {
      grid: { model: ["base", "residual"] },
      cells: [{ model: "base", attn: true }, { model: "base", coupling: "independent" }, {
        model: "base",
        share: 1,
      }],
    });
    const cells = await cellsOf(plan);
    assert.deepEqual(cells.map(({ id }) => id), [
      ...["base-s1", "residual-s1", "base-attention-on-s1"],
      ...["base-s2", "residual-s2", "base-attention-on-s2"],
    ]);
    const [base, residual] = cells;
    assert.deepEqual([base.settings.attn, base.settings.filters, base.steps], [false, "8,16", 6]);
    assert.ok(residual.parameters > base.parameters && residual.multiplyAdds > base.multiplyAdds);
  },
);

testInFolder("planCells() matches the base network in parameters and arithmetic", async (folder) => {
  const cells = ["parameters", "arithmetic"].map((match) => ({ model: "base", match }));
  const plan = await planIn(folder, { grid: { model: ["residual"] }, cells, seeds: [1] });
  const said: string[] = [];
  const [residual, parameters, arithmetic] = await cellsOf(plan, { say: (line) => said.push(line) });
  const near = (a: number, b: number) => assert.ok(Math.abs(a / b - 1) < 0.02, `${a} and ${b}`);
  near(parameters.parameters, residual.parameters);
  near(arithmetic.multiplyAdds, residual.multiplyAdds);
  assert.notEqual(parameters.settings.filters, "8,16");
  assert.equal(parameters.settings.match, "parameters");
  assert.equal(residual.settings.match, "none");
  assert.match(
    said[0],
    /^base-matched-parameters: filters \d+,\d+ have \d\.\d{3} times \d+,\d+ parameters of the residual network with 8,16$/,
  );
});

testInFolder("planCells() matches the time per step by measuring it, once per study", async (folder) => {
  const plan = await planIn(folder, { cells: [{ model: "base", match: "time" }], seeds: [1] });
  const time = (configs: readonly TrainingConfig[]) => {
    assert.deepEqual(configs.map(({ model }) => model), ["base", "residual"], "measured alternately");
    const [{ filters: [first, second] }] = configs;
    return Promise.resolve([first + second, 40]);
  };
  const [first] = await cellsOf(plan, { time });
  assert.equal(first.settings.filters, "13,27", "40 units of time, like the residual network");
  const earlier = [{ ...first, settings: { ...first.settings, filters: "9,9" } }];
  const again = await cellsOf({ ...plan, seeds: [1, 2] }, {
    earlier,
    time: () => assert.fail("timed again"),
  });
  assert.deepEqual(again[0], earlier[0]);
  assert.deepEqual(again[1].settings, earlier[0].settings, "the cell of another seed");
});

testInFolder(
  "planCells() converts minutes to steps, takes a share, and keeps the steps of known seeds",
  async (folder) => {
    const plan = await planIn(folder, {
      grid: { share: [0.5, 1] },
      fixed: { ...tinyPlan.fixed, model: "base" },
      budget: { minutes: 0.01 },
      seeds: [1],
    });
    const earlier = await cellsOf(plan, { time: () => Promise.resolve([0.06]) });
    assert.deepEqual(earlier.map(({ steps, secondsPerStep }) => [steps, secondsPerStep]), [[5, 0.06], [
      10,
      0.06,
    ]]);
    const more = await cellsOf({ ...plan, seeds: [1, 2] }, {
      earlier,
      time: () => assert.fail("timed again"),
    });
    assert.deepEqual(more.map(({ steps }) => steps), [5, 10, 5, 10]);
  },
);

const impossible: readonly [GivenPlan, RegExp][] = [
  [
    { grid: { groups: [4, 5] }, fixed: { model: "residual", filters: "8,16", batchSize: 8 } },
    /^Cannot use --groups 5 with --filters 8,16: 5 does not divide 8, .* \(cell groups-5-s1 of the plan tiny\)$/,
  ],
  [
    { cells: [{ model: "base", muonLr: 0.1, optimizer: "sgd" }] },
    /^--muon-lr has no effect without --optimizer muon; .*\(cell base-muon-lr-0\.1-optimizer-sgd-s1/,
  ],
  [
    { cells: [{}] },
    /^Cannot run default-s1 of the plan tiny: it does not name a network \(expected model=residual or model=base in the grid or/,
  ],
  [
    { grid: { coupling: ["class_ot"] }, fixed: { model: "base", conditional: false } },
    /^Cannot use --coupling class_ot: it pairs within classes/,
  ],
  [
    { cells: [{ model: "base" }], evaluation: { count: 400 } },
    /^Cannot compare 400 samples: there are only 270 training images; use --count 270$/,
  ],
];

testInFolder("planCells() rejects cells that cannot be trained or evaluated", async (folder) => {
  for (const [given, message] of impossible) {
    const plan = await planIn(folder, given);
    await assert.rejects(cellsOf(plan), { name: "ConfigError", message });
  }
});

testInFolder(
  "planStudy() reports the cells that a changed plan adds and drops, and keeps all cells",
  async (folder) => {
    const study = `${folder}/study`;
    const first = await planIn(folder, { grid: { model: ["base", "residual"] }, seeds: [1] });
    const plan = (plan: typeof first) => withCounting(() => planStudy(study, plan, planning));
    assert.ok(await saveStudy(await plan(first), planning));
    const again = await plan(first);
    assert.deepEqual([again.known, again.added, again.dropped], [again.study, [], []]);
    assert.deepEqual(again.study, await readStudy(study), "the written study is the planned one");

    const more = await planIn(folder, { grid: { model: ["base"], attn: [false, true] }, seeds: [1, 2] });
    const changed = await plan(more);
    assert.deepEqual(changed.added.map(({ id }) => id), [
      ...["base-attention-on-s1", "base-attention-off-s2", "base-attention-on-s2"],
    ]);
    assert.deepEqual(changed.dropped.map(({ id }) => id), ["residual-s1"]);
    const unchanged = ({ id, seed, steps, parameters }: Cell) => [id, seed, steps, parameters];
    assert.deepEqual(changed.study.cells.slice(0, 2).map(unchanged), again.study.cells.map(unchanged));
    const [base, residual, , newBase] = changed.study.cells;
    assert.deepEqual(base.settings, newBase.settings, "seeds of one setup");
    assert.deepEqual(
      Object.keys(residual.settings),
      Object.keys(base.settings),
      "a dropped cell is also compared",
    );
    assert.notEqual(changed.study.digest, again.study.digest);

    const longer = await planIn(folder, { grid: first.grid, seeds: [1], budget: { steps: 7 } });
    await assert.rejects(plan(longer), {
      name: "ConfigError",
      message:
        `Cannot change budget of the study ${study} from {"steps":6} to {"steps":7}: its cells would not be ` +
        "comparable (expected --out DIR of another study)",
    });
  },
);

/** A study of one cell, and a function that plans it again with other seeds. */
async function planned(root: string) {
  const study = await makeStudy(join(root, "study"), { grid: { model: ["base"] }, seeds: [1] });
  const plan = (seeds: Plan["seeds"], folder = study.folder) =>
    withCounting(() => planStudy(folder, { ...study.plan, seeds }, planning));
  return { study, plan };
}

testInFolder("planStudy() does not start a study among other files", async (root) => {
  const { plan } = await planned(root);
  const folder = join(root, "run");
  await Deno.mkdir(join(folder, ".locks"), { recursive: true });
  await Deno.writeTextFile(join(folder, `.study.json.${"0".repeat(32)}.tmp`), ""); // of a program that was killed
  assert.equal((await plan([1], folder)).known, undefined);
  await Deno.writeTextFile(join(folder, "report.html"), "of a run");
  await assert.rejects(plan([1], folder), {
    name: "RunError",
    message:
      `Cannot start a study in ${folder}: it contains report.html but no study.json (expected a new or empty folder); ` +
      "choose another one with --out DIR",
  });
  await assert.rejects(plan([1], join(folder, "report.html")), {
    name: "RunError",
    message: /^Cannot use the folder .*report\.html: not a directory/,
  });
});

testInFolder("saveStudy() keeps cells that another program adds meanwhile", async (root) => {
  const { study, plan } = await planned(root);
  const own = await plan([1, 2]);
  const others = await plan([1, 3]);
  assert.ok(await saveStudy(others, planning));
  assert.equal(await saveStudy(own, planning), false);
  assert.deepEqual(await requireStudy(study.folder), others.study);
  assert.ok(await saveStudy(await plan([1, 2]), planning));
  const { cells } = await requireStudy(study.folder);
  assert.deepEqual(cells.map(({ id }) => id), ["base-s1", "base-s3", "base-s2"]);

  const folder = join(root, "new");
  const both = [await plan([1], folder), await plan([2], folder)];
  const saved = await Promise.all(both.map((planned) => saveStudy(planned, planning)));
  assert.deepEqual(saved.toSorted(), [false, true], "only one of two programs starts the study");
  assert.deepEqual(await requireStudy(folder), both[saved.indexOf(true)].study);
});

testInFolder(
  "saveStudy() names the program that holds the plan, and stops waiting on a signal",
  async (root) => {
    const { study, plan } = await planned(root);
    const more = await plan([1, 2]);
    using _ = await tryLock(await makeStudyFolder(study, "locks"), planLock) as Lock;
    const stop = new AbortController();
    const said: string[] = [];
    const say = (line: string) => {
      said.push(line);
      stop.abort();
    };
    assert.equal(await saveStudy(more, { say, signal: stop.signal }), false);
    assert.equal(said.length, 1);
    const holder = `process ${Deno.pid}( on .+)? since .+`;
    assert.match(said[0], new RegExp(`^Waiting to change the plan of .*study, which ${holder} is changing$`));
    assert.deepEqual(await requireStudy(study.folder), study);
  },
);
