import assert from "node:assert/strict";
import { join } from "node:path";
import {
  type Asked,
  type Evaluation,
  hasMeasured,
  readEvaluation,
  writeEvaluation,
} from "../../../experiments/evaluation/evaluation.ts";
import { figureMeanings, figureNames, shownFigure } from "../../../experiments/evaluation/figures.ts";
import { aboutEvaluation, evaluationTable } from "../../../experiments/evaluation/table.ts";
import { withFolder } from "../../folder.ts";

const asked: Asked = {
  ...{ count: 2000, seed: 0, guidance: 1, words: "heun, 10 steps", courseImages: 64, bitsImages: 0 },
};
const evaluation: Evaluation = {
  version: 1,
  time: 1_700_000_000_000,
  seconds: 12,
  weights: { file: "ema.safetensors", sha256: "ab".repeat(32), step: 400 },
  device: "a device",
  dataset: { name: "made-up", digest: "cd".repeat(32), testOrder: "random" },
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

Deno.test("writeEvaluation() and readEvaluation() keep an evaluation", () =>
  withFolder(async (folder) => {
    assert.equal(await readEvaluation(folder), undefined);
    await writeEvaluation(join(folder, "evaluation.json"), evaluation);
    assert.deepEqual(await readEvaluation(folder), evaluation);
  }));

const damages: Record<string, [change: object, message: RegExp]> = {
  "another version": [{ version: 2 }, /version is 2 \(expected 1; evaluate the run again\)/],
  "a figure without value": [{ figures: { frechet: { low: 1 } } }, /figures is /],
  "a figure that is unknown": [
    { figures: { frechett: evaluation.figures.frechet } },
    /figures has an unknown "frechett"/,
  ],
  "an order of its own": [
    { dataset: { ...evaluation.dataset, testOrder: "sorted" } },
    /dataset is .* \(expected an object with name, digest, testOrder/,
  ],
  "no samples": [{ samples: null }, /samples is null/],
  "a course of text": [{ course: { t: "x", straightness: [], curvature: [] } }, /course is /],
};

for (const [name, [change, message]] of Object.entries(damages)) {
  Deno.test(`readEvaluation() refuses ${name} in one line that says what to do`, () =>
    withFolder(async (folder) => {
      await Deno.writeTextFile(join(folder, "evaluation.json"), JSON.stringify({ ...evaluation, ...change }));
      await assert.rejects(() => readEvaluation(folder), (error: Error) => {
        assert.equal(error.name, "RunError");
        assert.match(error.message, message);
        assert.match(
          error.message,
          /^Cannot read .*evaluation\.json: .*delete the file, or evaluate the run again$/,
        );
        return true;
      });
    }));
}

Deno.test("hasMeasured() compares weights, judge, test images and all options, and takes none that are not noted", () => {
  const wanted = {
    weights: evaluation.weights.sha256,
    judge: evaluation.judge?.sha256,
    testOrder: evaluation.dataset.testOrder,
    asked,
  };
  assert.ok(hasMeasured(evaluation, wanted));
  const others: Partial<Asked>[] = [
    ...[{ count: 1000 }, { seed: 1 }, { guidance: 2 }, { courseImages: 0 }, { bitsImages: 8 }],
    { words: "heun, 10 steps, times quadratic" },
  ];
  for (const other of others) {
    const changed = { ...evaluation, asked: { ...asked, ...other } };
    assert.ok(!hasMeasured(changed, wanted), JSON.stringify(other));
  }
  assert.ok(!hasMeasured({ ...evaluation, asked: undefined }, wanted));
  assert.ok(!hasMeasured({ ...evaluation, judge: undefined }, wanted));
  assert.ok(!hasMeasured(evaluation, { ...wanted, judge: undefined }));
  assert.ok(!hasMeasured(evaluation, { ...wanted, weights: "" }));
  assert.ok(!hasMeasured(evaluation, { ...wanted, testOrder: undefined }));
  const unlabelled = { ...evaluation, judge: undefined };
  assert.ok(hasMeasured(unlabelled, { ...wanted, judge: undefined }));
});

Deno.test("evaluationTable() has a line for each figure, with interval, real images, noise and cost", () => {
  const lines = evaluationTable(evaluation).split("\n");
  assert.equal(lines.length, 3);
  assert.match(lines[1], /Recognised +90\.5 % +89\.0 % to 92\.0 % +98\.2 % +0\.0 % +higher +80,000 +62\.0/);
  assert.match(lines[2], /Fréchet distance +6\.235 +5\.5 to 7 +lower/);
  const end = lines[0].indexOf("seconds") + "seconds".length;
  assert.deepEqual(lines.map((line) => [...line].length), [end, end, end], "columns are aligned");
});

Deno.test("aboutEvaluation() says what was drawn, by what, and who judged", () => {
  const about = aboutEvaluation(evaluation);
  assert.match(
    about,
    /2,000 samples from the noise of seed 0, heun: 80,000 evaluations, 61\.3 s on a device/,
  );
  assert.match(about, /Judge efefefefefef, stored: right on 99\.12 % of the test images of made-up/);
  assert.match(about, /\nSamples by the class it sees: 0: 1,200, 1: 800$/);
  assert.match(aboutEvaluation({ ...evaluation, judge: undefined }), /No judge: made-up has no labels/);
});

Deno.test("figureMeanings explain every figure in one sentence, and shownFigure() shows shares in per cent", () => {
  for (const name of figureNames) {
    const { title, doc } = figureMeanings[name];
    assert.ok(title.length > 0 && /^[A-Z].*[^.]$/.test(doc), `${name}: ${doc}`);
  }
  assert.equal(shownFigure("recall", 0.12345), "12.3 %");
  assert.equal(shownFigure("kernel", 0.000123456), "0.0001235");
});
