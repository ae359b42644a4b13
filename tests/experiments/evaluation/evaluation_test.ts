/** Evaluations: what may be asked for, their files, and what tables and notes say of them. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { evaluating } from "../../../experiments/evaluate.ts";
import type { EvaluatedNetwork } from "../../../experiments/evaluation/evaluated_network.ts";
import {
  aboutEvaluation,
  type Evaluation,
  evaluationTable,
  formatOrder,
  qualityWarning,
  readEvaluation,
  readLiveJudge,
  recordEvaluation,
} from "../../../experiments/evaluation/evaluation.ts";
import { evaluationOptions } from "../../../experiments/evaluation/evaluation_options.ts";
import { figuresByKey, shownFigure } from "../../../experiments/evaluation/figures.ts";
import { cheapestOfBest, type SolverCost } from "../../../experiments/evaluation/solver_comparison.ts";
import { appendMetrics, encodeProgress } from "../../../experiments/run/metrics_log.ts";
import { writeJson } from "../../../experiments/run/run_folder.ts";
import { stepOfWeights } from "../../../experiments/run/weights.ts";
import { encodeSafetensors, saveJudge } from "../../../models/mod.ts";
import { testInFolder } from "../../folder.ts";
import { info } from "../../models/tiny_files.ts";
import { textOf } from "../../module_graph.ts";

Deno.test("evaluationOptions() takes as many samples as there are images to compare, or as asked", () => {
  const count = (flags: object, trained: number, tested: number, classes = 3) => {
    const data = { train: { count: trained }, test: { count: tested }, classes };
    const subject = { drawable: { model: {} }, data, trained: { length: trained }, weights: {}, classes };
    const asked = { ...evaluating.resolve(flags), help: false, runs: [] };
    return evaluationOptions(asked as never, subject as unknown as EvaluatedNetwork, 2000);
  };
  const taken = [
    ...[count({}, 900, 200), count({}, 900, 20), count({ count: 12 }, 900, 20)],
    count({ count: 12, judge: "none" }, 900, 200),
  ];
  assert.deepEqual(taken.map(({ count }) => count), [200, 900, 12, 12]);
  const { courseImages, bitsImages } = count({ count: 10, courseImages: 12, bitsImages: 3 }, 20, 20, 1);
  assert.deepEqual([courseImages, bitsImages], [10, 3], "at most as many images as samples");
  const refused: [asked: number, tested: number, message: RegExp][] = [
    [201, 200, /^Cannot compare 201 samples: there are only 200 test images; use --count 200$/],
    [901, 20, /^Cannot compare 901 samples: there are only 900 training images/],
    [12, 200, /^Cannot judge 12 samples: .* 84 features needs 168; use --count 168$/],
  ];
  for (const [asked, tested, message] of refused) {
    assert.throws(() => count({ count: asked }, 900, tested), { name: "ConfigError", message });
  }
});

testInFolder("stepOfWeights() of a killed run is the step of its checkpoint, not of its log", async (run) => {
  const state = join(run, "state.safetensors");
  assert.equal(await stepOfWeights(run, "KILLED"), 0);
  for (const step of [10, 20, 30]) appendMetrics(join(run, "metrics.jsonl"), { step, train_loss: 1 });
  assert.equal(await stepOfWeights(run, "KILLED"), 30, "without a state");
  await Deno.writeTextFile(state, "damaged");
  assert.equal(await stepOfWeights(run, "KILLED"), 30, "with a damaged one");
  const progress = encodeProgress({
    ...{ step: 20, elapsedSeconds: 1, bestValLoss: null, validatedStep: 0, schedule: {}, dataDigest: "" },
    recentSteps: { losses: [], gradientNorms: [], open: 0 },
  });
  await Deno.writeFile(state, encodeSafetensors(new Map(), { progress }));
  assert.equal(await stepOfWeights(run, "KILLED"), 20);
  assert.equal(await stepOfWeights(run, "FINISHED"), 30, "all logged steps are in the weights");
});

const cost = { evaluations: 80_000, seconds: 62 };
const evaluation: Evaluation = {
  ...{ version: 2, time: 1_700_000_000_000, seconds: 12, device: "a device" },
  weights: { file: "ema.safetensors", sha256: "ab".repeat(32), step: 400 },
  dataset: { name: "made-up", digest: "cd".repeat(32) },
  judges: [
    { name: "lenet", sha256: "ef".repeat(32), accuracy: 0.9912, source: "stored", classes: [1200, 800] },
    { name: "vgg", sha256: "10".repeat(32), accuracy: 0.98, source: "cached", classes: [1100, 900] },
  ],
  asked: { count: 2000, seed: 0, guidance: 1, words: "heun, 10 steps", courseImages: 64, bitsImages: 0 },
  samples: { count: 2000, seed: 0, how: "heun", evaluations: 80_000, seconds: 61.25 },
  figures: {
    confident: { value: 0.905, low: 0.89, high: 0.92, real: 0.982, noise: 0, ...cost },
    frechet: { value: 6.2345678, low: 5.5, high: 7, noise: 6, ...cost },
    "vgg/frechet": { value: 9.5, low: 9, high: 10, ...cost },
  },
};

testInFolder("recordEvaluation() writes files to read again, and metrics with intervals", async (run) => {
  const weights = saveJudge(new Map([["a", { shape: [1], data: Float32Array.of(1) }]]), info);
  const live = { weights, reference: { values: Float32Array.of(0, 1, 2, 3, 4, 5), rows: 3, width: 2 } };
  assert.deepEqual([await readEvaluation(run), await readLiveJudge(run)], [undefined, undefined]);
  await recordEvaluation(run, { evaluation, judged: undefined, live });
  assert.deepEqual([await readEvaluation(run), await readLiveJudge(run)], [evaluation, live]);
  const metrics = JSON.parse(await Deno.readTextFile(join(run, "metrics.jsonl")));
  assert.deepEqual([metrics.step, metrics.time], [400, evaluation.time]);
  const keys = ["confident", "confident_low", "frechet_high", "vgg/frechet"];
  assert.deepEqual(keys.map((key) => metrics[`eval/${key}`]), [0.905, 0.89, 7, 9.5]);
  const features = new Map([["features", { shape: [1], data: Float32Array.of(1) }]]);
  await Deno.writeFile(join(run, "reference.safetensors"), encodeSafetensors(features));
  await assert.rejects(readLiveJudge(run), /^RunError: Cannot read .*reference\.saf.*: features .*; del/);
});

testInFolder("readEvaluation() reads files of version 0.9, and refuses damaged ones", async (folder) => {
  const path = join(folder, "evaluation.json");
  const { judges: [{ name: _, classes, ...judge }], samples, figures, ...rest } = evaluation;
  const { "vgg/frechet": __, ...own } = figures;
  const old = { ...rest, version: 1, judge, samples: { ...samples, classes }, figures: own };
  await writeJson(path, { ...old, figures: { ...own, copying: own.frechet } });
  const read = (await readEvaluation(folder))!;
  assert.deepEqual([read.judges, read.figures], [evaluation.judges.slice(0, 1), own]);
  await writeJson(path, { ...old, judge: undefined });
  assert.deepEqual((await readEvaluation(folder))!.judges, [], "data without labels");
  const damages: [change: object, message: string][] = [
    [{ version: 3 }, "version is 3 (expected 1 or 2)"],
    [{ judges: [{ name: "nobody" }] }, "judges is "],
    [{ figures: { frechet: { low: 1 } } }, "figures is "],
    [{ samples: null }, "samples is null"],
    [{ course: { t: "x", straightness: [], curvature: [] } }, "course is "],
  ];
  for (const [change, message] of damages) {
    await writeJson(path, { ...evaluation, ...change });
    const told = `^${
      RegExp.escape(`Cannot read ${path}: ${message}`)
    }.*; delete the file, or evaluate the run again$`;
    await assert.rejects(readEvaluation(folder), { name: "RunError", message: RegExp(told) });
  }
});

Deno.test("evaluationTable() has each figure, and marks those by which noise is as good as real images", () => {
  const table = evaluationTable(evaluation).split("\n");
  assert.deepEqual(table.map((line) => line.trim().split(/ {2,}/)), [
    ["value (95 % interval)", "real images", "noise"],
    ["Confident (lenet)", "90.5 % (89.0 to 92.0)", "98.2 %", "0.0 %"],
    ["Fréchet distance (lenet)", "6.235 (5.5 to 7)", "6"],
    ["Fréchet distance (vgg)", "9.5 (9 to 10)"],
  ]);
  const { confident, frechet } = evaluation.figures;
  const tableOf = (figures: Evaluation["figures"]) => evaluationTable({ ...evaluation, figures });
  const entropy = { ...frechet!, real: 3.3, value: 3.2 };
  const marked: [Evaluation["figures"], boolean][] = [
    [{ precision: { ...confident!, noise: 0.99 } }, true],
    [{ precision: { ...confident!, noise: 0.95 } }, false], // better than the samples, but not than real images
    [{ kernel: { ...frechet!, real: 1, noise: 7 } }, false], // lower is better
    [{ kernel: { ...frechet!, real: 1, noise: 0.5 } }, true],
    [{ class_entropy: { ...entropy, noise: 3.35 } }, true],
    [{ class_entropy: { ...entropy, low: 3.1, high: 3.3, noise: 2 } }, false],
  ];
  for (const [figures, isMarked] of marked) assert.equal(tableOf(figures).includes("*"), isMarked);
  const few = tableOf({ confident: { ...confident!, count: 2000, realCount: 300 } });
  assert.match(few, / 98\.2 % \(300\) [^]*\nIn brackets: the number of real images/);
  const shown = [shownFigure("recall", 0.12345), shownFigure("kernel", 1.23456e-4)];
  assert.deepEqual(shown, ["12.3 %", "0.0001235"]);
});

Deno.test("aboutEvaluation() tells of the samples and the judges", async () => {
  assert.deepEqual(aboutEvaluation(evaluation).split("\n"), [
    "2,000 samples from the noise of seed 0, heun: 80,000 evaluations, 61.3 s on a device",
    "Judge lenet (efefefefefef, stored): right on 99.12 % of the test images of made-up",
    "Samples of each class, as lenet sees them: 0: 1,200, 1: 800",
    "Judge vgg (101010101010, cached): right on 98.00 % of the test images of made-up",
    "Samples of each class, as vgg sees them: 0: 1,100, 1: 900",
  ]);
  const dataset = { ...evaluation.dataset, classNames: ["finch", "owl"] };
  assert.match(aboutEvaluation({ ...evaluation, dataset }), /lenet sees them: finch: 1,200, owl: 800\n/);
  assert.match(aboutEvaluation({ ...evaluation, judges: [] }), /No judge: figures that need one are left /);
  const docs = await textOf("docs/measures.md");
  for (const { title } of figuresByKey.values()) assert.ok(docs.includes(`| **${title}**`), title);
});

Deno.test("qualityWarning() names differences that make evaluations incomparable", () => {
  const { dataset, judges: [first, second], samples } = evaluation;
  const other = { ...first, sha256: "01".repeat(32) };
  const few = { ...samples, count: 500 }, vgg = "judge vgg: 101010101010 or 010101010101";
  const cases: readonly [change: Partial<Evaluation>, what: string | undefined][] = [
    [{ time: 0, device: "other", samples: { ...samples, seed: 1, how: "euler" } }, undefined],
    [{ dataset: { ...dataset, name: "other" } }, "data: made-up (cdcdcdcdcdcd) or other (cdcdcdcdcdcd)"],
    [{ judges: [other, second] }, "judge lenet: efefefefefef or 010101010101"],
    [{ judges: [first, { ...other, name: "vgg" }], samples: few }, `${vgg}; samples: 2,000 or 500`],
    [{ judges: [first] }, undefined],
  ];
  for (const [change, what] of cases) {
    const found = qualityWarning([evaluation, { ...evaluation, ...change }, evaluation]);
    assert.equal(found, what && `Figures of quality of these runs are not comparable (${what})`);
  }
  assert.equal(qualityWarning([]), undefined);
});

Deno.test("formatOrder() names the figures by which judges rank things differently", () => {
  const around = (value: number) => ({ value, low: value - 1, high: value + 1 });
  const thing = (first: number, second: number, recall = 0.5, other = 0.5) => ({
    ...{ frechet: around(first), "vgg/frechet": around(second), velocity_error: around(0) },
    ...{ recall: { value: recall }, "vgg/recall": { value: other } },
  });
  const alike = "lenet and vgg do not disagree about any figure";
  const differ = "lenet and vgg disagree about: Fréchet distance";
  const cases: readonly (readonly [Parameters<typeof formatOrder>[0], words: string | undefined])[] = [
    [[thing(5, 50), thing(9, 90)], alike],
    [[thing(5, 90), thing(9, 50)], differ],
    [[thing(5, 90), thing(6, 50)], alike], // within an interval
    [[thing(5, 51.5), thing(9, 50)], alike],
    [[thing(5, 90), thing(6, 50), thing(9, 40)], differ],
    [[thing(1, 9, 0.5, 0.9), thing(9, 1, 0.6, 0.8)], `${differ}, Recall`],
    [[thing(5, 50), { frechet: around(9) }], undefined],
    [[thing(5, 50)], undefined],
  ];
  for (const [things, words] of cases) assert.equal(formatOrder(things), words);
});

Deno.test("cheapestOfBest() chooses the cheapest solver within the interval of the best", () => {
  const estimate = (value: number) => ({ value, low: value - 1, high: value + 1 });
  const costOf = (spec: string, evaluations: number, frechet: number, vgg?: number): SolverCost => ({
    ...{ spec, evaluations, seconds: 1 },
    figures: {
      ...{ frechet: estimate(frechet), confident: estimate(0.5) },
      ...vgg !== undefined && { "vgg/frechet": estimate(vgg) },
    },
  });
  const costs = [costOf("a", 10, 20), costOf("b", 20, 10.9), costOf("c", 40, 11.5), costOf("d", 80, 10)];
  const both = [costOf("a", 10, 10, 40), costOf("b", 20, 10.5, 20), costOf("c", 40, 11.5, 20)];
  const cases: [costs: SolverCost[], spec: string][] = [
    [costs, "b"],
    [costs.slice(2), "d"],
    [[costOf("none", 1, NaN), ...costs], "b"],
    [both, "b"], // the second judge sees that a is bad
    [[both[0], costOf("d", 8, 50, 30)], "a"], // no solver satisfies both
    [costs.map((cost) => ({ ...cost, figures: { kernel: cost.figures.frechet } })), "b"],
  ];
  for (const [costs, spec] of cases) assert.equal(cheapestOfBest(costs).spec, spec);
});
