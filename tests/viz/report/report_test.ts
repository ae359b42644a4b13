/** The text of a report, and the data that it rejects. */

import assert from "node:assert/strict";
import {
  type Comparison,
  type LiveNetwork,
  type PlaneTrajectories,
  type QualityFigure,
  reportHtml,
  type ReportRun,
} from "../../../viz/report/mod.ts";
import { colormap } from "../../../viz/mod.ts";
import { intervalsFigure } from "../../../viz/report/run_figures.ts";
import { madeUpFlow } from "../flow/made_up_flow.ts";
import { hostile, one, plane, quality, run, size, two } from "./made_up.ts";

Deno.test("reportHtml() escapes a user's text", () => {
  const page = reportHtml({ runs: [...one.runs, run("b", { quality: quality({ how: hostile }) })] });
  assert.equal(page.split("<img src=x").length, 1, "a user's tag is not escaped");
  assert.equal(page.match(/<\/script>\n?(?!<\/div>)/g)?.length, 4);
  assert.equal(page.match(/<img /g)?.length, 2 + 5, "one per run, four samples, one enlarged");
  assert.ok(
    page.includes("&#60;/script&#62;&#60;img src=x onerror=&#34;document.title=&#39;hurt&#39;&#34;&#62;"),
  );
  assert.ok(!page.includes('onerror="'), "a user's attribute is not escaped");
});

Deno.test("reportHtml() reports how a stopped or failed run ended", () => {
  const ending = "Failed after step 3: <b>the loss</b> is NaN.";
  const page = reportHtml({ runs: [run("a"), run("b", { ending })] });
  const said = '<p class="ending">Failed after step 3: &#60;b&#62;the loss&#60;/b&#62; is NaN.</p>';
  assert.ok(page.indexOf(said) > page.indexOf("<b>b</b>: "));
  assert.equal(page.split('<p class="ending">').length, 2, "other runs have no ending");
});

Deno.test("reportHtml() requests nothing outside the file, and does not mention digits for other images", () => {
  const markup = reportHtml(two).replace(/<script[\s\S]*?<\/script>/g, "");
  const addresses = [...markup.matchAll(/\b(?:src|href)="([^"]{0,20})/g)].map(([, address]) => address);
  assert.ok(
    addresses.length >= 3 && addresses.every((address) => /^(data:|#)/.test(address)),
    `${addresses}`,
  );
  assert.doesNotMatch(markup, /url\(|@import/);
  assert.doesNotMatch(markup.replace(/<style[\s\S]*?<\/style>/, ""), /digit|MNIST/i);
});

Deno.test("reportHtml() rejects equal names, numbers that are not finite, and mismatched arrays", () => {
  const { H, W } = size;
  const whole = plane(6, 20);
  const { samples } = quality();
  const checkpoint = Uint8Array.of(1);
  const tests = { shape: [2, 1, 1, 2], image: Float32Array.of(0, 1, 0.2, 0.4), labels: [3, 1] } as const;
  const judge = { weights: checkpoint, reference: { values: new Float32Array(12), rows: 5, width: 2 } };
  const [trajectory] = run("a").trajectories;
  const inPlane = (more: Partial<PlaneTrajectories>) => ({ plane: { ...whole, ...more } });
  const live = (more: Partial<LiveNetwork>) => ({ live: { checkpoint, ...more } });
  const flow = (M: number, height: number = H) => madeUpFlow(1, M, [height, W]);
  const fields = ["t", "position", "velocity", "speed", "straightness", "image"] as const;
  const names = ["times", "positions", "velocities", "speeds", "straightnesses", "images"];
  const shapes = ["[6]", "[6, 20, 2]", "[5, 20, 2]", "[5, 20]", "[5, 20]", "[20, 1, 12, 16]"];
  const otherSizes = 'images of "a" are 12 x 16, but those of "b" are 9 x 16 (expected one size)';
  const otherTimes = (M: number) =>
    `trajectories of "b" differ in their times (3 and ${M} of them; expected the same times)`;
  const nearest = samples!.nearest.subarray(9);
  const cases: [Partial<ReportRun>, string][] = [
    ...fields.map((field, i): [Partial<ReportRun>, string] => [
      inPlane({ [field]: whole[field].subarray(1) }),
      `${names[i]} of the plane have ${whole[field].length - 1} values (expected ${shapes[i]})`,
    ]),
    [inPlane({ classes: [1] }), "classes of the plane have 1 values (expected [20])"],
    [
      inPlane({ conditioning: { labels: [1], guidance: 2 } }),
      "labels of the plane have 1 values (expected [20])",
    ],
    [
      inPlane({ real: { ...whole.real, classes: new Uint8Array(29) } }),
      "real images of the plane have 60 values (expected [29, 2])",
    ],
    [inPlane({ image: new Float32Array(20 * 9 * W), shape: [6, 20, 9, W] }), otherSizes],
    [{ trajectories: [flow(11, 9)] }, otherSizes],
    [{ trajectories: [flow(1)] }, 'a trajectory of "b" has one snapshot (expected 2 or more)'],
    [{ trajectories: [flow(3), flow(11)] }, otherTimes(11)],
    [{ trajectories: [flow(3), { ...flow(3), t: Float32Array.of(0, 0.4, 1) }] }, otherTimes(3)],
    [
      { quality: quality({ samples: { ...samples!, labels: [1] } }) },
      "labels of judged samples have 1 values (expected [4])",
    ],
    [
      { quality: quality({ samples: { ...samples!, nearest } }) },
      "training images nearest to samples have 1527 values (expected [4, 2, 1, 12, 16])",
    ],
    [
      live({ tests: { ...tests, image: Float32Array.of(0) } }),
      "test images have 1 values (expected [2, 1, 1, 2])",
    ],
    [live({ tests: { ...tests, labels: [1] } }), "labels of test images have 1 values (expected [2])"],
    [live({ judge }), "features of test images have 12 values (expected [5, 2])"],
    [live({}), '"b" has a network, but there is no library to sample with'],
    [{ name: "a" }, 'two runs are named "a" (expected unique names)'],
  ];
  for (const [data, problem] of cases) {
    assert.throws(() => reportHtml({ runs: [run("a"), run("b", data)] }), {
      name: "RangeError",
      message: `Cannot report: ${problem}`,
    });
  }
  assert.throws(
    () => reportHtml({ runs: [] }),
    /^RangeError: .*: there are no runs \(expected at least 1\)$/,
  );
  const holed = { ...trajectory, image: trajectory.image.with(3, NaN) };
  assert.throws(
    () => reportHtml({ runs: [run("a", { trajectories: [holed] })] }),
    /^RangeError: Cannot report runs.0.trajectories.0.image: value 3 is NaN/,
  );

  const comparison = two.comparison!;
  const others: [Partial<Comparison>, string][] = [
    [{ points: comparison.points.slice(1) }, "sets of points have 1 values (expected [2])"],
    [
      { points: comparison.points.map((all) => all.subarray(1)) },
      "points or velocities of a run have 1535 values (expected [2, 4, 1, 12, 16])",
    ],
    [{ velocities: comparison.velocities.slice(1) }, "sets of velocities have 2 values (expected [2, 2])"],
    [{ difference: [] }, "differences of velocities have 0 values (expected [2, 2, 2, 4])"],
    [{ t: Float32Array.of(0, 0.5) }, "times of the comparison have 2 values (expected [4])"],
    [{ labels: [1] }, "labels of the comparison have 1 values (expected [2])"],
  ];
  for (const [data, problem] of others) {
    assert.throws(() => reportHtml({ ...two, comparison: { ...comparison, ...data } }), {
      name: "RangeError",
      message: `Cannot report: ${problem}`,
    });
  }
});

Deno.test("reportHtml() finds the learning rate of a row by its step", () => {
  const step = Array.from({ length: 20 }, (_, i) => i + 1);
  const learningRate = { step, value: step.map((s) => s / 1000) };
  const page = reportHtml({
    runs: [run("a", { learningRate, trainLoss: { step, value: step.map((s) => s === 3 ? NaN : 1) } })],
  });
  for (const s of [2, 4, 20]) assert.ok(page.includes(`<td>${s}</td><td>1</td><td>${s / 1000}</td>`), `${s}`);
});

Deno.test("reportHtml() has colour bars for grey images and signed values", () => {
  const page = reportHtml(two);
  const bars = [
    ...page.matchAll(
      /class="bar" style="background:linear-gradient\(to right,rgb\((.*?)\),.*rgb\((.*?)\)\)/g,
    ),
  ];
  const ends = new Set(bars.map(([, first, last]) => `${first} to ${last}`));
  const of = (map: "gray" | "rdbu") =>
    [...Array(2).keys()].map((i) => colormap(map).subarray(765 * i).slice(0, 3));
  assert.deepEqual(
    ends,
    new Set([of("gray").join(" to "), of("rdbu").reverse().join(" to ")]),
    "blue is below 0",
  );
});

Deno.test("reportHtml() has a text about each run's plane, and shows the first", () => {
  const { classifier: _, ...other } = plane(3, 9);
  const conditioning = { labels: new Uint8Array(9), guidance: 2 };
  const page = reportHtml({ runs: [run("a"), run("b", { plane: { ...other, conditioning } })] });
  const words = [...page.matchAll(/<div data-plane="(\d)"( hidden)?>([^]*?)<\/div>/g)]
    .map(([, run, hidden, text]) => [`${run}${hidden ?? ""}`, text] as const);
  assert.deepEqual(words.map(([run]) => run), ["0", "1 hidden", "0", "1 hidden"]);
  const [first, second, below, belowSecond] = words.map(([, text]) => text.replaceAll("\n", " "));
  assert.ok(first.startsWith("<p>20 samples on their way from noise to images (5 steps"), first);
  assert.ok(second.startsWith("<p>9 samples on their way from noise to images (2 steps"), second);
  assert.match(below, /labels 9 of 10 held-out images correctly/);
  assert.match(
    belowSecond,
    /^<p class="small">The samples cycle through all classes, at guidance 2; .* to 11\.1 % of them/,
  );
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

/** The positions of a figure's value, interval and marks, in per cent of the way from worse to better. */
function drawn(more: Partial<QualityFigure>) {
  const { data } = intervalsFigure([{ run: 0, name: "a", figure: { ...distance, ...more } }], () => String);
  const percent = (value: number) => Number((100 * value).toFixed(1));
  const { x, error_x: { array: [more_], arrayminus: [less] } } = data.at(-1) as unknown as {
    x: [number];
    error_x: { array: [number]; arrayminus: [number] };
  };
  const marks = data.slice(0, -1).map(({ name, x }) => [name!.split(" ")[0], percent(x![0] as number)]);
  return {
    value: percent(x[0]),
    reach: [percent(x[0] - less), percent(x[0] + more_)],
    ...Object.fromEntries(marks),
  };
}

Deno.test("intervalsFigure() has better values on the right of an axis that fits the figure", () => {
  const at = { value: 0.25, low: 0.2, high: 0.5, real: 1, noise: 0 };
  const cases: [Partial<QualityFigure>, Record<string, unknown>][] = [
    [
      { ...at, better: "higher", share: true, chance: 0.1 },
      { value: 25, reach: [20, 50], real: 100, noise: 0, chance: 10 },
    ],
    [{ value: 2, low: 1, high: 4, ends: [8, 0], real: 0, noise: 8 }, {
      value: 75,
      reach: [50, 87.5],
      real: 100,
      noise: 0,
    }],
    [{ value: 12, low: 12, high: 16, ends: [8, 0], real: 0, noise: 8 }, { value: 25, reach: [0, 25] }],
    [{ value: 100, low: 10, high: 1000, real: 1, noise: 10_000 }, {
      value: 50,
      reach: [25, 75],
      real: 100,
      noise: 0,
    }],
    [{ value: 100, low: 100, high: 100, real: -3, noise: 1000 }, { value: 50, real: 100, noise: 0 }],
    [{ value: 5, low: 3, high: 8, real: 4, noise: 0, better: "real" }, {
      value: 75,
      reach: [0, 100],
      real: 100,
    }],
    [{ value: 2, low: 2, high: 3, real: 4, noise: 0, better: "real" }, { value: 50, reach: [50, 75] }],
  ];
  for (const [figure, expected] of cases) {
    const found: Record<string, unknown> = drawn({ ...figure });
    for (const [name, value] of Object.entries(expected)) {
      assert.deepEqual(found[name], value, `${name} of ${JSON.stringify(figure)}`);
    }
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
