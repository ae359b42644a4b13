import assert from "node:assert/strict";
import { presets } from "../../experiments/cli/training.ts";
import { readMetrics } from "../../experiments/run/metrics_log.ts";
import { tryLock } from "../../experiments/run/run_folder.ts";
import type { CellResult } from "../../experiments/study/cell_result.ts";
import { type Ended, ended, madeOnce, testTask, type Workplace } from "./cli.ts";
import { testRefusals } from "./refusals.ts";
import { makePlan, tinyPlan, writePlan } from "./study/tiny_study.ts";
import { FakeMlflow, pause, quick } from "./tracking/fake_mlflow.ts";
import { valuesOf } from "./tracking/mirrored.ts";

const cells = ["base-s1", "residual-s1"];
const quickly = "--device cpu --threads 1";

/** The plan of the study that the tests share: its cells save their state several times. */
const plan = {
  ...tinyPlan,
  seeds: [1],
  budget: { steps: 60 },
  grid: { model: ["base", "residual"] },
  fixed: { ...tinyPlan.fixed, valEpochs: 0.2 },
  evaluation: { ...tinyPlan.evaluation, milestones: 1, solvers: ["euler:steps=2", "heun:steps=1"] },
};

let starting: Promise<FakeMlflow> | undefined;
const theServer = () => starting ??= FakeMlflow.start();
Deno.test.afterAll(async () => await (await starting)?.[Symbol.asyncDispose]());

/** The flags that mirror a study. */
const mirrored = async () => `--experiment nested --mlflow ${(await theServer()).url}`;

/** Runs the plan in `one`, once for all tests, two cells at a time, mirrored to the server. @returns its messages */
async function makeOne(place: Workplace): Promise<string> {
  await madeOnce(place, "one", async (place) => {
    await makePlan(place, plan);
    const env = { ...quick, MLFLOW_RUN_NAME: "mine" };
    const { stderr } = await place.succeed(
      "study",
      `plan.json --out one ${quickly} --jobs 2 ${await mirrored()}`,
      env,
    );
    await Deno.writeTextFile(place.file("stderr"), stderr);
  });
  return await Deno.readTextFile(place.file("stderr"));
}

const jsonIn = async (place: Workplace, ...names: string[]) =>
  JSON.parse(await Deno.readTextFile(place.file(...names)));

/** Whether a study has a file. */
const exists = (place: Workplace, ...names: string[]) =>
  Deno.stat(place.file(...names)).then(() => true, () => false);

/** The result of a cell without values that depend on the clock. */
async function resultOf(place: Workplace, cell: string) {
  const { seconds, course = [], ...result }: CellResult = await jsonIn(place, cell, "cell.json");
  assert.ok(seconds > 0);
  assert.ok(course.every((point) => point.seconds >= 0 && point.seconds <= seconds));
  return { ...result, course: course.map(({ images, frechet }) => ({ images, frechet })) };
}

/** The results of the cells in `one`. */
const resultsOf = (place: Workplace) =>
  Promise.all(cells.map((cell) => resultOf(place, `one/cells/${cell}`)));

/** Waits for a file that a study writes; fails if the study ends before. */
async function untilWritten(
  place: Workplace,
  end: Promise<Ended>,
  folder: string,
  name: RegExp,
): Promise<void> {
  const early = end.then(({ stderr }) => assert.fail(`it ended before it wrote ${name}: ${stderr}`));
  early.catch(() => {});
  const isWritten = () =>
    place.names(folder).then((names) => names.some((file) => name.test(file)), () => false);
  while (!await isWritten()) await Promise.race([early, pause(5)]);
}

testTask("study trains and evaluates every cell once, even several at a time", async (place) => {
  assert.match(await makeOne(place), /2\/2 cells .* elapsed/);
  const results = await resultsOf(place);
  for (const { course, images, figures } of results) {
    assert.deepEqual(course.map(({ images }) => images), [240, 480]);
    assert.equal(course[1].frechet, figures.frechet);
    assert.ok(course[0].frechet! > 0 && course[0].frechet !== course[1].frechet && images === 480);
  }
  const [, { settings, seed, figures, costs = [], parameters }] = results;
  assert.deepEqual([settings.model, settings.filters, seed], ["residual", "8,16", 1]);
  assert.ok(figures.frechet > 0 && figures.velocity_error > 0);
  assert.deepEqual(costs.map(({ solver }) => solver), ["euler:steps=2", "heun:steps=1"]);
  const run = await jsonIn(place, "one", "cells", "residual-s1", "run.json");
  assert.deepEqual([run.parameterCount, run.status, run.name], [parameters, "FINISHED", "residual-s1"]);
  const { asked } = await jsonIn(place, "one", "cells", "residual-s1", "evaluation.json");
  assert.deepEqual([asked.count, asked.seed, asked.guidance], [170, 0, presets.quick.guidance]);
  for (const name of ["table.md", "report.html"]) assert.ok(await exists(place, "one", name), name);
  const { stdout: shown } = await place.succeed("runs", "--root .");
  for (const cell of cells) assert.ok(shown.includes(cell), `${cell} is listed in ${shown}`);

  await writePlan(place, { ...plan, evaluation: tinyPlan.evaluation });
  const refused = await place.run("study", `plan.json --out one ${quickly}`);
  assert.equal(refused.code, 1, "another evaluation");
  assert.match(refused.stderr, /^ConfigError: Cannot change evaluation of the study one from /);
});

testTask(
  "study is a parent run on a server with its cells as children, and each is sent once",
  async (place) => {
    const server = await theServer();
    assert.match(await makeOne(place), /MLflow shows the study at http/);
    const runs = await server.runs("nested");
    const parentOf = ({ data }: typeof runs[number]) => valuesOf(data.tags)["mlflow.parentRunId"];
    const [parent, ...others] = runs.filter((run) => parentOf(run) === undefined);
    assert.deepEqual([parent.info.run_name, parent.info.status, others], ["one", "FINISHED", []]);
    const values = valuesOf(parent.data.params);
    const settings = [values.plan, values.seeds, values.cells, values.grid, values.steps];
    assert.deepEqual(settings, ["tiny", "[1]", "2", '{"model":["base","residual"]}', "60"]);
    const flags = `plan.json --out one ${quickly} --jobs 2 ${await mirrored()}`;
    assert.equal(valuesOf(parent.data.tags)["mlflow.source.name"], `deno task study ${flags}`);
    const frechet = parent.data.metrics!.flatMap(({ key }) => key.startsWith("eval/frechet/") ? [key] : []);
    assert.deepEqual(frechet.sort(), ["eval/frechet/base", "eval/frechet/residual"]);
    const children = runs.filter((run) => parentOf(run) === parent.info.run_id);
    assert.deepEqual(children.map(({ info }) => info.run_name).sort(), cells);
    for (const { data, info } of children) {
      assert.equal(info.status, "FINISHED");
      assert.ok(data.metrics?.some(({ key }) => key === "eval/frechet"), info.run_name);
    }
    assert.ok(await exists(place, "one", "cells", "base-s1", "mlflow.json"));

    const before = await place.listing(place.file("one", "cells"));
    const again = await place.succeed("study", flags, quick);
    assert.match(again.stderr, /one has 2 of 2 cells finished/);
    assert.deepEqual(await place.listing(place.file("one", "cells")), before, "nothing is rewritten");
    const synced = await place.succeed("sync", `one --mlflow ${server.url}`, quick);
    assert.equal(synced.stdout.match(/already complete/g)?.length, 3, synced.stdout);
    const points = (all: typeof runs) => all.map(({ info, data }) => [info.run_id, data.metrics!.length]);
    assert.deepEqual(points(await server.runs("nested")), points(runs));
    assert.equal((await readMetrics(place.file("one", "metrics.jsonl"))).length, 1);
  },
);

testTask(
  "study continues from its checkpoints after a kill, and ends like an uninterrupted one",
  async (place) => {
    await makeOne(place);
    await writePlan(place, { ...plan, grid: { model: ["base"] } });
    const flags = `plan.json ${quickly} --out cut`;
    const cell = "cut/cells/base-s1";
    const process = place.start("study", flags);
    const killed = ended(process);
    await untilWritten(place, killed, cell, /^state\.safetensors$/);
    process.kill("SIGKILL");
    assert.notEqual((await killed).code, 0);
    assert.ok(!await exists(place, cell, "cell.json"), "it was killed before the end");
    const stopping = place.run("study", flags);
    await untilWritten(place, stopping, cell, /^environment-resumed-/);
    Deno.kill(Deno.pid, "SIGTERM"); // SIGINT would also end the tests
    const stopped = await stopping;
    assert.equal(stopped.code, 143, stopped.stderr);
    assert.match(stopped.stderr, /SIGTERM: saving and stopping; press again to quit immediately/);
    assert.match(stopped.stderr, /Stopped; run the same command to resume\n$/);
    assert.ok(!await exists(place, cell, "cell.json"));
    await place.succeed("study", flags);
    assert.deepEqual(await resultOf(place, cell), await resultOf(place, "one/cells/base-s1"));
    assert.deepEqual(await place.metrics(cell), await place.metrics("one/cells/base-s1"));
  },
);

testTask(
  "study runs the cells of --only, collects existing ones with --collect, and accepts a folder as plan",
  async (place) => {
    await makeOne(place);
    // Without its result, a cell is measured again, except for measurements with the same inputs.
    const results = await resultsOf(place);
    for (const cell of cells) await Deno.remove(place.file("one", "cells", cell, "cell.json"));
    const [kept, changed] = cells.map((cell) => ["one", "cells", cell] as const);
    const evaluation = await jsonIn(place, ...changed, "evaluation.json");
    const other = { ...evaluation, asked: { ...evaluation.asked, seed: 5 }, figures: {} };
    await Deno.writeTextFile(place.file(...changed, "evaluation.json"), JSON.stringify(other));
    const solvers = await jsonIn(place, ...changed, "solvers.json");
    await Deno.writeTextFile(
      place.file(...changed, "solvers.json"),
      JSON.stringify({ ...solvers, common: { ...solvers.common, count: 9 } }),
    );
    await place.succeed("study", `one --only residual-s1 ${quickly}`);
    assert.ok(await exists(place, ...changed, "cell.json"));
    assert.ok(!await exists(place, ...kept, "cell.json"));
    const { stderr } = await place.succeed("study", `one --collect ${quickly}`);
    assert.match(stderr, /1 of 2 cells are finished in one\n/);

    await writePlan(place, { ...plan, cells: [{ model: "residual", groups: 2 }] });
    const before = await place.listing();
    const { stdout } = await place.succeed("study", `plan.json --out one ${quickly} --dry-run`);
    assert.match(stdout, /residual-groups-2-s1 +8,16 +[\d,]+ +[\d,]+ +60 +\d+:\d\d$/m);
    assert.match(stdout, /residual-groups-2-s1 +\d+ MiB +added$/m);
    assert.match(
      stdout,
      /2 of 3 cells to run in one: \d+:\d\d of training, 1 at a time, then evaluations; about \d+ MiB/,
    );
    assert.deepEqual(await place.listing(), before, "a dry run writes nothing");
    const lock = await tryLock(place.file("one", ".locks"), "base-s1");
    assert.ok("isHeld" in lock);
    const busy = await place.run("study", `one --only base-s1 ${quickly}`);
    assert.equal(busy.code, 75, busy.stderr);
    assert.match(busy.stderr, new RegExp(`^Skipping base-s1: process ${Deno.pid} .*is running it$`, "m"));
    lock[Symbol.dispose]();
    const unchanged = await place.read(...kept, "evaluation.json");
    await place.succeed("study", `one --only base-s1,residual-s1 ${quickly}`);
    assert.deepEqual(await place.read(...kept, "evaluation.json"), unchanged);
    assert.deepEqual(await resultsOf(place), results);
  },
);

testTask("study collects the finished cells if one fails, and reports which one and why", async (place) => {
  await makeOne(place);
  for (const name of ["table.md", "report.html"]) await Deno.remove(place.file("one", name));
  await writePlan(place, { ...plan, cells: [{ model: "base", optimizer: "sgd", lr: 1e30, clip: 0 }] });
  const { code, stderr } = await place.run("study", `plan.json --out one ${quickly}`);
  assert.equal(code, 1);
  const failed = "base-optimizer-sgd-lr-1e-30-clip-0-s1";
  assert.match(stderr, new RegExp(`^The plan adds ${failed}$`, "m"));
  assert.match(stderr, new RegExp(`${failed}: TrainingError: .*; see one/logs/${failed}`));
  assert.match(stderr, new RegExp(`\nTrainingError: 1 of 1 cells failed: ${failed}\n$`));
  assert.match(stderr, /^2 of 3 cells are finished in one$/m);
  for (const name of ["table.md", "report.html"]) assert.ok(await exists(place, "one", name), name);
  const { status, reason } = await jsonIn(place, "one", "run.json");
  assert.deepEqual([status, reason], ["FAILED", `1 of 1 cells failed: ${failed}`]);
});

/** Runs a task of a submitted script, like a node of a Slurm cluster. */
async function runSubmitted(place: Workplace, job: string, index?: number): Promise<void> {
  const script = await Deno.readTextFile(place.file("bin", `script-${job}`));
  const { code, stderr } = await new Deno.Command("bash", {
    args: ["-c", script],
    env: {
      SLURM_ARRAY_JOB_ID: job,
      SLURM_CPUS_ON_NODE: "1",
      MLFLOW_TRACKING_URI: "",
      ...index !== undefined && { SLURM_ARRAY_TASK_ID: `${index}` },
    },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
}

testTask(
  "study --launcher slurm submits cells neither finished nor queued, and its scripts run and collect them",
  async (place) => {
    await makeOne(place); // only the results of its cells are missing here
    for (const cell of cells) await Deno.remove(place.file("one", "cells", cell, "cell.json"));
    await Deno.mkdir(place.file("bin"));
    // Stand-ins for Slurm's programs.
    const programs = {
      sbatch: '[ "$1" = --version ] && exit; cd "${0%/*}"; ' +
        "n=$(($(ls script-* 2>/dev/null | wc -l) + 1)); cat >script-$n; echo $n",
      squeue: 'cat "${0%/*}/queue"',
    };
    for (const [name, body] of Object.entries(programs)) {
      await Deno.writeTextFile(place.file("bin", name), `#!/bin/bash\n${body}\n`, { mode: 0o755 });
    }
    const env = { PATH: `${place.file("bin")}:${Deno.env.get("PATH")}` };
    const flags = `plan.json --out one --launcher slurm ${quickly}`;
    const first = await place.succeed("study", flags, env);
    assert.match(first.stderr, /^Submitted 2 cells as job 1; their output goes to .*\/one\/slurm$/m);
    assert.match(first.stderr, /^Submitted job 2 to collect the results; see squeue --jobs=1,2$/m);
    const note = JSON.parse(await Deno.readTextFile(place.file("one", "slurm", "submission-1.json")));
    assert.deepEqual([note.job, note.cells], ["1", ["base-s1", "residual-s1"]]);

    await runSubmitted(place, "1", 0);
    await Deno.writeTextFile(place.file("bin", "queue"), "1 1 PD\n1 N/A R\n");
    const queued = await place.succeed("study", flags, env);
    assert.match(queued.stderr, /^one has 1 of 2 cells finished$/m);
    assert.match(queued.stderr, /^All 1 unfinished cells are already queued \(see squeue --name=one\)$/m);
    await Deno.writeTextFile(place.file("bin", "queue"), "1 1 CG\n"); // completing
    const again = await place.succeed("study", flags, env);
    assert.match(again.stderr, /^Submitted 1 cell as job 3; /m);
    await runSubmitted(place, "4");
    const { unfinished, problems } = JSON.parse(await Deno.readTextFile(place.file("one", "results.json")));
    assert.deepEqual([unfinished, problems], [["residual-s1"], []]);
    await Deno.writeTextFile(place.file("one", "slurm", "submission-9.json"), "{}");
    await writePlan(place, { ...plan, seeds: [1, 2] });
    const damaged = await place.run("study", flags, env);
    assert.match(damaged.stderr, /^RunError: Cannot read one\/slurm\/submission-9\.json: job is missing /m);
  },
);

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
