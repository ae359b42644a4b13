import assert from "node:assert/strict";
import { join } from "node:path";
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
import { figuresByKey, shownFigure } from "../../../experiments/evaluation/figures.ts";
import { writeJson } from "../../../experiments/run/run_folder.ts";
import { encodeSafetensors, saveJudge } from "../../../models/mod.ts";
import { testInFolder, withFolder } from "../../folder.ts";
import { info } from "../../models/tiny_files.ts";
import { textOf } from "../../module_graph.ts";

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
  asked: { count: 2000, seed: 0, guidance: 1, words: "heun, 10 steps", courseImages: 64, bitsImages: 0 },
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
    frechet: { value: 6.2345678, low: 5.5, high: 7, noise: 6, evaluations: 80_000, seconds: 62 },
    "vgg/frechet": { value: 9.5, low: 9, high: 10, evaluations: 80_000, seconds: 62 },
  },
};

const live = {
  weights: saveJudge(new Map([["a", { shape: [1], data: Float32Array.of(1) }]]), info),
  reference: { values: Float32Array.of(0, 1, 2, 3, 4, 5), rows: 3, width: 2 },
};

testInFolder("recordEvaluation() writes files to read again, and metrics with intervals", async (run) => {
  assert.deepEqual([await readEvaluation(run), await readLiveJudge(run)], [undefined, undefined]);
  await recordEvaluation(run, { evaluation, judged: undefined, live });
  assert.deepEqual(await readEvaluation(run), evaluation);
  assert.deepEqual(await readLiveJudge(run), live);
  const [line] = (await Deno.readTextFile(join(run, "metrics.jsonl"))).trim().split("\n");
  const { confident, frechet } = evaluation.figures;
  const metrics = JSON.parse(line);
  assert.deepEqual([metrics.step, metrics.time], [400, evaluation.time]);
  assert.deepEqual(
    ["eval/confident", "eval/confident_low", "eval/frechet_high", "eval/vgg/frechet"].map((key) =>
      metrics[key]
    ),
    [confident!.value, confident!.low, frechet!.high, 9.5],
  );
  const features = new Map([["features", { shape: [1], data: Float32Array.of(1) }]]);
  await Deno.writeFile(join(run, "reference.safetensors"), encodeSafetensors(features));
  await assert.rejects(
    readLiveJudge(run),
    /^RunError: Cannot read .*reference\.safetensors: features .*; delete/,
  );
});

testInFolder("readEvaluation() reads files of version 0.9 as those of one judge", async (folder) => {
  const { judges: [{ name: _, classes, ...judge }], samples, figures, ...rest } = evaluation;
  const { "vgg/frechet": __, ...own } = figures;
  const old = { ...rest, version: 1, judge, samples: { ...samples, classes }, figures: own };
  await writeJson(join(folder, "evaluation.json"), old);
  const read = (await readEvaluation(folder))!;
  assert.deepEqual([read.judges, read.figures], [evaluation.judges.slice(0, 1), own]);
  await writeJson(join(folder, "evaluation.json"), { ...old, figures: { ...own, copying: own.frechet } });
  assert.deepEqual((await readEvaluation(folder))!.figures, own, "without figures of earlier versions");
  await writeJson(join(folder, "evaluation.json"), { ...old, judge: undefined });
  assert.deepEqual((await readEvaluation(folder))!.judges, [], "data without labels");
});

Deno.test("readEvaluation() refuses damaged files in one line with advice", () =>
  withFolder(async (folder) => {
    const damages: [change: object, message: string][] = [
      [{ version: 3 }, "version is 3 (expected 1 or 2)"],
      [{ judges: [{ name: "nobody" }] }, "judges is "],
      [{ figures: { frechet: { low: 1 } } }, "figures is "],
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

Deno.test("aboutEvaluation() and evaluationTable() print the samples, the judges and each figure", () => {
  const cellsOf = (table: string) => table.split("\n").map((line) => line.trim().split(/ {2,}/));
  assert.deepEqual(cellsOf(evaluationTable(evaluation)), [
    ["value (95 % interval)", "real images", "noise"],
    ["Confident (lenet)", "90.5 % (89.0 to 92.0)", "98.2 %", "0.0 %"],
    ["Fréchet distance (lenet)*", "6.235 (5.5 to 7)", "6"],
    ["Fréchet distance (vgg)", "9.5 (9 to 10)"],
    ["* Even noise scores well here; do not use this figure alone"],
  ]);
  const { confident, frechet } = evaluation.figures;
  const marked = (figures: Evaluation["figures"]) =>
    evaluationTable({ ...evaluation, figures }).includes("*");
  assert.ok(marked({ precision: { ...confident!, noise: 0.95 } }) && !marked({ precision: confident! }));
  assert.ok(!marked({ kernel: { ...frechet!, noise: 7 } }), "lower is better");
  const entropy = { ...frechet!, real: 3.3, value: 3.2 };
  assert.ok(marked({ class_entropy: { ...entropy, noise: 3.35 } }), "noise is nearer to real images");
  assert.ok(!marked({ class_entropy: { ...entropy, noise: 2 } }));
  assert.match(
    evaluationTable({
      ...evaluation,
      figures: { confident: { ...confident!, count: 2000, realCount: 300 } },
    }),
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

Deno.test("formatOrder() names the figures by which judges rank things differently beyond their intervals", () => {
  const around = (value: number) => ({ value, low: value - 1, high: value + 1 });
  const thing = (first: number, second: number, recall = 0.5, other = 0.5) => ({
    ...{ frechet: around(first), "vgg/frechet": around(second), velocity_error: around(0) },
    ...{ recall: { value: recall }, "vgg/recall": { value: other } },
  });
  const alike = "lenet and vgg do not disagree about any figure";
  const cases: readonly (readonly [things: Parameters<typeof formatOrder>[0], words: string | undefined])[] =
    [
      [[thing(5, 50), thing(9, 90)], alike],
      [[thing(5, 90), thing(9, 50)], "lenet and vgg disagree about: Fréchet distance"],
      [[thing(5, 90), thing(6, 50)], alike],
      [[thing(5, 51.5), thing(9, 50)], alike],
      [[thing(5, 90), thing(6, 50), thing(9, 40)], "lenet and vgg disagree about: Fréchet distance"],
      [
        [thing(1, 9, 0.5, 0.9), thing(9, 1, 0.6, 0.8)],
        "lenet and vgg disagree about: Fréchet distance, Recall",
      ],
      [[thing(5, 50), { frechet: around(9) }], undefined],
      [[thing(5, 50)], undefined],
      [[], undefined],
    ];
  for (const [things, words] of cases) assert.equal(formatOrder(things), words);
});

Deno.test("docs/measures.md explains every figure by its title", async () => {
  const docs = await textOf("docs/measures.md");
  for (const { title } of figuresByKey.values()) assert.ok(docs.includes(`| **${title}**`), title);
});
