import assert from "node:assert/strict";
import { presets } from "../../experiments/settings/training.ts";
import { tryLock } from "../../experiments/run/run_lock.ts";
import type { CellResult } from "../../experiments/study/cell_result.ts";
import { type Ended, ended, testTask, type Workplace } from "./cli.ts";
import { testRefusals } from "./refusals.ts";
import { makePlan, makeStudy, tinyPlan, writePlan } from "./study/tiny_study.ts";

const cells = ["base-s1", "residual-s1"];
const quickly = "--device cpu --threads 1";
const oneSeed = { seeds: [1] };

const jsonIn = async (place: Workplace, ...names: string[]) =>
  JSON.parse(await Deno.readTextFile(place.file(...names)));

/** Whether a study has a file. */
const exists = (place: Workplace, ...names: string[]) =>
  Deno.stat(place.file(...names)).then(() => true, () => false);

/** Results without values that depend on the clock. */
async function resultsOf(place: Workplace, study: string) {
  return await Promise.all(cells.map(async (cell) => {
    const { seconds, course = [], ...result }: CellResult = await jsonIn(
      place,
      study,
      "cells",
      cell,
      "cell.json",
    );
    assert.ok(seconds > 0);
    assert.ok(course.every((point) => point.seconds >= 0 && point.seconds <= seconds));
    return { ...result, course: course.map(({ images, frechet }) => ({ images, frechet })) };
  }));
}

/** Starts a study, and sends a signal once a file exists. */
async function interrupt(
  place: Workplace,
  flags: string,
  file: readonly string[],
  signal: Deno.Signal,
): Promise<Ended> {
  const process = place.start("study", flags);
  let running = true;
  const end = ended(process).finally(() => running = false);
  while (running && !await exists(place, ...file)) await new Promise((resolve) => setTimeout(resolve, 5));
  if (!running) assert.fail(`it ended before ${file.join("/")} was there: ${(await end).stderr}`);
  process.kill(signal);
  return await end;
}

testTask(
  "study trains and evaluates every cell once, even several at a time",
  async (place) => {
    const plan = {
      ...oneSeed,
      evaluation: { ...tinyPlan.evaluation, milestones: 1, solvers: ["euler:steps=2", "heun:steps=1"] },
    };
    await makePlan(place, plan);
    const env = { MLFLOW_RUN_NAME: "mine" };
    const { stderr } = await place.succeed("study", `plan.json --out one ${quickly} --jobs 2`, env);
    assert.match(stderr, /2\/2 cells .* elapsed/);
    const results = await resultsOf(place, "one");
    for (const { course, images, figures } of results) {
      assert.deepEqual(course.map(({ images }) => images), [24, 48]);
      assert.equal(course[1].frechet, figures.frechet);
      assert.ok(course[0].frechet > 0 && course[0].frechet !== course[1].frechet && images === 48);
    }
    const [, { settings, seed, figures, costs = [], parameters }] = results;
    assert.deepEqual([settings.model, settings.filters, seed], ["residual", "8,16", 1]);
    assert.ok(figures.frechet > 0 && figures.velocity_error > 0);
    assert.deepEqual(costs.map(({ solver }) => solver), ["euler:steps=2", "heun:steps=1"]);
    const run = await jsonIn(place, "one", "cells", "residual-s1", "run.json");
    assert.deepEqual([run.parameterCount, run.status, run.name], [parameters, "FINISHED", "residual-s1"]);
    const { asked } = await jsonIn(place, "one", "cells", "residual-s1", "evaluation.json");
    assert.deepEqual([asked.count, asked.seed, asked.guidance], [170, 0, presets.quick.guidance]);

    const before = await place.listing(place.file("one", "cells"));
    const again = await place.succeed("study", `plan.json --out one ${quickly}`);
    assert.match(again.stderr, /one has 2 of 2 cells finished/);
    assert.deepEqual(await place.listing(place.file("one", "cells")), before, "nothing is rewritten");
    for (const name of ["table.md", "report.html"]) assert.ok(await exists(place, "one", name), name);
    const { stdout: shown } = await place.succeed("runs", "list --root .");
    for (const cell of cells) assert.ok(shown.includes(cell), `${cell} is listed in ${shown}`);

    // Without its result, a cell is measured again, except for measurements with the same inputs.
    const [kept, changed] = cells.map((cell) => ["one", "cells", cell] as const);
    for (const folder of [kept, changed]) await Deno.remove(place.file(...folder, "cell.json"));
    const evaluation = await jsonIn(place, ...changed, "evaluation.json");
    const other = { ...evaluation, asked: { ...asked, seed: 5 }, figures: {} };
    await Deno.writeTextFile(place.file(...changed, "evaluation.json"), JSON.stringify(other));
    const solvers = await jsonIn(place, ...changed, "solvers.json");
    await Deno.writeTextFile(
      place.file(...changed, "solvers.json"),
      JSON.stringify({ ...solvers, common: { ...solvers.common, count: 9 } }),
    );
    const unchanged = await place.read(...kept, "evaluation.json");
    const remeasured = await place.succeed("study", `plan.json --out one ${quickly}`);
    assert.match(remeasured.stderr, /one has 0 of 2 cells finished/);
    assert.deepEqual(await place.read(...kept, "evaluation.json"), unchanged);
    assert.deepEqual(await resultsOf(place, "one"), results);

    await writePlan(place, { grid: { model: ["base"] }, seeds: [1, 3] });
    const refused = await place.run("study", `plan.json --out one ${quickly}`);
    assert.equal(refused.code, 1, "another evaluation");
    assert.match(refused.stderr, /^ConfigError: Cannot change evaluation of the study one from /);
  },
);

testTask(
  "study continues from its checkpoints after a kill, and ends like an uninterrupted one",
  async (place) => {
    const fixed = { ...tinyPlan.fixed, valEpochs: 0.2 };
    await makePlan(place, { ...oneSeed, budget: { steps: 60 }, fixed });
    const flags = `plan.json ${quickly}`;
    const [killed] = await Promise.all([
      interrupt(place, `${flags} --out cut`, ["cut", "cells", "base-s1", "state.safetensors"], "SIGKILL"),
      place.succeed("study", `${flags} --out whole`),
    ]);
    assert.notEqual(killed.code, 0);
    assert.ok(!await exists(place, "cut", "cells", "base-s1", "cell.json"), "it was killed before the end");
    const second = ["cut", "cells", "residual-s1", "config.json"];
    const stopped = await interrupt(place, `${flags} --out cut`, second, "SIGINT");
    assert.equal(stopped.code, 130, stopped.stderr);
    assert.match(stopped.stderr, /SIGINT: saving and stopping; press again to quit immediately/);
    assert.match(stopped.stderr, /Stopped; run the same command to resume\n$/);
    assert.ok(!await exists(place, "cut", "cells", "residual-s1", "cell.json"));
    const finished = await place.listing(place.file("cut", "cells", "base-s1"));
    await place.succeed("study", `${flags} --out cut`);
    assert.deepEqual(await resultsOf(place, "cut"), await resultsOf(place, "whole"));
    const names = await place.names("cut", "cells", "base-s1");
    assert.ok(names.some((name) => name.startsWith("environment-resumed-")), "the run was resumed");
    for (const cell of cells) {
      assert.deepEqual(
        await place.metrics(`cut/cells/${cell}`),
        await place.metrics(`whole/cells/${cell}`),
        cell,
      );
    }
    assert.deepEqual(await place.listing(place.file("cut", "cells", "base-s1")), finished);
  },
);

testTask(
  "study runs the cells of --only, collects existing ones with --collect, and accepts a folder as plan",
  async (place) => {
    await makePlan(place, oneSeed);
    const { stdout } = await place.succeed("study", `plan.json --out a ${quickly} --dry-run`);
    assert.match(stdout, /base-s1 +8,16 +[\d,]+ +[\d,]+ +6 +\d+:\d\d +\d+ MiB/);
    assert.match(
      stdout,
      /2 of 2 cells to run in a: \d+:\d\d of training, 1 at a time, then evaluations; about \d+ MiB/,
    );
    assert.ok(!await exists(place, "a"), "a dry run writes nothing");
    await makeStudy(place.file("a"), { ...oneSeed, grid: { model: ["base", "residual"] } });
    await place.succeed("study", `a --only residual-s1 ${quickly}`);
    assert.ok(await exists(place, "a", "cells", "residual-s1", "cell.json"));
    assert.ok(!await exists(place, "a", "cells", "base-s1", "cell.json"));
    const { stderr } = await place.succeed("study", `a --collect ${quickly}`);
    assert.match(stderr, /1 of 2 cells are finished in a\n/);
    const lock = await tryLock(place.file("a", ".locks"), "base-s1");
    assert.ok("lost" in lock);
    const busy = await place.run("study", `a --only base-s1 ${quickly}`);
    assert.equal(busy.code, 75, busy.stderr);
    assert.match(busy.stderr, new RegExp(`^Skipping base-s1: process ${Deno.pid} .*is running it$`, "m"));
    assert.deepEqual(await place.names("a", "cells"), ["residual-s1"]);
    lock[Symbol.dispose]();
  },
);

testTask("study continues after a cell fails, and reports which one and why", async (place) => {
  const cells = [{ model: "base", optimizer: "sgd", lr: 1e30, clip: 0 }, { model: "base" }];
  await makePlan(place, { ...oneSeed, grid: {}, cells });
  const { code, stderr } = await place.run("study", `plan.json --out a ${quickly}`);
  assert.equal(code, 1);
  const failed = "base-optimizer-sgd-lr-1e-30-clip-0-s1";
  assert.match(stderr, new RegExp(`${failed}: TrainingError: .*; see a/logs/${failed}`));
  assert.match(stderr, new RegExp(`\nTrainingError: 1 of 2 cells failed: ${failed}\n$`));
  assert.match(stderr, /^1 of 2 cells are finished in a$/m);
  for (const name of ["cells/base-s1/cell.json", "table.md", "report.html"]) {
    assert.ok(await exists(place, "a", name), name);
  }
  const { status, reason } = await jsonIn(place, "a", "run.json");
  assert.deepEqual([status, reason], ["FAILED", `1 of 2 cells failed: ${failed}`]);
});

testRefusals("study rejects invalid input in one line", {
  "an unknown plan": {
    task: "study",
    flags: "netwroks",
    says: ["ConfigError: Cannot find the plan netwroks: ", "(did you mean networks?)"],
  },
  "no plan": {
    task: "study",
    flags: "--device cpu",
    says: ["ConfigError: Missing PLAN: give the name of one (networks, "],
  },
  "an unknown setting": {
    task: "study",
    flags: `--grid atn=true|false ${quickly}`,
    says: ["ConfigError: Unknown setting atn in the grid of grid (did you mean attn?)"],
  },
  "an impossible grid": {
    task: "study",
    flags: `--grid groups=4|5 --fixed model=residual;filters=8,16;data=data;batchSize=8 ${quickly}`,
    says: ["ConfigError: Cannot use --groups 5 with --filters 8,16: ", "(cell groups-5-s1 of the plan grid)"],
  },
  "two budgets": {
    task: "study",
    flags: "networks --steps 3 --minutes 1",
    says: ["ConfigError: Cannot use --minutes with --steps: "],
  },
  "two plans": {
    task: "study",
    flags: "networks widths",
    says: ["ConfigError: Cannot run 2 plans: networks, widths "],
  },
  "a plan for some cells": {
    task: "study",
    flags: "a --only base-s1 --steps 3",
    says: ["ConfigError: Cannot use --steps with --only: "],
  },
  "cells in a folder that is not a study": {
    task: "study",
    flags: "data --only base-s1",
    says: ["RunError: Cannot find a study in data: there is no study.json"],
  },
});
