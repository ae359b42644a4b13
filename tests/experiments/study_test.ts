import assert from "node:assert/strict";
import { presets } from "../../experiments/settings/presets.ts";
import { readMetrics } from "../../experiments/run/metrics_log.ts";
import { lockRun } from "../../experiments/run/run_folder.ts";
import { readResult } from "../../experiments/study/results.ts";
import { readStudy } from "../../experiments/study/study.ts";
import { madeOnce, oneThread, testTask, until, type Workplace } from "./cli.ts";
import { assertMistakes } from "./refusals.ts";
import { useFewTestImages } from "./evaluated_run.ts";
import { fewSamples, makePlan, tinyPlan, writePlan } from "./study/tiny_study.ts";
import { FakeMlflow, quick } from "./tracking/fake_mlflow.ts";
import { valuesOf } from "./tracking/mirrored.ts";

const cells = ["base-s1", "residual-s1"];

/** The plan of the study that the tests share: its cells save their state several times. */
const plan = {
  ...tinyPlan,
  seeds: [1],
  steps: 40,
  grid: { model: ["base", "residual"] },
  fixed: { ...tinyPlan.fixed, valEpochs: 0.2 },
  evaluation: { ...tinyPlan.evaluation, milestones: 1, solvers: ["heun:steps=1"] },
};

let starting: Promise<FakeMlflow> | undefined;
const theServer = () => starting ??= FakeMlflow.start();
Deno.test.afterAll(async () => await (await starting)?.[Symbol.asyncDispose]());

/** The flags that mirror a study. */
const mirrored = async () => `--experiment nested --mlflow ${(await theServer()).url}`;

/** Runs the plan in `one`, once for all tests, mirrored to the server. @returns its messages */
async function makeOne(place: Workplace): Promise<string> {
  await madeOnce(place, "study of one", async (place) => {
    await makePlan(place, plan);
    const flags = `plan.json --out one ${oneThread} ${await mirrored()}`;
    const { stderr, stdout } = await place.succeed("study", flags, { ...quick, MLFLOW_RUN_NAME: "mine" });
    await place.write("said", stderr + stdout);
  });
  return await place.text("said");
}

/** The result of a cell without values that depend on the clock. */
async function resultOf(place: Workplace, folder: string, id: string) {
  const study = (await readStudy(place.file(folder)))!;
  const result = await readResult(study, study.cells.find((cell) => cell.id === id)!);
  const { seconds, ...costs } = result!.costs;
  assert.ok(seconds! > 0);
  return { ...result!, costs };
}

testTask("study trains and evaluates every cell once, and shows the results of its folder", async (place) => {
  const said = await makeOne(place);
  assert.match(said, /Cell 1 of 2: base-s1\n.*Cell 2 of 2: residual-s1\n/s);
  assert.match(said, /Study tiny: 2 setups, 2 of 2 runs finished\..*\n {2}setup +Fréchet/s);
  for (const [i, id] of cells.entries()) {
    const { cell, costs, figures, solvers, milestones } = await resultOf(place, "one", id);
    const { settings, seed } = cell;
    assert.deepEqual([settings.model, settings.filters, seed], [["base", "residual"][i], "8,16", 1]);
    assert.deepEqual([costs.images, milestones.map(({ step }) => step)], [320, [20]]);
    assert.ok(figures.frechet > 0 && figures.velocity_error > 0 && costs.multiplyAdds! > 10_000);
    assert.ok(milestones[0].figures.frechet > 0 && milestones[0].figures.frechet !== figures.frechet);
    assert.deepEqual(solvers.map(({ spec, figures }) => [spec, figures.frechet > 0]), [[
      "heun:steps=1",
      true,
    ]]);
    const run = await place.json("one", "cells", id, "run.json");
    assert.deepEqual([run.parameterCount, run.status, run.name], [costs.parameters, "FINISHED", id]);
    const { asked } = await place.json("one", "cells", id, "evaluation.json");
    assert.deepEqual([asked.count, asked.seed, asked.guidance], [170, 0, presets.quick.guidance]);
  }
  const { stdout: listed } = await place.succeed("runs", "--root .");
  for (const cell of cells) assert.ok(listed.includes(cell), `${cell} is listed in ${listed}`);

  for (const name of ["study.md", "study.html"]) await Deno.remove(place.file("one", name));
  const before = await place.listing(place.file("one", "cells"));
  const { stdout } = await place.succeed("study", "one");
  assert.ok(said.includes(stdout), stdout);
  for (const name of ["study.md", "study.html"]) assert.ok(await place.exists("one", name), name);
  assert.deepEqual(await place.listing(place.file("one", "cells")), before);
});

testTask("study measures a cell again whose evaluation was replaced, without training it", async (place) => {
  await makeOne(place);
  for (const run of ["one", "one/cells/base-s1"]) await Deno.remove(place.file(run, "mlflow.json")); // sends nothing
  const before = await resultOf(place, "one", "base-s1");
  const { id } = await place.json("one/cells/base-s1/run.json");
  const flags = `--count 20 ${oneThread} --judge none --bits-images 0 --course-images 0`;
  await place.succeed("evaluate", `one/cells/base-s1 ${flags}`);
  await Deno.remove(place.file("one/cells/base-s1/state.safetensors")); // which is large, and only resumes
  const { stdout } = await place.succeed("study", "one");
  assert.match(stdout, /, 1 of 2 runs finished\. Preliminary: base has 0 of 1 runs\./);
  const { stderr } = await place.succeed("study", `plan.json --out one ${oneThread}`);
  assert.match(stderr, /Evaluating base-s1\n/);
  assert.deepEqual(await resultOf(place, "one", "base-s1"), before);
  assert.equal((await place.json("one/cells/base-s1/run.json")).id, id, "the same run");

  // A job that is cut off after the evaluation has only the rest to do.
  const { milestones, ...evaluation } = await place.json("one/cells/base-s1/evaluation.json");
  assert.equal(milestones.length, 1);
  await place.write("one/cells/base-s1/evaluation.json", evaluation);
  await place.succeed("study", `plan.json --out one ${oneThread} --cell 1`);
  assert.equal((await place.json("one/cells/base-s1/evaluation.json")).time, evaluation.time);
  assert.deepEqual(await resultOf(place, "one", "base-s1"), before);
});

testTask("study is a parent run on a server with its cells as children, each sent once", async (place) => {
  const server = await theServer();
  assert.match(await makeOne(place), /MLflow shows the study at http/);
  const runs = await server.runs("nested");
  const parentOf = ({ data }: typeof runs[number]) => valuesOf(data.tags)["mlflow.parentRunId"];
  const [parent, ...others] = runs.filter((run) => parentOf(run) === undefined);
  assert.deepEqual([parent.info.run_name, parent.info.status, others], ["one", "FINISHED", []]);
  const { plan: name, seeds, cells: count, grid, steps } = valuesOf(parent.data.params);
  const models = '{"model":["base","residual"]}';
  assert.deepEqual([name, seeds, count, grid, steps], ["tiny", "[1]", "2", models, "40"]);
  const flags = `plan.json --out one ${oneThread} ${await mirrored()}`;
  assert.equal(valuesOf(parent.data.tags)["mlflow.source.name"], `./denow task study ${flags}`);
  const frechet = parent.data.metrics!.flatMap(({ key }) => key.startsWith("eval/frechet/") ? [key] : []);
  assert.deepEqual(frechet.sort(), ["eval/frechet/base", "eval/frechet/residual"]);
  const children = runs.filter((run) => parentOf(run) === parent.info.run_id);
  assert.deepEqual(children.map(({ info }) => info.run_name).sort(), cells);
  for (const { data, info } of children) {
    assert.equal(info.status, "FINISHED");
    assert.ok(data.metrics?.some(({ key }) => key === "eval/frechet"), info.run_name);
  }
  // Again, everything is there.
  const before = await place.listing(place.file("one", "cells"));
  await place.succeed("study", flags, quick);
  assert.deepEqual(await place.listing(place.file("one", "cells")), before, "nothing is rewritten");
  const synced = await place.succeed("sync", `one --mlflow ${server.url}`, quick);
  assert.equal(synced.stdout.match(/already complete/g)?.length, 3, synced.stdout);
  const points = (all: typeof runs) => all.map(({ info, data }) => [info.run_id, data.metrics!.length]);
  assert.deepEqual(points(await server.runs("nested")), points(runs));
  assert.equal((await readMetrics(place.file("one", "metrics.jsonl"))).length, 1);
});

testTask("study continues after a kill and a signal, and ends like an uninterrupted one", async (place) => {
  await makeOne(place);
  await writePlan(place, { ...plan, grid: { model: ["base"] } });
  const flags = `plan.json ${oneThread} --out cut`;
  const cell = "cut/cells/base-s1";
  const isSaved = () => place.exists(cell, "state.safetensors");
  assert.notEqual((await place.stopWhen(isSaved, "study", flags, "SIGKILL")).code, 0);
  assert.ok(!await place.exists(cell, "evaluation.json"), "it was killed before the end");
  let running = true;
  const stopping = place.run("study", flags).finally(() => running = false);
  await until(async () => !running || (await place.names(cell)).some((name) => /^environment-re/.test(name)));
  Deno.kill(Deno.pid, "SIGTERM"); // SIGINT would also end the tests
  const stopped = await stopping;
  assert.equal(stopped.code, 143, stopped.stderr);
  assert.match(stopped.stderr, /SIGTERM: saving and stopping; press again to quit immediately/);
  assert.match(stopped.stderr, /Stopped; run the same command to resume\n$/);
  assert.ok(!await place.exists(cell, "evaluation.json"));
  assert.equal((await place.json("cut", "run.json")).status, "KILLED");
  const last = await place.succeed("study", `${flags} --cell 1`);
  assert.match(
    last.stdout,
    /^Study tiny: 1 setup, 1 of 1 runs finished\. Nothing can/,
    "the last cell concludes",
  );
  assert.equal((await place.json("cut", "run.json")).status, "FINISHED");
  assert.deepEqual(await resultOf(place, "cut", "base-s1"), await resultOf(place, "one", "base-s1"));
  assert.deepEqual(await place.metrics(cell), await place.metrics("one/cells/base-s1"));
});

testTask("study runs a cell for a job, and the others if one is busy, cut off or fails", async (place) => {
  const broken = { model: "base", optimizer: "sgd", lr: 1e30, clip: 0 };
  const networks = [{ model: "base" }, { model: "residual" }, broken];
  // Networks without classes, which cannot be guided.
  const fixed = { ...tinyPlan.fixed, conditional: false, guidance: 1 };
  const evaluation = { ...fewSamples, guidance: 1 };
  await makePlan(place, { seeds: [1], grid: {}, cells: networks, fixed, evaluation });
  await useFewTestImages(place);
  const flags = `plan.json --out jobs ${oneThread}`;

  // A dry run finds a wrong plan before a job does, shows the cells, and writes nothing.
  const wrong = await place.run("study", `${flags} --dry-run --count 5000`);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /^ConfigError: .*5,?000/);
  const dry = await place.succeed("study", `${flags} --dry-run`);
  assert.match(dry.stdout, /^ *2 +residual-s1 +6 +about \d+ seconds?$/m);
  assert.match(dry.stdout, /^Training all takes about .* Nothing was written\.$/m);
  assert.ok(!await place.exists("jobs"));
  await place.succeed("study", `${flags} --cell 2`);
  assert.deepEqual(await place.names("jobs", "cells"), ["residual-s1"]);
  assert.ok(!await place.exists("jobs", "study.md"));
  const { stdout: early } = await place.succeed("study", "jobs");
  assert.match(early, /^Study tiny: 3 setups, 1 of 3 runs finished\. Preliminary: base has 0 of 1 runs/);
  await Deno.mkdir(place.file("jobs", "cells", "base-s1"));
  {
    using _ = await lockRun(place.file("jobs", "cells", "base-s1"));
    const busy = await place.run("study", `${flags} --cell 1`);
    assert.equal(busy.code, 1, "a job that does nothing must not count as done");
    assert.match(
      busy.stderr,
      /^RunError: Cannot write \S+base-s1: another program is training .*wait until/m,
    );
    assert.equal((await place.json("jobs", "run.json")).status, "RUNNING");
  }
  const lock = "jobs/cells/base-s1/.lock";
  await place.write(lock, "node17 1 2026-12-01T08:00:00.000Z 1");
  const stale = await place.run("study", `${flags} --cell 1`);
  assert.equal(stale.code, 1);
  assert.match(stale.stderr, /node17.*if it has ended, remove \S*jobs\/cells\/base-s1\/\.lock$/m);
  await Deno.remove(place.file(lock));
  // What a program leaves that was killed before its first checkpoint.
  await place.write("jobs/cells/base-s1/run.json", "{");
  const { code, stderr, stdout } = await place.run("study", flags);
  assert.equal(code, 1);
  const failed = "base-optimizer-sgd-lr-1e-30-clip-0-s1";
  assert.match(stderr, new RegExp(`^${failed}: TrainingError: `, "m"));
  assert.match(stderr, new RegExp(`\nTrainingError: 1 of 3 cells failed: ${failed}\n$`));
  assert.match(stdout, /, 2 of 3 runs finished\./);
  assert.ok(await place.exists("jobs", "study.md"));
  const { status, reason } = await place.json("jobs", "run.json");
  assert.deepEqual([status, reason], ["FAILED", `1 of 3 cells failed: ${failed}`]);
  await assertMistakes(place, "study", {
    [`${flags} --cell 4`]: "ConfigError: Cannot run cell 4 of jobs: it has 3 (expected 1",
    "jobs --steps 3": "ConfigError: Cannot use --steps with jobs: this folder only shows results",
    "jobs --device cpu": "ConfigError: Cannot use --device with jobs: this folder only shows results",
    "jobs tEmb=3": "ConfigError: Cannot use tEmb=3 with jobs: ",
    [`${flags} --seeds 2`]:
      "ConfigError: Cannot continue the study jobs: seeds of its plan is [1], now [1,2]",
    netwroks: "ConfigError: Cannot find the plan netwroks: there is no such plan",
    "--device cpu": "ConfigError: Missing PLAN: give networks, ",
    "networks widths": "ConfigError: Cannot run the plans networks and widths at once ",
    "atn=true atn=false": "ConfigError: Unknown setting atn in the grid of grid (did you mean attn?)",
    [`groups=4 groups=5 model=residual filters=8,16 data=data batchSize=8 ${oneThread}`]:
      "ConfigError: Cannot use --groups 5 with --filters 8,16: 5 does not divide 8",
  });
});

testTask("examples/study.sbatch runs its cell, and queues it again if its time is over", async (place) => {
  const script = new URL("../../examples/study.sbatch", import.meta.url);
  await Deno.mkdir(place.file("bin"));
  const programs = {
    denow: 'trap "kill \\$!; exit 143" TERM\nsleep "$WAIT" &\necho "$@" >said\nwait $!\n',
    "bin/scontrol": 'echo "$@" >queued\n',
  };
  for (const [name, text] of Object.entries(programs)) {
    await Deno.writeTextFile(place.file(name), `#!/bin/bash\n${text}`, { mode: 0o755 });
  }
  const start = (WAIT: string, SLURM_RESTART_COUNT = "19") =>
    new Deno.Command("bash", {
      args: [script.pathname, "networks", "groups=4"],
      cwd: place.path,
      env: {
        WAIT,
        PATH: `bin:${Deno.env.get("PATH")}`,
        SLURM_ARRAY_JOB_ID: "7",
        SLURM_ARRAY_TASK_ID: "2",
        SLURM_RESTART_COUNT,
      },
      stderr: "piped",
    }).spawn();
  assert.equal((await start("0").output()).code, 0);
  assert.equal(await place.text("said"), "task study networks groups=4 --device auto --cell 2\n");
  await Deno.remove(place.file("said"));
  const job = start("60");
  await until(() => place.exists("said"));
  job.kill("SIGUSR1");
  assert.equal((await job.output()).code, 143);
  assert.equal(await place.text("queued"), "requeue 7_2\n");

  // A cell that needs more than a job's time is not queued for ever.
  for (const name of ["said", "queued"]) await Deno.remove(place.file(name));
  const last = start("60", "20");
  await until(() => place.exists("said"));
  last.kill("SIGUSR1");
  const { code, stderr } = await last.output();
  assert.equal(code, 143);
  assert.match(new TextDecoder().decode(stderr), /^Not queued again: 20 restarts .* use a longer --time/);
  assert.ok(!await place.exists("queued"));
});
