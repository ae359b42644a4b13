/** The quality section of a report: verdicts, figures of all judges, and samples. */

import assert from "node:assert/strict";
import {
  type JudgedSamples,
  type Quality,
  type QualityFigure,
  reportHtml,
  type ReportRun,
} from "../../../viz/report/mod.ts";
import { overTime, quality, run } from "./made_up.ts";

const [share, distance] = quality().figures;
const page = (more: Partial<Quality>, rest: Partial<ReportRun> = {}) =>
  reportHtml({ runs: [run("a", { quality: quality(more), overTime, ...rest })] });

Deno.test("reportHtml() answers each question on quality with a verdict", () => {
  const asked: QualityFigure = { ...share, title: "Requested class", question: "class", chance: 0.1 };
  const { noise: _, real: __, ...guessed } = asked;
  const real = (more: Partial<QualityFigure>): QualityFigure => ({ ...share, question: "real", ...more });
  const far = { value: 0.5, low: 0.4, high: 0.6 };
  const near = { value: 0.97, low: 0.95, high: 0.985 };
  const cloud = { ...distance, title: "Distance", question: "real" } as const;
  const copying = (high: number): QualityFigure => ({
    ...share,
    ...{ title: "Authentic", question: "copied", better: "real", value: 0.4, low: 0.3, high, real: 0.5 },
  });
  const cases: [figures: QualityFigure[], verdicts: string[]][] = [
    [[{ ...asked, ...near }], ["1/1"]],
    [[asked], ["1/1"]], // the end of its interval is close
    [[{ ...asked, ...far }], ["0/1"]],
    [[{ ...guessed, ...near }], ["1/1"]], // between chance and all samples of the requested class
    [[{ ...guessed, ...far }], ["0/1"]],
    [[real(near), cloud], ["2/2"]], // 6.2 of 963 is close to 1.5
    [[real(near), { ...cloud, value: 500, low: 480, high: 520 }], ["1/2"]],
    [[real({ ...near, judge: "lenet" }), real({ ...far, judge: "vgg" })], ["0/1"]], // both judges
    [[real({ ...near, better: "real", real: 0.7 })], ["0/1"]],
    [[real({ value: 1, low: 0.99, high: 1 })], ["1/1"]], // better than real images
    [[copying(0.6)], ["new"]],
    [[copying(0.45)], ["copied"]],
    [[copying(0.6), real(near), { ...asked, ...near }], ["1/1", "1/1", "new"]],
    [[share], []], // no question
  ];
  for (const [figures, verdicts] of cases) {
    const found = [...page({ figures }).matchAll(/data-verdict="([^"]*)"/g)].map(([, verdict]) => verdict);
    assert.deepEqual(found, verdicts, JSON.stringify(figures));
  }
});

Deno.test("reportHtml() has a row for each figure, with all runs and judges, and a table of all figures", () => {
  const judges = [{ ...share, judge: "lenet" }, { ...share, judge: "vgg", value: 0.88 }];
  const html = reportHtml({
    runs: [
      run("a", { quality: quality({ figures: [...judges, { ...distance, realCount: 1027 }] }), overTime }),
      run("b", { quality: quality({ figures: [{ ...share, value: 0.95 }] }) }),
    ],
  });
  const rows = [...html.matchAll(/<tr><th scope="row">(\w[^<]*)<div class="small">.*?<\/tr>/gs)].map((
    [row, title],
  ) => [
    title,
    ...[...row.matchAll(/<b>([^<]*)<\/b>/g)].map(([, value]) => value),
  ]);
  assert.deepEqual(rows, [["Confident", "90.0 %", "88.0 %", "95.0 %"], ["Fréchet distance", "6.2"]]);
  assert.match(html, /1,027 real images: /);
  for (
    const cells of [
      ["Confident (vgg)", "88.0 %", "85.0 % to 94.0 %", "98.0 %", "1.0 %"],
      ["Fréchet distance", "6.2", "5.1 to 7.9", "1.5 (1,027 images)"],
      ["0.50", "0.1", "0.2"],
    ]
  ) assert.ok(html.includes(cells.map((cell) => `<td>${cell}</td>`).join("")), `${cells}`);
});

Deno.test("reportHtml() says where noise beats real images, and where samples are too few", () => {
  const { noise: _, ...unknown } = share;
  const cases: [Partial<Quality>, caution: boolean, few: boolean][] = [
    [{ figures: [share] }, false, false],
    [{ figures: [{ ...share, noise: 1 }], count: 2000 }, true, false],
    [{ figures: [unknown], count: 1999 }, false, true],
    [{ figures: [distance] }, false, false],
    [{ figures: [{ ...distance, noise: 1 }] }, true, false],
    [{ figures: [{ ...distance, better: "real", noise: 1 }] }, false, false],
  ];
  for (const [more, caution, few] of cases) {
    const html = page(more);
    assert.deepEqual([html.includes("Even noise scores well"), html.includes("too few to compare")], [
      caution,
      few,
    ]);
  }
});

/** The text on each sample, and the counts of requested and seen classes. */
function galleryOf(samples: Partial<JudgedSamples>, classNames?: readonly string[]) {
  const html = page(
    { samples: { ...quality().samples!, ...samples } },
    classNames && { classNames },
  );
  return {
    words: [...html.matchAll(/class="sample( wrong)?"[^>]*data-disputed="(\w+)" title="([^"]*)"/g)]
      .map(([, wrong = "", disputed, words]) => `${words}${wrong}${disputed === "yes" ? " disputed" : ""}`),
    counts: [...html.matchAll(/aria-label="(\d+ requested [^"]*)"/g)].map(([, words]) => words),
  };
}

Deno.test("reportHtml() shows judged samples by class names, and marks errors and disagreement of judges", () => {
  const plain = galleryOf({}, ["cat", "<b>"]);
  assert.equal(plain.words[1], "seen &#60;b&#62; with 0.60; 25 % of samples are less certain");
  assert.deepEqual(plain.counts, []);
  const second = { confidence: Float32Array.of(0.9, 0.4, 0.8, 1), classes: [0, 1, 0, 1] };
  const { words, counts } = galleryOf({ labels: [1, 1, 4, 2], second }, ["cat", "owl"]);
  assert.deepEqual(words.map((one) => one.replace(/; \d+ % of samples are less certain/, "")), [
    "requested owl, seen 3 with 0.30; second judge: cat with 0.90 wrong disputed",
    "requested owl, seen owl with 0.60; second judge: owl with 0.40",
    "requested 4, seen 4 with 0.90; second judge: cat with 0.80 disputed",
    "requested 2, seen owl with 1.00; second judge: owl with 1.00 wrong",
  ]);
  assert.deepEqual(counts, [
    "1 requested owl, seen owl",
    "1 requested owl, seen 3",
    "1 requested 2, seen owl",
    "1 requested 4, seen 4",
  ]);
});

Deno.test("reportHtml() starts with the result of a run", () => {
  const figures = [{ ...share, title: "Requested class" }, distance];
  const head = (more: Partial<ReportRun>) => {
    const html = reportHtml({ runs: [run("a", more)] });
    return html.slice(html.indexOf("<header>"), html.indexOf("</header>")).replace(/base64,[^"]*/g, "");
  };
  const evaluated = head({
    title: "Residual U-Net on MNIST",
    subject: "digits",
    quality: quality({ figures }),
  });
  assert.match(evaluated, /<h1>Residual U-Net on MNIST<\/h1>/);
  assert.match(evaluated, /<b>90\.0 %<\/b> \(85\.0 % to 94\.0 %; real images 98\.0 %\) of its digits show/);
  assert.match(evaluated, /<b>6\.2<\/b> \(5\.1 to 7\.9; real images 1\.5\)/);
  assert.match(evaluated, /class="samples"[^]*id="result-chart"/);
  assert.match(head({}), /a in one sentence\./);
  assert.match(head({ isFlowMap: true, fewStepsPng: Uint8Array.of(1) }), /class="few-steps"/);
  const conflicting = reportHtml({ runs: [run("a"), run("b")] });
  assert.ok(!conflicting.includes('class="result"'), "several runs have their results in a table");
});
