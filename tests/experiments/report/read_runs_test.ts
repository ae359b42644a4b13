import assert from "node:assert/strict";
import { join } from "node:path";
import { samplesPng } from "../../../experiments/draw/pictures.ts";
import { writePlaneTrajectories } from "../../../experiments/draw/plane.ts";
import { writeTrajectories } from "../../../experiments/draw/trajectories.ts";
import { writeLiveJudge } from "../../../experiments/evaluation/evaluation.ts";
import { readReportRuns, resultsOf } from "../../../experiments/report/read_runs.ts";
import { writeReport } from "../../../experiments/report/write_report.ts";
import { findWeights } from "../../../experiments/run/weights.ts";
import { appendMetrics } from "../../../experiments/run/metrics_log.ts";
import { init, withDevice } from "../../../kernels/mod.ts";
import { asBytes, loadJudge } from "../../../models/mod.ts";
import { testInFolder } from "../../folder.ts";
import { smallCheckpoint, tinyJudge } from "../../models/tiny_files.ts";
import { writeRun } from "../tracking/sessions.ts";
import { madeUpColourFlow, madeUpFlow } from "../../viz/flow/made_up_flow.ts";
import { plane, size } from "../../viz/report/made_up.ts";

const source = { modelType: "UNet_FM", seed: 7, solver: "heun", steps: 4 } as const;

/** Defines a test with the folders of two runs, which contain only settings. */
const testRuns = (name: string, test: (run: string, other: string) => Promise<void>) =>
  testInFolder(name, async (folder) => {
    const runs = [join(folder, "a"), join(folder, "b")];
    for (const run of runs) {
      await Deno.mkdir(run);
      await Deno.writeTextFile(join(run, "config.json"), "{}");
    }
    await test(runs[0], runs[1]);
  });

const readRun = async (run: string, live?: boolean) => (await readReportRuns([run], live))[0];

/** Creates a file that exists but cannot be read, even by root. */
const unreadable = (run: string, name: string) => Deno.symlink(name, join(run, name));

testRuns("readReportRuns() reads how flows were solved, with times if steps are unequal", async (run) => {
  const even = madeUpFlow(1, 5, [4, 4]);
  await writeTrajectories(run, [even], source);
  const [times, labels, guidance] = [undefined, undefined, undefined];
  const how = { seed: 7, solver: "heun", steps: 4, evaluations: 8, times, labels, guidance };
  assert.deepEqual((await readRun(run)).solved, how);
  const t = Float32Array.of(0, 0.1, 0.3, 0.6, 1);
  await writeTrajectories(run, [{ ...even, t }], source);
  const { solved, trajectories } = await readRun(run);
  assert.deepEqual(solved, { ...how, times: [...t] });
  assert.deepEqual(trajectories[0].t, t);
  await writeTrajectories(run, [{ ...even, t }], { ...source, steps: 9 });
  assert.equal((await readRun(run)).solved?.times, undefined, "some steps are missing");
  await writeTrajectories(run, [even, even, even], source);
  await Deno.remove(join(run, "flow", "sample_2.safetensors"));
  const rest = await readRun(run);
  assert.deepEqual([rest.solved, rest.trajectories.length], [undefined, 2], "the noise of each is unknown");
});

testRuns("readReportRuns() reads the finite numbers of each metric", async (run) => {
  const lines: Record<string, number>[] = [{ train_loss: 0.5, gradient_norm: 2 }, {
    train_loss: NaN,
    val_loss: 0.25,
  }, {
    train_loss: 0.125,
  }];
  lines.forEach((line, i) => appendMetrics(join(run, "metrics.jsonl"), { step: i + 1, ...line }));
  const { trainLoss, valLoss, gradientNorm } = await readRun(run);
  assert.deepEqual(trainLoss, { step: [1, 3], value: [0.5, 0.125] });
  assert.deepEqual(valLoss, { step: [2], value: [0.25] });
  assert.deepEqual(gradientNorm, { step: [1], value: [2] });
});

testRuns("readReportRuns() reads the stages of a distillation, if it has several", async (run) => {
  const both = "pairs:images=100+drift:images=300";
  const cases: [config: object, stages?: [name: string, from: number][]][] = [
    [{ stages: both }, [["pairs", 0], ["drift", 10]]],
    [{ stages: both, maxSteps: 8 }, [["pairs", 0], ["drift", 2]]],
    ...["pairs", "of a later version", null].map((stages): [object] => [{ stages }]),
  ];
  for (const [config, expected] of cases) {
    await Deno.writeTextFile(join(run, "config.json"), JSON.stringify({ batchSize: 10, ...config }));
    const { stages } = await readRun(run);
    assert.deepEqual(stages?.map(({ name, from }) => [name, from]), expected);
  }
});

testRuns("readReportRuns() and findWeights() treat only missing files as absent", async (run) => {
  assert.equal(findWeights(run), undefined);
  await unreadable(run, "last.safetensors");
  assert.throws(() => findWeights(run), { name: "RunError", message: /^Cannot read .*last.safetensors: / });
  await Deno.remove(join(run, "last.safetensors"));
  assert.deepEqual((await readRun(run)).trajectories, []);
  await Deno.mkdir(join(run, "flow"));
  await unreadable(join(run, "flow"), "sample_1.safetensors");
  const message = /^Cannot read .*sample_1.safetensors: /;
  await assert.rejects(readRun(run), { name: "RunError", message });
});

testRuns("readReportRuns() leaves out early weights that are too large for a page", async (run) => {
  const config = { conditional: false, guidance: 2 };
  await Deno.writeTextFile(join(run, "config.json"), JSON.stringify(config));
  for (const name of ["ema", "early"]) {
    await Deno.writeFile(join(run, `${name}.safetensors`), smallCheckpoint);
  }
  const earlyOf = async () => {
    const { live } = await readRun(run, true);
    return typeof live === "object" && live.early?.guidance;
  };
  assert.equal(await earlyOf(), 2);
  await Deno.truncate(join(run, "early.safetensors"), 8 * 2 ** 20);
  assert.equal(await earlyOf(), undefined);
});

testRuns("writeReport() rejects grey and colour in one report", async (grey, colour) => {
  await writeTrajectories(grey, [madeUpFlow(1, 5, [4, 4])], source);
  await writeTrajectories(colour, [madeUpColourFlow(1, 5, [4, 4])], source);
  assert.equal((await readRun(colour)).trajectories[0].shape.length, 4);
  const message =
    'Cannot report: images of "a" are 4 x 4, but those of "b" are 3 x 4 x 4 (expected one size)';
  await assert.rejects(writeReport([grey, colour], join(grey, "report.html")), { name: "RunError", message });
});

testRuns("readReportRuns() gets the classes in the plane from the judge, if there is one", async (run) => {
  const { H, W } = size;
  const { image } = plane(3, 12);
  const kept = async () => (await readRun(run)).plane!;
  await writePlaneTrajectories(run, plane(3, 12));
  assert.equal((await kept()).judged, undefined);

  const device = await init({ device: "cpu" });
  const about = { classes: 3, channels: 1, height: H, width: W };
  const weights = await withDevice(device, () => tinyJudge(about));
  const judge = { weights, reference: { values: Float32Array.of(0, 1, 2, 3, 4, 5), rows: 3, width: 2 } };
  await writeLiveJudge(run, judge);
  const judging = withDevice(device, () => loadJudge(weights, "the judge").judge(asBytes(image)));
  const { probabilities } = await judging;
  const likeliest = Array.from({ length: 12 }, (_, n) => {
    const shares = [...probabilities.subarray(3 * n, 3 * n + 3)];
    return shares.indexOf(Math.max(...shares));
  });
  const { judged } = await kept();
  assert.deepEqual([Array.from(judged!.classes), judged!.accuracy], [likeliest, 0.25]);
  assert.equal((await readRun(run, true)).live, "its folder does not contain weights");
  await writeReport([run], join(run, "report.html"));
  const page = await Deno.readTextFile(join(run, "report.html"));
  assert.match(page, /assigned by the\s+judge, .* labels 25\.0 % of test images/);

  await Deno.writeFile(join(run, "ema.safetensors"), smallCheckpoint);
  await Deno.writeTextFile(join(run, "examples.safetensors"), "test images of version 1.0, ignored");
  const live = { checkpoint: smallCheckpoint, judge, early: undefined };
  assert.deepEqual((await readRun(run, true)).live, live);
  assert.equal((await readRun(run)).live, "the report was written with --no-live");
});

testRuns("readReportRuns() names the columns of samples if each shows one class", async (run) => {
  const about = { name: "birds", source: "", channels: 1, height: 4, width: 4, digest: "c".repeat(64) };
  const dataset = { ...about, classes: 2, classNames: ["finch", "owl"], train: 9, validation: 1, test: 1 };
  await writeRun(run, { dataset });
  await Deno.writeTextFile(join(run, "config.json"), '{"conditional":true}');
  const cases = [[2, "one class per column", ["finch", "owl"]], [3, "classes in turn", undefined]] as const;
  for (const [columns, words, names] of cases) {
    const png = samplesPng(new Float32Array(6 * 16), 6, [1, 4, 4], columns);
    await Deno.writeFile(join(run, "samples.png"), png);
    const { samplesText, samplesColumns } = await readRun(run);
    assert.deepEqual([samplesText, samplesColumns], [`${words}, no guidance`, names]);
  }
});

testRuns("writeReport() warns above the losses of runs on different data", async (a, b) => {
  const data = { name: "MNIST", source: "", channels: 1, height: 4, width: 4, classes: 0 };
  const pageOf = async (...digests: string[]) => {
    for (const [i, digest] of digests.entries()) {
      const dataset = { ...data, digest: digest.repeat(64), train: 9, validation: 1, test: 1 };
      await writeRun([a, b][i], { dataset });
    }
    await writeReport([a, b], join(a, "report.html"));
    return await Deno.readTextFile(join(a, "report.html"));
  };
  const page = await pageOf("c", "d");
  const warning = '<p class="note">Losses of these runs are not comparable ' +
    "(different data sets: MNIST (cccccccccccc), MNIST (dddddddddddd))</p>";
  const parts = ['id="loss-chart"', warning, 'id="run-title"'];
  const places = parts.map((part) => page.indexOf(part));
  assert.ok(places[0] >= 0 && places.every((place, i) => i === 0 || place > places[i - 1]), `${places}`);
  assert.ok(!(await pageOf("c", "c")).includes("not comparable"));
});

Deno.test("resultsOf() finds the best of more validation losses than a function can have arguments", () => {
  const metrics = Array.from({ length: 200_000 }, (_, n) => ({ step: n, val_loss: 1 + (n - 1000) ** 2 }));
  const run = { config: {}, environment: {}, metrics };
  const facts = new Map(resultsOf(run));
  assert.equal(facts.get("Best validation loss"), "1.0000");
});
