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
import { withFolder } from "../../folder.ts";
import { smallCheckpoint, tinyJudge } from "../../models/tiny_files.ts";
import { writeRun } from "../tracking/sessions.ts";
import { testNeeding } from "../../permissions.ts";
import { madeUpColourFlow, madeUpFlow } from "../../viz/flow/made_up_flow.ts";
import { plane, size } from "../../viz/report/made_up.ts";

const source = { modelType: "UNet_FM", seed: 7, solver: "heun", steps: 4 } as const;

/** Defines a test with the folders of runs, which contain only settings. */
function testRuns(name: string, runs: readonly string[], test: (...runs: string[]) => Promise<void>): void {
  testNeeding({ read: true, write: true }, name, () =>
    withFolder(async (folder) => {
      const folders = runs.map((run) => join(folder, run));
      for (const run of folders) {
        await Deno.mkdir(run);
        await Deno.writeTextFile(join(run, "config.json"), "{}");
      }
      await test(...folders);
    }));
}

/** Creates a file that exists but cannot be read, even by root. */
const unreadable = (run: string, name: string) => Deno.symlink(name, join(run, name));

testRuns(
  "readReportRuns() reads how flows were solved, with times if steps are unequal",
  ["run"],
  async (run) => {
    const even = madeUpFlow(1, 5, [4, 4]);
    await writeTrajectories(run, [even], source);
    assert.deepEqual((await readReportRuns([run]))[0].solved, {
      seed: 7,
      solver: "heun",
      steps: 4,
      evaluations: 8,
    });
    const t = Float32Array.of(0, 0.1, 0.3, 0.6, 1);
    await writeTrajectories(run, [{ ...even, t }], source);
    const [{ solved, trajectories }] = await readReportRuns([run]);
    assert.deepEqual(solved, { seed: 7, solver: "heun", steps: 4, times: [...t], evaluations: 8 });
    assert.deepEqual(trajectories[0].t, t);
    await writeTrajectories(run, [{ ...even, t }], { ...source, steps: 9 });
    assert.equal((await readReportRuns([run]))[0].solved?.times, undefined, "some steps are missing");
    await writeTrajectories(run, [even, even, even], source);
    await Deno.remove(join(run, "flow", "sample_2.safetensors"));
    const [rest] = await readReportRuns([run]);
    assert.deepEqual([rest.solved, rest.trajectories.length], [undefined, 2], "the noise of each is unknown");
  },
);

testRuns("readReportRuns() reads the finite numbers of each metric", ["run"], async (run) => {
  const lines = [{ train_loss: 0.5 }, { train_loss: NaN, val_loss: 0.25 }, { train_loss: 0.125 }];
  lines.forEach((line, i) => appendMetrics(join(run, "metrics.jsonl"), { step: i + 1, ...line }));
  const [{ trainLoss, valLoss }] = await readReportRuns([run]);
  assert.deepEqual(trainLoss, { step: [1, 3], value: [0.5, 0.125] });
  assert.deepEqual(valLoss, { step: [2], value: [0.25] });
});

testRuns("readReportRuns() reads the stages of a distillation, if it has several", ["run"], async (run) => {
  const cases = [
    [{ stages: "pairs:images=100+drift:images=300", batchSize: 10 }, [["pairs", 0], ["drift", 10]]],
    [{ stages: "pairs:images=100+drift:images=300", batchSize: 10, maxSteps: 8 }, [["pairs", 0], [
      "drift",
      2,
    ]]],
    [{ stages: "pairs", batchSize: 10 }, undefined],
    [{ stages: "of a later version", batchSize: 10 }, undefined],
    [{ stages: null, batchSize: 10 }, undefined],
  ] as const;
  for (const [config, expected] of cases) {
    await Deno.writeTextFile(join(run, "config.json"), JSON.stringify(config));
    const [{ stages }] = await readReportRuns([run]);
    assert.deepEqual(stages?.map(({ name, from }) => [name, from]), expected);
  }
});

testRuns("readReportRuns() and findWeights() treat only missing files as absent", ["run"], async (run) => {
  assert.equal(findWeights(run), undefined);
  await unreadable(run, "last.safetensors");
  assert.throws(() => findWeights(run), { name: "RunError", message: /^Cannot read .*last.safetensors: / });
  await Deno.remove(join(run, "last.safetensors"));
  assert.deepEqual((await readReportRuns([run]))[0].trajectories, []);
  await Deno.mkdir(join(run, "flow"));
  await unreadable(join(run, "flow"), "sample_1.safetensors");
  const message = /^Cannot read .*sample_1.safetensors: /;
  await assert.rejects(readReportRuns([run]), { name: "RunError", message });
});

testRuns("writeReport() rejects grey and colour in one report", ["grey", "colour"], async (grey, colour) => {
  await writeTrajectories(grey, [madeUpFlow(1, 5, [4, 4])], source);
  await writeTrajectories(colour, [madeUpColourFlow(1, 5, [4, 4])], source);
  assert.equal((await readReportRuns([colour]))[0].trajectories[0].shape.length, 4);
  await assert.rejects(writeReport([grey, colour], join(grey, "report.html")), {
    name: "RunError",
    message:
      'Cannot report: images of "grey" are 4 x 4, but those of "colour" are 3 x 4 x 4 (expected one size)',
  });
});

testRuns(
  "readReportRuns() gets the classes in the plane from the judge, if there is one",
  ["run"],
  async (run) => {
    const { H, W } = size;
    const { image, classes } = plane(3, 12);
    const kept = async () => (await readReportRuns([run]))[0].plane!;
    await writePlaneTrajectories(run, plane(3, 12));
    assert.deepEqual(Array.from((await kept()).classes!), Array.from(classes!));
    assert.deepEqual((await kept()).classifier, { right: 9, tried: 10 });

    const device = await init({ device: "cpu" });
    const weights = await withDevice(
      device,
      () => tinyJudge({ classes: 3, channels: 1, height: H, width: W }),
    );
    const judge = { weights, reference: { values: Float32Array.of(0, 1, 2, 3, 4, 5), rows: 3, width: 2 } };
    await writeLiveJudge(run, judge);
    const { probabilities } = await withDevice(
      device,
      () => loadJudge(weights, "the judge").judge(asBytes(image)),
    );
    const likeliest = Array.from({ length: 12 }, (_, n) => {
      const shares = [...probabilities.subarray(3 * n, 3 * n + 3)];
      return shares.indexOf(Math.max(...shares));
    });
    assert.deepEqual(Array.from((await kept()).classes!), likeliest);
    assert.deepEqual((await kept()).classifier, { judgeAccuracy: 0.25 });
    assert.equal((await readReportRuns([run], true))[0].live, "its folder does not contain weights");
    await writeReport([run], join(run, "report.html"));
    assert.match(
      await Deno.readTextFile(join(run, "report.html")),
      /assigned by the judge, .* labels 25\.0 % of test images/,
    );

    await Deno.writeFile(join(run, "ema.safetensors"), smallCheckpoint);
    assert.deepEqual((await readReportRuns([run], true))[0].live, { checkpoint: smallCheckpoint, judge });
    assert.equal((await readReportRuns([run], "none"))[0].live, "none");
  },
);

testRuns("readReportRuns() names the columns of samples if each shows one class", ["run"], async (run) => {
  const about = { name: "birds", source: "", channels: 1, height: 4, width: 4, digest: "c".repeat(64) };
  const dataset = { ...about, classes: 2, classNames: ["finch", "owl"], train: 9, validation: 1, test: 1 };
  await writeRun(run, { dataset });
  await Deno.writeTextFile(join(run, "config.json"), '{"conditional":true}');
  const cases = [[2, "one class per column", ["finch", "owl"]], [3, "classes in turn", undefined]] as const;
  for (const [columns, words, names] of cases) {
    const png = samplesPng(new Float32Array(6 * 16), 6, [1, 4, 4], columns);
    await Deno.writeFile(join(run, "samples.png"), png);
    const [{ samplesText, samplesColumns }] = await readReportRuns([run]);
    assert.deepEqual([samplesText, samplesColumns], [`${words}, no guidance`, names]);
  }
});

testRuns("writeReport() warns above the losses of runs on different data", ["a", "b"], async (a, b) => {
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
  const places = ['id="run-title"', warning, "<h3>Results</h3>", 'id="loss-chart"'].map((part) =>
    page.indexOf(part)
  );
  assert.ok(places[0] >= 0 && places.every((place, i) => i === 0 || place > places[i - 1]), `${places}`);
  assert.ok(!(await pageOf("c", "c")).includes("not comparable"));
});

Deno.test("resultsOf() finds the best of more validation losses than a function can have arguments", () => {
  const metrics = Array.from({ length: 200_000 }, (_, n) => ({ step: n, val_loss: 1 + (n - 1000) ** 2 }));
  const run = { config: {}, environment: {}, metrics };
  const facts = new Map(resultsOf(run));
  assert.equal(facts.get("Best validation loss"), "1.0000");
});
