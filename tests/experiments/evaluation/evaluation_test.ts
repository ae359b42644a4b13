import assert from "node:assert/strict";
import { join } from "node:path";
import {
  type Evaluation,
  type EvaluationRequest,
  hasMeasured,
  readEvaluation,
  writeEvaluation,
} from "../../../experiments/evaluation/evaluation.ts";
import { figureNames, metricOf, shownFigure } from "../../../experiments/evaluation/figures.ts";
import {
  aboutEvaluation,
  evaluationTable,
  qualityWarning,
} from "../../../experiments/evaluation/evaluation_table.ts";
import { writeJson } from "../../../experiments/run/atomic_write.ts";
import { appendMetrics } from "../../../experiments/run/metrics_log.ts";
import { readCellResult } from "../../../experiments/study/cell_result.ts";
import { summarizeRun } from "../../../experiments/tracking/find_run.ts";
import { newRecord, writeRecord } from "../../../experiments/tracking/record.ts";
import { testInFolder, withFolder } from "../../folder.ts";
import { readLiveJudge, writeLiveJudge } from "../../../experiments/evaluation/judged_files.ts";
import { encodeSafetensors, saveJudge } from "../../../models/mod.ts";
import { info } from "../../models/tiny_files.ts";

const asked: EvaluationRequest = {
  count: 2000,
  seed: 0,
  guidance: 1,
  words: "heun, 10 steps",
  courseImages: 64,
  bitsImages: 0,
};
const evaluation: Evaluation = {
  version: 1,
  time: 1_700_000_000_000,
  seconds: 12,
  weights: { file: "ema.safetensors", sha256: "ab".repeat(32), step: 400 },
  device: "a device",
  dataset: { name: "made-up", digest: "cd".repeat(32) },
  judge: { sha256: "ef".repeat(32), accuracy: 0.9912, source: "stored" },
  asked,
  samples: { count: 2000, seed: 0, how: "heun", evaluations: 80_000, seconds: 61.25, classes: [1200, 800] },
  figures: {
    confident: {
      value: 0.905,
      low: 0.89,
      high: 0.92,
      real: 0.982,
      noise: 0,
      evaluations: 80_000,
      seconds: 62,
    },
    frechet: { value: 6.2345678, low: 5.5, high: 7, evaluations: 80_000, seconds: 62 },
  },
};

testInFolder("readEvaluation() reads what writeEvaluation() wrote", async (folder) => {
  assert.equal(await readEvaluation(folder), undefined);
  await writeEvaluation(join(folder, "evaluation.json"), evaluation);
  assert.deepEqual(await readEvaluation(folder), evaluation);
});

testInFolder(
  "only training measures a test loss; evaluations have a velocity error, in old files too",
  async (folder) => {
    assert.ok(!figureNames.some((name) => metricOf(name).includes("test_loss")));
    const { frechet } = evaluation.figures;
    const figures = { frechet, test_loss: frechet };
    await writeJson(join(folder, "evaluation.json"), { ...evaluation, figures });
    assert.deepEqual((await readEvaluation(folder))?.figures, { frechet, velocity_error: frechet });

    const cell = { cell: "a", settings: {}, seed: 1, parameters: 2, multiplyAdds: 3, images: 4, seconds: 5 };
    await writeJson(join(folder, "cell.json"), { ...cell, figures: { test_loss: 0.5 } });
    assert.deepEqual((await readCellResult(folder))?.figures, { velocity_error: 0.5 });

    await writeRecord(folder, newRecord({ name: "a", experiment: "e", source: "s", startedAt: 0 }));
    appendMetrics(join(folder, "metrics.jsonl"), { step: 1, test_loss: 0.25, "eval/test_loss_low": 0.125 });
    const { metrics } = await summarizeRun(folder);
    assert.deepEqual(metrics, { test_loss: 0.25, "eval/velocity_error_low": 0.125 });
  },
);

Deno.test("readEvaluation() refuses damaged files in one line with advice", () =>
  withFolder(async (folder) => {
    const damages: [change: object, message: string][] = [
      [{ version: 2 }, "version is 2 (expected 1; evaluate the run again)"],
      [{ figures: { frechet: { low: 1 } } }, "figures is "],
      [{ figures: { frechett: evaluation.figures.frechet } }, 'figures is {"frechett"'],
      [{ samples: null }, "samples is null"],
      [{ course: { t: "x", straightness: [], curvature: [] } }, "course is "],
    ];
    const path = join(folder, "evaluation.json");
    for (const [change, message] of damages) {
      await Deno.writeTextFile(path, JSON.stringify({ ...evaluation, ...change }));
      await assert.rejects(readEvaluation(folder), (error: Error) => {
        assert.equal(error.name, "RunError");
        assert.ok(error.message.startsWith(`Cannot read ${path}: ${message}`), error.message);
        assert.match(error.message, /; delete the file, or evaluate the run again$/);
        return true;
      });
    }
  }));

Deno.test("hasMeasured() compares weights, judge and every field of the request", () => {
  const wanted = { weights: evaluation.weights.sha256, judge: evaluation.judge?.sha256, asked };
  assert.ok(hasMeasured(evaluation, wanted));
  const others: Partial<EvaluationRequest>[] = [
    { count: 1000 },
    { seed: 1 },
    { guidance: 2 },
    { courseImages: 0 },
    { bitsImages: 8 },
    { words: "heun, 10 steps, times quadratic" },
  ];
  for (const other of others) {
    const changed = { ...evaluation, asked: { ...asked, ...other } };
    assert.ok(!hasMeasured(changed, wanted), JSON.stringify(other));
  }
  assert.ok(!hasMeasured({ ...evaluation, asked: undefined }, wanted));
  assert.ok(!hasMeasured(evaluation, { ...wanted, weights: "" }));
  const unjudged = { ...evaluation, judge: undefined };
  assert.ok(!hasMeasured(unjudged, wanted) && !hasMeasured(evaluation, { ...wanted, judge: undefined }));
  assert.ok(hasMeasured(unjudged, { ...wanted, judge: undefined }));
});

Deno.test("aboutEvaluation() and evaluationTable() print the samples, the judge and each figure", () => {
  const all = Object.fromEntries(figureNames.map((name) => [name, evaluation.figures.confident]));
  const lines = evaluationTable({ ...evaluation, figures: { ...all, ...evaluation.figures } }).split("\n");
  assert.ok(lines.every((line) => [...line].length <= 80), "it fits 80 columns");
  assert.match(lines[1], /Recognised +90\.5 % +89\.0 % to 92\.0 % +98\.2 % +0\.0 % +higher$/);
  assert.match(lines[4], /Fréchet distance +6\.235 +5\.5 to 7 +lower$/);
  assert.match(lines[figureNames.length + 3], /Recognised +80,000 +62\.0$/);
  assert.deepEqual(aboutEvaluation(evaluation).split("\n"), [
    "2,000 samples from the noise of seed 0, heun: 80,000 evaluations, 61.3 s on a device",
    "Judge efefefefefef, stored: right on 99.12 % of the test images of made-up",
    "Samples of each class, as the judge sees them: 0: 1,200, 1: 800",
  ]);
  const dataset = { ...evaluation.dataset, classNames: ["finch", "owl"] };
  assert.match(aboutEvaluation({ ...evaluation, dataset }), /sees them: finch: 1,200, owl: 800$/);
  assert.match(aboutEvaluation({ ...evaluation, judge: undefined }), /No judge: made-up has no labels/);
  assert.deepEqual([shownFigure("recall", 0.12345), shownFigure("kernel", 0.000123456)], [
    "12.3 %",
    "0.0001235",
  ]);
});

Deno.test("qualityWarning() names differences that make evaluations incomparable", () => {
  const { dataset, judge, samples } = evaluation;
  const cases: readonly [change: Partial<Evaluation>, what: string | undefined][] = [
    [{ time: 0, device: "other", samples: { ...samples, seed: 1, how: "euler" } }, undefined],
    [
      { dataset: { ...dataset, name: "other" } },
      "data: made-up (cdcdcdcdcdcd) or other (cdcdcdcdcdcd)",
    ],
    [
      { judge: { ...judge!, sha256: "01".repeat(32) }, samples: { ...samples, count: 500 } },
      "judge: efefefefefef or 010101010101; samples: 2,000 or 500",
    ],
    [{ judge: undefined }, "judge: efefefefefef or none"],
  ];
  for (const [change, what] of cases) {
    const found = qualityWarning([evaluation, { ...evaluation, ...change }, evaluation]);
    const expected = what && `Figures of quality of these runs are not comparable (${what})`;
    assert.equal(found, expected, JSON.stringify(change));
  }
  assert.equal(qualityWarning([evaluation]), undefined);
  assert.equal(qualityWarning([]), undefined);
});

const judge = {
  weights: saveJudge(new Map([["a", { shape: [1], data: Float32Array.of(1) }]]), info),
  reference: { values: Float32Array.of(0, 1, 2, 3, 4, 5), rows: 3, width: 2 },
};

testInFolder(
  "readLiveJudge() reads what writeLiveJudge() wrote, and refuses damage in one line",
  async (run) => {
    assert.equal(await readLiveJudge(run), undefined);
    await writeLiveJudge(run, judge);
    assert.deepEqual(await readLiveJudge(run), judge);
    const path = join(run, "reference.safetensors");
    for (
      const features of [{ shape: [1], data: Float32Array.of(1) }, {
        shape: [1, 1],
        data: Float32Array.of(NaN),
      }]
    ) {
      await Deno.writeFile(path, encodeSafetensors(new Map([["features", features]])));
      await assert.rejects(
        readLiveJudge(run),
        /^RunError: Cannot read .*reference\.safetensors: features .*; delete/,
      );
    }
    await Deno.writeFile(join(run, "judge.safetensors"), judge.weights.subarray(0, -1));
    await assert.rejects(readLiveJudge(run), /^SafetensorsError: Cannot read .*judge\.safetensors: /);
    await Deno.remove(join(run, "judge.safetensors"));
    assert.equal(await readLiveJudge(run), undefined);
  },
);
