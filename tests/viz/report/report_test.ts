/** The text of a report, and the data that it rejects. */

import assert from "node:assert/strict";
import {
  type JudgedSamples,
  type LiveNetwork,
  type PlaneTrajectories,
  type Quality,
  type QualityFigure,
  reportHtml,
  type ReportRun,
} from "../../../viz/report/mod.ts";
import { colormap } from "../../../viz/mod.ts";
import { intervalsFigure } from "../../../viz/report/run_figures.ts";
import { madeUpFlow } from "../flow/made_up_flow.ts";
import { hostile, one, overTime, plane, quality, run, size } from "./made_up.ts";

Deno.test("reportHtml() escapes a user's text, and does not mention digits for other images", () => {
  const ending = "Failed after step 3: <b>the loss</b> is NaN.";
  const runs = [...one.runs, run("b", { ending, quality: quality({ how: hostile }) })];
  const page = reportHtml({ runs });
  assert.equal(page.split("<img src=x").length, 1, "a user's tag is not escaped");
  assert.ok(!page.includes('onerror="'), "a user's attribute is not escaped");
  const escaped = "&#60;/script&#62;&#60;img src=x onerror=&#34;document.title=&#39;hurt&#39;&#34;&#62;";
  assert.ok(page.includes(escaped));
  const said = '<b>b</b>: <b class="ending">Failed after step 3: &#60;b&#62;the loss&#60;/b&#62; is NaN.</b>';
  assert.ok(page.includes(said));
  assert.equal(page.split('<b class="ending">').length, 2, "other runs have no ending");
  assert.doesNotMatch(page.replaceAll(/<(script|style)[\s\S]*?<\/\1>/g, ""), /digit|MNIST/i);
});

/** Asserts that a report refuses a second run with these parts. */
function assertRefused(more: Partial<ReportRun>, problem: string): void {
  assert.throws(() => reportHtml({ runs: [run("a"), run("b", more)] }), (error: Error) => {
    assert.equal(error.name, "RangeError");
    assert.ok(error.message.replace(/^Cannot report:? /, "").startsWith(problem), error.message);
    return true;
  });
}

const { H, W } = size;
const whole = plane(6, 20);
const inPlane = (more: Partial<PlaneTrajectories>) => ({ plane: { ...whole, ...more } });
const live = (more: Partial<LiveNetwork>) => ({ live: { checkpoint: Uint8Array.of(1), ...more } });

Deno.test("reportHtml() rejects equal names, NaN, and images or times that do not fit together", () => {
  const flow = (M: number, height: number = H) => madeUpFlow(1, M, [height, W]);
  const { shape: _, ...two } = {
    ...flow(3),
    image: new Float32Array(6 * H * W),
    velocity: new Float32Array(4 * H * W),
  };
  const otherSizes = 'images of "a" are 12 x 16, but those of "b" are 9 x 16 (expected one size)';
  const otherTimes = 'trajectories of "b" differ in their times (expected the same times)';
  const cases: [Partial<ReportRun>, string][] = [
    [inPlane({ image: new Float32Array(20 * 9 * W), shape: [6, 20, 9, W] }), otherSizes],
    [{ trajectories: [flow(11, 9)] }, otherSizes],
    [
      { trajectories: [{ ...two, shape: [3, 2, H, W] }] },
      "images have 2 channels (expected 1 for grey, or 3 for ",
    ],
    [inPlane({ shape: [6, 20, 4, H, W] }), "the plane: images have 4 channels"],
    [{ trajectories: [flow(1)] }, 'a trajectory of "b" has one snapshot (expected 2 or more)'],
    [{ trajectories: [flow(3), flow(11)] }, otherTimes],
    [{ trajectories: [flow(3), { ...flow(3), t: Float32Array.of(0, 0.4, 1) }] }, otherTimes],
    [
      { trajectories: [{ ...flow(2), image: flow(2).image.with(3, NaN) }] },
      "runs.1.trajectories.0.image: value 3 is NaN (",
    ],
    [live({}), '"b" has a network (expected a library to sample with)'],
    [{ name: "a" }, 'two runs are named "a" (expected unique names)'],
  ];
  for (const [given, problem] of cases) assertRefused(given, problem);
  assert.throws(
    () => reportHtml({ runs: [] }),
    /^RangeError: Cannot report: there are no runs \(expected at/,
  );
});

Deno.test("reportHtml() finds the learning rate of a row by its step", () => {
  const step = Array.from({ length: 20 }, (_, i) => i + 1);
  const learningRate = { step, value: step.map((s) => s / 1000) };
  const page = reportHtml({
    runs: [run("a", { learningRate, trainLoss: { step, value: step.map((s) => s === 3 ? NaN : 1) } })],
  });
  for (const s of [2, 4, 20]) assert.ok(page.includes(`<td>${s}</td><td>1</td><td>${s / 1000}</td>`), `${s}`);
});

Deno.test("reportHtml() has colour bars on which blue is below 0, and says how a plane was conditioned", () => {
  const conditioning = { labels: new Uint8Array(20), guidance: 2 };
  const { judged, ...other } = plane(6, 20);
  const page = reportHtml({
    runs: [
      run("a"),
      run("b", { plane: { ...other, judged, conditioning } }),
      run("c", { plane: { ...other, conditioning: { ...conditioning, guidance: 1 } } }),
      run("d", { plane: other }),
    ],
  });
  const bars = page.matchAll(
    /class="bar" style="background:linear-gradient\(to right,(rgb\(.*?\)).*(rgb\(.*?\))\)/g,
  );
  const color = (map: "gray" | "rdbu", i: number) => `rgb(${colormap(map).subarray(3 * i, 3 * i + 3)})`;
  assert.deepEqual(
    new Set(Array.from(bars, ([, first, last]) => `${first} ${last}`)),
    new Set([`${color("gray", 0)} ${color("gray", 255)}`, `${color("rdbu", 255)} ${color("rdbu", 0)}`]),
  );
  const words = [...page.matchAll(/<div data-plane="(\d)"( hidden)?>([^]*?)<\/div>/g)];
  const shown = ["0", "1 hidden", "2 hidden", "3 hidden"];
  assert.deepEqual(words.map(([, run, hidden]) => run + (hidden ?? "")), [...shown, ...shown]);
  const [byJudge, both, requested, unknown] = words.slice(4).map(([, , , text]) => text.replace(/\s+/g, " "));
  assert.match(byJudge, /of its class, assigned by the judge, .* labels 90\.0 % of test images correctly/);
  assert.doesNotMatch(byJudge, /cycle through/);
  assert.match(both, /assigned by the judge/);
  assert.match(both, /cycle through all classes, at guidance 2; the judge sees .* in 10\.0 % of them/);
  assert.match(
    requested,
    /of the class that was requested\..* cycle through all classes, without guidance\./,
  );
  assert.match(unknown, /^<p class="small">The colours and shapes are the classes of real images\./);
});

Deno.test("reportHtml() omits sections without data", () => {
  const { lossByTime: _, samplesPng: __, plane: ___, ...rest } = run("bare");
  const page = reportHtml({ runs: [{ ...rest, trajectories: [] }] });
  for (const id of ["clock", "explorer", "plane-chart", "bins-chart", "quality", "solvers", "live"]) {
    assert.ok(!page.includes(`id="${id}"`), id);
  }
  assert.ok(page.includes('id="loss-chart"'));
});

const [share, distance] = quality().figures;

Deno.test("intervalsFigure() has better values on the right of an axis that fits the figure", () => {
  const marks = { real: 1, noise: 0 }, frechet = { ends: [8, 0], real: 0, noise: 8 } as const;
  const towards = { better: "real", real: 4, noise: 0 } as const;
  // A figure, and where its value, interval and marks are, in per cent of the way from worse to better.
  const cases: [Partial<QualityFigure>, [value: number, low: number, high: number], object?][] = [
    [
      { value: 0.25, low: 0.2, high: 0.5, ...marks, better: "higher", share: true, chance: 0.1 },
      [25, 20, 50],
      { real: 100, noise: 0, chance: 10 },
    ],
    [{ value: 2, low: 1, high: 4, ...frechet }, [75, 50, 87.5], { real: 100, noise: 0 }],
    [{ value: 12, low: 12, high: 16, ...frechet }, [25, 0, 25]],
    [{ value: 100, low: 10, high: 1000, real: 1, noise: 10_000 }, [50, 25, 75], { real: 100, noise: 0 }],
    [{ value: 100, low: 100, high: 100, real: -3, noise: 1000 }, [50, 50, 50], { real: 100, noise: 0 }],
    [{ value: 5, low: 3, high: 8, ...towards }, [75, 0, 100], { real: 100 }],
    [{ value: 2, low: 2, high: 3, ...towards }, [50, 50, 75]],
  ];
  const percent = (value: number) => Number((100 * value).toFixed(1));
  for (const [figure, reach, places = {}] of cases) {
    const { data } = intervalsFigure(
      [{ run: 0, name: "a", figure: { ...distance, ...figure } }],
      () => String,
    );
    const { x: [x], error_x: { array: [more], arrayminus: [less] } } = Object(data.at(-1));
    assert.deepEqual([x, x - less, x + more].map(percent), reach, JSON.stringify(figure));
    const marks = data.slice(0, -1).map(({ name, x }) => [name!.split(" ")[0], percent(x![0] as number)]);
    const found = Object.fromEntries(marks);
    assert.deepEqual({ ...found, ...places }, found, JSON.stringify(figure));
  }
});

Deno.test("intervalsFigure() has a row for each figure and judge, in which runs lie below each other", () => {
  const figures = [share, { ...share, judge: "vgg" }, distance];
  const all = [0, 1].flatMap((run) => figures.map((figure) => ({ run, name: `run ${run}`, figure })));
  const { data, layout } = intervalsFigure(all, () => (value) => `<${value}>`);
  assert.deepEqual(Object(layout.yaxis).ticktext, ["Confident", "Confident<br>vgg", "Fréchet distance"]);
  const [real, noise, first, second] = data;
  assert.deepEqual([real.y, noise.y], [[0, 1, 2], [0, 1, 2]]);
  assert.deepEqual([first.y, second.y], [[-0.15, 0.85, 1.85], [0.15, 1.15, 2.15]]);
  assert.equal((second.text as string[])[1], "Confident (vgg): <0.9> (95 % interval <0.85> to <0.94>)");
  assert.equal((real.text as string[])[0], "Confident, real images: <0.98>");
});

Deno.test("reportHtml() shows exact evaluations of solvers, and mentions tables of numbers only where they exist", () => {
  const result = { solver: "heun", frechet: { value: 6.218, low: 5.1, high: 7.9 }, confident: 0.9 };
  const solvers = [
    { ...result, words: "heun:steps=617", evaluations: 1234, chosen: true },
    { ...result, words: "dopri5:rtol=1e-6", evaluations: 1357.46, chosen: false },
  ];
  const page = reportHtml({ runs: [run("a", { solvers, quality: quality() })] });
  assert.match(page, /: 1234 evaluations, Fréchet distance 6\.22\./);
  assert.ok(page.includes("<td>1357.5</td>"));
  const places = [...page.matchAll(/<div id="([a-z-]+)" class="chart [^>]*aria-label="([^"]*)"/g)];
  const silent = places.flatMap(([, id, label]) => label.endsWith("; numbers below") ? [] : [id]);
  assert.deepEqual(silent, ["pixel-chart", "plane-chart"]);
});

const page = (more: Partial<Quality>, rest: Partial<ReportRun> = {}) =>
  reportHtml({ runs: [run("a", { quality: quality(more), overTime, ...rest })] });

Deno.test("reportHtml() answers each question on quality of each run with a verdict", () => {
  const asked: QualityFigure = { ...share, title: "Requested class", question: "class", chance: 0.1 };
  const real: QualityFigure = { ...share, title: "Confident", question: "real" };
  const own: QualityFigure = { ...share, title: "Authentic", question: "copied", better: "real", real: 0.9 };
  const verdictsOf = (html: string) =>
    [...html.matchAll(/data-verdict="([^"]*)"/g)].map(([, verdict]) => verdict);
  const figures = [own, real, asked, { ...share, title: "No question" }];
  assert.deepEqual(verdictsOf(page({ figures })), ["near", "1/1", "new"]);
  const html = reportHtml({
    runs: [
      run("a", { quality: quality({ figures: [asked] }) }),
      run("b", { quality: quality({ figures: [{ ...asked, value: 0.12, low: 0.09, high: 0.15 }] }) }),
    ],
  });
  assert.deepEqual(verdictsOf(html), ["near", "chance"]);
  assert.match(html, /<\/span>b: No better than by guessing: 12\.0 % \(9\.0 to 15\.0 %; guessing/);
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
    [{ figures: [{ ...distance, better: "real", noise: 1 }] }, true, false],
    [{ figures: [{ ...distance, better: "real", noise: 4 }] }, false, false],
  ];
  for (const [more, caution, few] of cases) {
    const html = page(more);
    assert.deepEqual([html.includes("Even noise scores well"), html.includes("too few to compare")], [
      caution,
      few,
    ]);
  }
});

Deno.test("reportHtml() shows judged samples by class names, and marks errors and disagreement of judges", () => {
  /** The text on each sample with its marks, and the counts of requested and seen classes. */
  const galleryOf = (samples: Partial<JudgedSamples>, classNames: readonly string[]) => {
    const html = page({ samples: { ...quality().samples!, ...samples } }, { classNames });
    const all = html.matchAll(/class="sample( wrong)?"[^>]*data-disputed="(\w+)" title="([^"]*)"/g);
    return {
      words: Array.from(all, ([, wrong = "", disputed, words]) => `${words}${wrong}, ${disputed}`),
      counts: [...html.matchAll(/aria-label="(\d+ requested [^"]*)"/g)].map(([, words]) => words),
    };
  };
  const plain = galleryOf({}, ["cat", "<b>"]);
  assert.equal(plain.words[1], "seen &#60;b&#62; with 0.60; 25 % of samples are less certain, no");
  assert.deepEqual(plain.counts, []);
  const second = { confidence: Float32Array.of(0.9, 0.4, 0.8, 1), classes: [0, 1, 0, 1] };
  const { words, counts } = galleryOf({ labels: [1, 1, 4, 2], second }, ["cat", "owl"]);
  assert.deepEqual(words.map((one) => one.replace(/; \d+ % of samples are less certain/, "")), [
    "requested owl, seen 3 with 0.30; second judge: cat with 0.90 wrong, yes",
    "requested owl, seen owl with 0.60; second judge: owl with 0.40, no",
    "requested 4, seen 4 with 0.90; second judge: cat with 0.80, yes",
    "requested 2, seen owl with 1.00; second judge: owl with 1.00 wrong, no",
  ]);
  const found = ["owl, seen owl", "owl, seen 3", "2, seen owl", "4, seen 4"];
  assert.deepEqual(counts, found.map((words) => `1 requested ${words}`));
});

/** The header of a report, without pictures and charts. */
function headOf(runs: readonly ReportRun[]): string {
  const html = reportHtml({ runs });
  return html.slice(html.indexOf("<header>"), html.indexOf("</header>"))
    .replaceAll(/base64,[^"]*|<script.*?<\/script>/gs, "");
}

Deno.test("reportHtml() starts with the answers, samples and losses of a run", () => {
  const asked: QualityFigure = { ...share, title: "Requested class", question: "class", chance: 0.1 };
  const head = (more: Partial<ReportRun>) => headOf([run("a", more)]);
  const evaluated = head({
    title: "Residual U-Net on MNIST",
    subject: "digits",
    quality: quality({ figures: [asked, { ...distance, question: "real" }] }),
  });
  assert.match(evaluated, /<h1>Residual U-Net on MNIST<\/h1>/);
  assert.match(
    evaluated,
    /<b>Right digit\?<\/b> Yes, nearly [^<]* 90\.0 % \(85\.0 to 94\.0 %; guessing 10\.0 %/,
  );
  assert.match(evaluated, /<b>Like real images\?<\/b> Yes, by the one figure/);
  assert.match(evaluated, /class="samples"[^]*id="loss-chart"/);
  assert.match(head({}), /a in one sentence\./);
  assert.match(head({ isFlowMap: true, fewStepsPng: Uint8Array.of(1) }), /class="few-steps"/);
});

Deno.test("reportHtml() starts with the samples, losses, figures and differences of several runs", () => {
  const figures = (value: number) => ({
    quality: quality({ figures: [{ ...share, value, low: value - 0.02, high: value + 0.02 }, distance] }),
  });
  const settings = (lr: string) => ({ settings: [["lr", lr], ["batchSize", "64"], ["out", lr]] as const });
  const head = headOf([
    run("a", { ...figures(0.9), ...settings("0.004") }),
    run("b", { ...figures(0.6), ...settings("0.001"), valLoss: { step: [1], value: [0.2] } }),
  ]);
  assert.equal(head.split('class="samples"').length, 3);
  assert.equal(head.split('id="loss-chart"').length, 2);
  const rows = [...head.matchAll(/<tr><th scope="row">(.*?)<\/tr>/gs)].map(([, row]) =>
    row.replaceAll(/<[^>]*>/g, "|").split(/\|+/).filter((cell) => cell !== "")
  );
  assert.deepEqual(rows, [
    ["Confident", "90.0 % (88.0 to 92.0 %)", "60.0 % (58.0 to 62.0 %)", "differ beyond the intervals"],
    ["Fréchet distance", "6.2 (5.1 to 7.9)", "6.2 (5.1 to 7.9)", "may be chance"],
    ["Test loss", "0.2000", "0.2000"],
    ["lr", "0.004", "0.001"],
  ]);
});
