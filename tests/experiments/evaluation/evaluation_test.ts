import assert from "node:assert/strict";
import { join } from "node:path";
import {
  type Evaluation,
  type EvaluationRequest,
  hasMeasured,
  mergedEvaluation,
  readEvaluation,
  writeEvaluation,
} from "../../../experiments/evaluation/evaluation.ts";
import { figureKeys, figureMeanings, shownFigure } from "../../../experiments/evaluation/figures.ts";
import {
  aboutEvaluation,
  evaluationTable,
  qualityWarning,
} from "../../../experiments/evaluation/evaluation_table.ts";
import { writeJson } from "../../../experiments/run/run_folder.ts";
import { testInFolder, withFolder } from "../../folder.ts";
import { textOf } from "../../module_graph.ts";
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
  accuracySteps: 0,
};
const evaluation: Evaluation = {
  version: 2,
  time: 1_700_000_000_000,
  seconds: 12,
  weights: { file: "ema.safetensors", sha256: "ab".repeat(32), step: 400 },
  device: "a device",
  dataset: { name: "made-up", digest: "cd".repeat(32) },
  judges: [
    { name: "lenet", sha256: "ef".repeat(32), accuracy: 0.9912, source: "stored", classes: [1200, 800] },
    { name: "vgg", sha256: "10".repeat(32), accuracy: 0.98, source: "cached", classes: [1100, 900] },
  ],
  asked,
  samples: { count: 2000, seed: 0, how: "heun", evaluations: 80_000, seconds: 61.25 },
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
    "vgg/frechet": { value: 9.5, low: 9, high: 10, evaluations: 80_000, seconds: 62 },
  },
};

testInFolder("readEvaluation() reads what writeEvaluation() wrote", async (folder) => {
  assert.equal(await readEvaluation(folder), undefined);
  await writeEvaluation(join(folder, "evaluation.json"), evaluation);
  assert.deepEqual(await readEvaluation(folder), evaluation);
});

testInFolder("readEvaluation() reads files of version 0.9 as those of one judge", async (folder) => {
  const { judges: [{ name: _, classes, ...judge }], samples, figures, ...rest } = evaluation;
  const { "vgg/frechet": __, ...own } = figures;
  const old = { ...rest, version: 1, judge, samples: { ...samples, classes }, figures: own };
  await writeJson(join(folder, "evaluation.json"), old);
  const read = (await readEvaluation(folder))!;
  assert.deepEqual([read.judges, read.figures], [evaluation.judges.slice(0, 1), own]);
  assert.match(
    aboutEvaluation(read),
    /: 1,200, 1: 800\nOnly one judge: add --judge all for a second judge$/,
  );
  await writeJson(join(folder, "evaluation.json"), { ...old, judge: undefined });
  assert.deepEqual((await readEvaluation(folder))!.judges, [], "data without labels");
});

Deno.test("readEvaluation() refuses damaged files in one line with advice", () =>
  withFolder(async (folder) => {
    const damages: [change: object, message: string][] = [
      [{ version: 3 }, "version is 3 (expected 1 or 2; evaluate the run again)"],
      [{ judges: [{ name: "nobody" }] }, "judges is "],
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

Deno.test("hasMeasured() compares weights, judges and every field of the request", () => {
  const wanted = {
    weights: evaluation.weights.sha256,
    judges: evaluation.judges.map(({ sha256 }) => sha256),
    asked,
  };
  assert.ok(hasMeasured(evaluation, wanted));
  const others: Partial<EvaluationRequest>[] = [
    { count: 1000 },
    { seed: 1 },
    { guidance: 2 },
    { courseImages: 0 },
    { bitsImages: 8 },
    { accuracySteps: 9 },
    { words: "heun, 10 steps, times quadratic" },
  ];
  for (const other of others) {
    const changed = { ...evaluation, asked: { ...asked, ...other } };
    assert.ok(!hasMeasured(changed, wanted), JSON.stringify(other));
  }
  assert.ok(!hasMeasured({ ...evaluation, asked: undefined }, wanted));
  assert.ok(!hasMeasured(evaluation, { ...wanted, weights: "" }));
  const alone = { ...evaluation, judges: evaluation.judges.slice(0, 1) };
  assert.ok(!hasMeasured(alone, wanted) && !hasMeasured(evaluation, { ...wanted, judges: [] }));
  assert.ok(hasMeasured({ ...evaluation, judges: [] }, { ...wanted, judges: [] }));
});

Deno.test("mergedEvaluation() keeps the fuller evaluation, and adds what only the other has", () => {
  const [lenet, vgg] = evaluation.judges;
  const { confident, frechet } = evaluation.figures;
  const earlier = {
    ...evaluation,
    judges: [lenet],
    figures: { confident: { ...confident!, count: 2000 }, straightness: { ...frechet!, count: 64 } },
    course: { t: [0], straightness: [1], curvature: [2] },
  };
  const now: Evaluation = {
    ...evaluation,
    time: evaluation.time + 60_000,
    judges: [lenet, vgg],
    asked: { ...asked, count: 500, seed: 3 },
    samples: { ...evaluation.samples, count: 500, seed: 3 },
    figures: {
      confident: { ...confident!, count: 500, value: 0.5 },
      "vgg/confident": { ...confident!, count: 500 },
      straightness: { ...frechet!, count: 128 },
    },
    course: { t: [0], straightness: [3], curvature: [4] },
  };
  const merged = mergedEvaluation(now, earlier)!;
  const { figures: { "vgg/confident": added, ...figures }, ...rest } = merged;
  const { time } = now;
  assert.deepEqual(figures, {
    ...earlier.figures,
    straightness: { ...now.figures.straightness, from: { time, samples: 500 } },
  });
  assert.deepEqual(added, { ...now.figures["vgg/confident"], from: { time, samples: 500 } });
  assert.deepEqual([rest.judges, rest.samples.count, rest.asked, rest.time, rest.course], [
    [lenet, vgg],
    2000,
    asked,
    earlier.time,
    now.course,
  ]);
  assert.match(
    aboutEvaluation(merged),
    /\nFrom an evaluation of 500 samples on 2023-11-14 22:14 UTC: Recognised \(vgg\), Straightness$/,
  );
  assert.deepEqual(mergedEvaluation(earlier, now)?.figures, merged.figures, "in either order");
  assert.equal(
    mergedEvaluation({ ...now, samples: evaluation.samples }, earlier)!.time,
    time,
    "or the later",
  );
  const retrained = { ...lenet, sha256: "00" };
  const different: Partial<Evaluation>[] = [
    { weights: { ...now.weights, sha256: "" } },
    { dataset: { ...now.dataset, digest: "" } },
    { asked: { ...asked, guidance: 2 } },
    { asked: { ...asked, words: "euler" } },
    { judges: [retrained] },
  ];
  for (const change of different) {
    assert.equal(mergedEvaluation({ ...now, ...change }, earlier), undefined, JSON.stringify(change));
  }
});

Deno.test("aboutEvaluation() and evaluationTable() print the samples, the judges and each figure", () => {
  const all = Object.fromEntries(figureKeys.map((key) => [key, evaluation.figures.confident]));
  const lines = evaluationTable({ ...evaluation, figures: { ...all, ...evaluation.figures } }).split("\n");
  assert.ok(lines.every((line) => [...line].length <= 80), "it fits 80 columns");
  assert.match(lines[1], /Recognised \(lenet\) +90\.5 % +89\.0 % to 92\.0 % +98\.2 % +0\.0 %$/);
  assert.match(lines[7], /Fréchet distance \(lenet\) +6\.235 +5\.5 to 7$/);
  assert.match(lines[8], /Fréchet distance \(vgg\) +9\.5 +9 to 10$/);
  assert.match(lines[figureKeys.length + 3], /Recognised \(lenet\) +higher +80,000 +62\.0$/);
  const confident = { ...evaluation.figures.confident!, count: 2000, realCount: 300 };
  assert.match(
    evaluationTable({ ...evaluation, figures: { confident } }),
    / 98\.2 % \(300\) [^]*\nIn brackets: the number of real images, if it differs from that of samples$/,
  );
  assert.deepEqual(aboutEvaluation(evaluation).split("\n"), [
    "2,000 samples from the noise of seed 0, heun: 80,000 evaluations, 61.3 s on a device",
    "Judge lenet (efefefefefef, stored): right on 99.12 % of the test images of made-up",
    "Samples of each class, as lenet sees them: 0: 1,200, 1: 800",
    "Judge vgg (101010101010, cached): right on 98.00 % of the test images of made-up",
    "Samples of each class, as vgg sees them: 0: 1,100, 1: 900",
  ]);
  const dataset = { ...evaluation.dataset, classNames: ["finch", "owl"] };
  assert.match(aboutEvaluation({ ...evaluation, dataset }), /lenet sees them: finch: 1,200, owl: 800\n/);
  assert.match(
    aboutEvaluation({ ...evaluation, judges: [] }),
    /No judge: figures that need one are left out/,
  );
  assert.deepEqual([shownFigure("recall", 0.12345), shownFigure("kernel", 0.000123456)], [
    "12.3 %",
    "0.0001235",
  ]);
});

Deno.test("qualityWarning() names differences that make evaluations incomparable", () => {
  const { dataset, judges: [first, second], samples } = evaluation;
  const other = { ...first, sha256: "01".repeat(32) };
  const cases: readonly [change: Partial<Evaluation>, what: string | undefined][] = [
    [{ time: 0, device: "other", samples: { ...samples, seed: 1, how: "euler" } }, undefined],
    [
      { dataset: { ...dataset, name: "other" } },
      "data: made-up (cdcdcdcdcdcd) or other (cdcdcdcdcdcd)",
    ],
    [
      { judges: [other, second], samples: { ...samples, count: 500 } },
      "judge lenet: efefefefefef or 010101010101; samples: 2,000 or 500",
    ],
    [{ judges: [first, { ...other, name: "vgg" }] }, "judge vgg: 101010101010 or 010101010101"],
    [{ judges: [first] }, undefined],
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

Deno.test("docs/measures.md explains every figure by its title", async () => {
  const docs = await textOf("docs/measures.md");
  for (const { title } of Object.values(figureMeanings)) assert.ok(docs.includes(`| **${title}**`), title);
});
