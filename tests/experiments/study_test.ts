import assert from "node:assert/strict";
import type { CellResult } from "../../experiments/study/cell_result.ts";
import { presets } from "../../experiments/settings/training.ts";
import { type Ended, ended, testTask, type Workplace } from "./cli.ts";
import { testRefusals } from "./refusals.ts";
import { makePlan, tinyPlan, writePlan } from "./study/tiny_study.ts";

const cells = ["base-s1", "residual-s1", "base-s2", "residual-s2"];
const quickly = "--device cpu --threads 1";

/** Records without what depends on the clock. */
async function recordsOf(place: Workplace, study: string) {
  return await Promise.all(cells.map(async (cell) => {
    const text = await Deno.readTextFile(place.file(study, "cells", cell, "cell.json"));
    const { seconds, course = [], ...record }: CellResult = JSON.parse(text);
    assert.ok(seconds > 0);
    assert.ok(course.every((point) => point.seconds >= 0 && point.seconds <= seconds));
    return { ...record, course: course.map(({ images, frechet }) => ({ images, frechet })) };
  }));
}

/** Whether a file of a study is there. */
const isThere = (place: Workplace, ...names: string[]) =>
  Deno.stat(place.file(...names)).then(() => true, () => false);

/** Starts a study and ends it by a signal once a file is there. */
async function interrupt(
  place: Workplace,
  flags: string,
  file: readonly string[],
  signal: Deno.Signal,
): Promise<Ended> {
  const process = place.start("study", flags);
  let running = true;
  const end = ended(process).finally(() => running = false);
  while (running && !await isThere(place, ...file)) await new Promise((resolve) => setTimeout(resolve, 5));
  if (!running) assert.fail(`it ended before ${file.join("/")} was there: ${(await end).stderr}`);
  process.kill(signal);
  return await end;
}

testTask(
  "study trains and evaluates every cell, whatever jobs and threads, and repeats none",
  async (place) => {
    await makePlan(place, {
      evaluation: { ...tinyPlan.evaluation, milestones: 1, solvers: ["euler:steps=2", "heun:steps=1"] },
    });
    const { stderr } = await place.succeed("study", `plan.json --out one ${quickly} --jobs 2`);
    assert.match(stderr, /4\/4 cells .* elapsed/);
    await place.succeed("study", "plan.json --out two --device cpu --threads 2");
    const records = await recordsOf(place, "one");
    for (const { course, images, figures } of records) {
      assert.deepEqual(course.map(({ images }) => images), [24, 48]);
      assert.equal(course[1].frechet, figures.frechet);
      assert.ok(course[0].frechet > 0 && course[0].frechet !== course[1].frechet && images === 48);
    }
    assert.deepEqual(records, await recordsOf(place, "two"));

    const { settings, seed, images, figures, costs, parameters } = JSON.parse(JSON.stringify(records[3]));
    assert.deepEqual([settings.model, settings.filters, seed, images], ["residual", "8,16", 2, 48]);
    assert.ok(figures.frechet > 0 && figures.test_loss > 0);
    assert.deepEqual(costs.map(({ solver }: { solver: string }) => solver), [
      "euler:steps=2",
      "heun:steps=1",
    ]);
    const run = JSON.parse(await Deno.readTextFile(place.file("one", "cells", "residual-s2", "run.json")));
    assert.deepEqual(
      [run.parameterCount, run.status],
      [parameters, "FINISHED"],
      "the run is what was planned",
    );

    const evaluation = await Deno.readTextFile(place.file("one", "cells", "residual-s2", "evaluation.json"));
    assert.deepEqual(JSON.parse(evaluation).asked, {
      ...{ count: 170, seed: 0, courseImages: 0, bitsImages: 0, words: "euler, 2 steps" },
      guidance: presets.quick.guidance,
    }, "what the plan asks for, so that it is not measured again");

    const before = await place.listing(place.file("one", "cells"));
    const again = await place.succeed("study", `plan.json --out one ${quickly}`);
    assert.match(again.stderr, /one has 4 of 4 cells finished/);
    assert.deepEqual(await place.listing(place.file("one", "cells")), before, "nothing is written again");
    for (const name of ["table.md", "report.html"]) {
      assert.ok(
        (await place.read("one", name)).length > 0,
        name,
      );
    }
    const { stdout: shown } = await place.succeed("runs", "list --root .");
    for (const cell of cells) assert.ok(shown.includes(cell), `${cell} is nested in ${shown}`);

    await writePlan(place, { grid: { model: ["base"] }, seeds: [1, 3] });
    await place.run("study", `plan.json --out one ${quickly}`).then(({ code, stderr }) => {
      assert.equal(code, 1, "another evaluation");
      assert.match(stderr, /^ConfigError: Cannot change evaluation of the study one from /);
    });
  },
);

testTask(
  "study that was killed goes on from its checkpoints, and ends as if it had never stopped",
  async (place) => {
    const fixed = { ...tinyPlan.fixed, valEpochs: 0.2 };
    await makePlan(place, { budget: { steps: 60 }, fixed });
    const flags = `plan.json ${quickly} --jobs 2`;
    const [killed] = await Promise.all([
      interrupt(place, `${flags} --out cut`, ["cut", "cells", "residual-s1", "best.safetensors"], "SIGKILL"),
      place.succeed("study", `${flags} --out whole`),
    ]);
    assert.notEqual(killed.code, 0);
    const stopped = await interrupt(
      place,
      `${flags} --out cut`,
      ["cut", "cells", "base-s2", "config.json"],
      "SIGINT",
    );
    assert.equal(stopped.code, 130, stopped.stderr);
    assert.match(stopped.stderr, /SIGINT: saving and stopping; press again to quit at once/);
    assert.match(stopped.stderr, /Stopped; the same command goes on from here\n$/);
    const finished = [];
    for (const cell of cells) {
      if (await isThere(place, "cut", "cells", cell, "cell.json")) {
        finished.push(cell);
      }
    }
    assert.ok(finished.length < cells.length, "it was stopped before its end");
    const before = await Promise.all(finished.map((cell) => place.listing(place.file("cut", "cells", cell))));

    await place.succeed("study", `${flags} --out cut`);
    assert.deepEqual(await recordsOf(place, "cut"), await recordsOf(place, "whole"));
    for (const cell of cells) {
      assert.deepEqual(
        await place.metrics(`cut/cells/${cell}`),
        await place.metrics(`whole/cells/${cell}`),
        cell,
      );
    }
    const after = await Promise.all(finished.map((cell) => place.listing(place.file("cut", "cells", cell))));
    assert.deepEqual(after, before, "what was finished is as it was");
  },
);

testTask("study: two launchers on one folder share its cells, and none runs twice", async (place) => {
  await makePlan(place);
  const flags = `plan.json --out shared ${quickly} --jobs 2`;
  const ends = await Promise.all([place.run("study", flags), place.run("study", flags)]);
  for (const { code, stderr } of ends) assert.equal(code, 0, stderr);
  await recordsOf(place, "shared");
  for (const cell of cells) {
    const log = await Deno.readTextFile(place.file("shared", "logs", `${cell}.log`));
    assert.equal(log.match(/run folder/g)?.length, 1, log);
    const steps = (await place.metrics(`shared/cells/${cell}`)).flatMap((line) =>
      "test_loss" in line ? [line.step] : []
    );
    assert.deepEqual(steps, [6], cell);
  }
});

testTask(
  "study --only runs what it names, --collect what there is, and a folder is a plan",
  async (place) => {
    await makePlan(place, { seeds: [1], budget: { steps: 300 } });
    await place.succeed("study", `plan.json --out a ${quickly} --dry-run`).then(({ stdout }) => {
      assert.match(stdout, /base-s1 +8,16 +[\d,]+ +[\d,]+ +300 +\d+:\d\d +\d+ MiB/);
      assert.match(
        stdout,
        /2 of 2 cells to run in a: \d+:\d\d of training by 1 at once, then evaluations; about \d+ MiB/,
      );
    });
    assert.ok(!await isThere(place, "a"), "a dry run writes nothing");
    await interrupt(place, `plan.json --out a ${quickly}`, ["a", "study.json"], "SIGKILL");
    await place.succeed("study", `a --only residual-s1 ${quickly}`);
    assert.ok(await isThere(place, "a", "cells", "residual-s1", "cell.json"));
    assert.ok(!await isThere(place, "a", "cells", "base-s1", "cell.json"));
    const { stderr } = await place.succeed("study", `a --collect ${quickly}`);
    assert.match(stderr, /1 of 2 cells are finished in a\n/);
    assert.match((await place.succeed("study", `a ${quickly}`)).stderr, /2 of 2 cells are finished in a\n/);
  },
);

testTask("study keeps on where a cell fails, and says which and why", async (place) => {
  await makePlan(place, {
    grid: {},
    cells: [{ model: "base" }, { model: "base", optimizer: "sgd", lr: 1e30, clip: 0 }],
  });
  const { code, stderr } = await place.run("study", `plan.json --out a ${quickly}`);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /base-optimizer-sgd-lr-1e-30-clip-0-s1: TrainingError: .*; more in a\/logs\/base-optimizer/,
  );
  assert.match(
    stderr,
    /\nTrainingError: 2 of 4 cells failed: base-optimizer-\S+-s1, base-optimizer-\S+-s2\n$/,
  );
  assert.ok(await isThere(place, "a", "cells", "base-s2", "cell.json"));
  assert.match(stderr, /^2 of 4 cells are finished in a$/m);
  for (const name of ["table.md", "report.html"]) assert.ok(await isThere(place, "a", name), name);
  const { status, reason } = JSON.parse(await Deno.readTextFile(place.file("a", "run.json")));
  assert.equal(status, "FAILED");
  assert.match(reason, /^2 of 4 cells failed: /);
});

const planned = (plan: Record<string, unknown>) => (place: Workplace) =>
  Deno.writeTextFile(place.file("plan.json"), JSON.stringify(plan));

testRefusals("study refuses what cannot work, in one line", {
  "a plan that there is not": {
    task: "study",
    flags: "netwroks",
    says: ["ConfigError: Cannot find the plan netwroks: ", "(did you mean networks?)"],
  },
  "no plan": {
    task: "study",
    flags: "--device cpu",
    says: ["ConfigError: Missing PLAN: name one (networks, "],
  },
  "an unknown field": {
    task: "study",
    flags: `plan.json ${quickly}`,
    prepare: planned({ gird: {} }),
    says: ["ConfigError: Unknown field gird in plan.json (did you mean grid?)"],
  },
  "a field that is not what it must be": {
    task: "study",
    flags: `plan.json ${quickly}`,
    prepare: planned({ budget: { steps: 0 } }),
    says: ['ConfigError: Cannot use budget {"steps":0} in plan.json: expected steps, '],
  },
  "an unknown setting": {
    task: "study",
    flags: `--grid atn=true|false ${quickly}`,
    says: ["ConfigError: Unknown setting atn in the grid of grid (did you mean attn?)"],
  },
  "an impossible grid": {
    task: "study",
    flags: `--grid groups=4|5 --fixed model=residual;filters=8,16;data=data;batchSize=8 ${quickly}`,
    says: [
      "ConfigError: Cannot use --groups 5 with --filters 8,16: ",
      "(cell groups-5-s1 of the plan grid)",
    ],
  },
  "two budgets": {
    task: "study",
    flags: "networks --steps 3 --minutes 1",
    says: ["ConfigError: Cannot use --minutes with --steps: "],
  },
  "a plan for some cells": {
    task: "study",
    flags: "a --only base-s1 --steps 3",
    says: ["ConfigError: Cannot use --steps with --only: "],
  },
  "cells of no study": {
    task: "study",
    flags: "data --only base-s1",
    says: ["RunError: Cannot find a study in data: there is no study.json"],
  },
});
