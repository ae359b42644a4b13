import assert from "node:assert/strict";
import { reportHtml, type ReportRun } from "../../../viz/report/mod.ts";
import { decode } from "../../../viz/report/page/decode.ts";
import { pathsAt } from "../../../viz/report/page/plane.ts";
import { differences } from "../../../viz/report/comparison_payload.ts";
import { quantiles } from "../../../viz/report/paths_payload.ts";
import { payloadOf } from "../../../viz/report/payload_of.ts";
import { quantise } from "../../../viz/report/quantise.ts";
import { smoothed, thinned } from "../../../viz/report/series.ts";
import { fastestOf } from "../../../viz/report/page/scales.ts";
import { madeUpFlow } from "../flow/made_up_flow.ts";
import { hostile, one, paths, quality, run, size, two, valueAt } from "./made_up.ts";

Deno.test("reportHtml() takes a user's words for words", () => {
  const page = reportHtml(one);
  assert.equal(page.split("<img src=x").length, 1, "a tag of a user stands in the page");
  assert.equal(page.match(/<\/script/g)?.length, 3);
  assert.equal(page.match(/<img /g)?.length, 1);
  assert.ok(page.includes("&#60;/script&#62;&#60;img src=x"));
});

Deno.test("reportHtml() says how a run ended that was stopped or failed", () => {
  const ending = "Failed after step 3: <b>the loss</b> is NaN.";
  const page = reportHtml({ runs: [run("a"), run("b", { ending })] });
  const said = '<p class="ending">Failed after step 3: &#60;b&#62;the loss&#60;/b&#62; is NaN.</p>';
  assert.equal(page.split(said).length, 2);
  assert.ok(page.indexOf(said) > page.indexOf("<b>b</b>: "));
  assert.equal(page.split('<p class="ending">').length, 2, "other runs say nothing");
});

Deno.test("reportHtml() has words for any images, not for digits alone", () => {
  const words = reportHtml(two).replace(/<(script|style)[\s\S]*?<\/\1>/g, "");
  assert.doesNotMatch(words, /digit|MNIST/i);
});

Deno.test("reportHtml() asks for nothing outside the file", () => {
  const markup = reportHtml(two).replace(/<script[\s\S]*?<\/script>/g, "");
  const addresses = [...markup.matchAll(/\b(?:src|href)="([^"]{0,20})/g)].map(([, address]) => address);
  assert.ok(
    addresses.length >= 3 && addresses.every((address) => address.startsWith("data:")),
    `${addresses}`,
  );
  assert.doesNotMatch(markup, /url\(|@import/);
});

Deno.test("reportHtml() refuses runs it cannot tell apart, and numbers it cannot draw", () => {
  assert.throws(
    () => reportHtml({ runs: [] }),
    /^RangeError: Cannot report: no run is given \(expected at least 1\)$/,
  );
  assert.throws(
    () => reportHtml({ runs: [run(hostile), run(hostile)] }),
    /^RangeError: Cannot report: two runs are named .* \(expected a name for each\)$/,
  );
  const [trajectory] = run("a").trajectories;
  const broken = { ...trajectory, image: trajectory.image.with(3, NaN) };
  assert.throws(
    () => reportHtml({ runs: [run("a", { trajectories: [broken] })] }),
    /^RangeError: Cannot quantise: value 3 is NaN/,
  );
});

Deno.test("reportHtml() refuses arrays that do not fill their shapes, and pictures that do not fit together", () => {
  const refuses = (data: Partial<ReportRun>, message: string) =>
    assert.throws(() => reportHtml({ runs: [run("a"), run("b", data)] }), { name: "RangeError", message });
  const { image, position, real } = paths(6, 20);
  refuses(
    { paths: { ...paths(6, 20), image: image.subarray(1) } },
    "Cannot report: images of paths are 2879 values (expected [20, 1, 12, 12])",
  );
  refuses(
    { paths: { ...paths(6, 20), position: position.subarray(2) } },
    "Cannot report: positions of paths are 238 values (expected [6, 20, 2])",
  );
  refuses(
    { paths: { ...paths(6, 20), real: { ...real, classes: new Uint8Array(29) } } },
    "Cannot report: positions of real images are 60 values (expected [29, 2])",
  );
  const { H, W } = size;
  refuses(
    { trajectories: [madeUpFlow(1, 11, [H, W]), madeUpFlow(2, 3, [H, W])] },
    'Cannot report: trajectories of "b" have different times, 11 and 3 of them (expected the same)',
  );
  refuses(
    { trajectories: [madeUpFlow(1, 11, [9, W])] },
    'Cannot report: images of "a" are 12 x 12, those of "b" 9 x 12 (expected one size)',
  );
  const { samples } = quality();
  refuses(
    { quality: quality({ samples: { ...samples!, nearest: samples!.nearest.subarray(9) } }) },
    "Cannot report: training images nearest to samples are 1143 values (expected [4, 2, 1, 12, 12])",
  );
  const { comparison } = two;
  assert.throws(
    () => reportHtml({ ...two, comparison: { ...comparison!, points: comparison!.points.slice(1) } }),
    /^RangeError: Cannot report: sets of points are 1 values \(expected \[2\]\)$/,
  );
  assert.throws(
    () => reportHtml({ ...two, comparison: { ...comparison!, t: Float32Array.of(0, 0.5) } }),
    /^RangeError: Cannot report: times of the comparison are 2 values \(expected \[4\]\)$/,
  );
});

Deno.test("reportHtml() finds the learning rate of a row by its step", () => {
  const step = Array.from({ length: 20 }, (_, i) => i + 1);
  const { learningRate } = run("a", { learningRate: { step, value: step.map((s) => s / 1000) } });
  const page = reportHtml({
    runs: [run("a", { learningRate, trainLoss: { step, value: step.map((s) => s === 3 ? NaN : 1) } })],
  });
  for (const s of [2, 4, 20]) assert.ok(page.includes(`<td>${s}</td><td>1</td><td>${s / 1000}</td>`), `${s}`);
});

Deno.test("fastestOf() gives velocities that are 0 a scale", () => {
  const still = {
    ...{ id: 0, name: "", origin: "", shape: [2, 1, 1, 2] as const, t: [0, 1], velocityT: [0, 0] },
    ...{ image: new Float32Array(4), velocity: new Float32Array(4) },
  };
  assert.equal(fastestOf([still]), 1);
  assert.equal(fastestOf([still, { ...still, velocity: Float32Array.of(0, -3, 1, 0) }]), 3);
});

Deno.test("reportHtml() has words for the paths of each run, and shows those of the first", () => {
  const { classifier: _, ...other } = paths(3, 9);
  const page = reportHtml({
    runs: [run("a"), run("b", { paths: { ...other, asked: { labels: new Uint8Array(9), guidance: 2 } } })],
  });
  const words = [...page.matchAll(/<div data-paths="(\d)"( hidden)?>([^]*?)<\/div>/g)]
    .map(([, run, hidden, text]) => [run, hidden, text] as const);
  assert.deepEqual(words.map(([run, hidden]) => [run, hidden]), [
    ["0", undefined],
    ["1", " hidden"],
    ["0", undefined],
    ["1", " hidden"],
  ]);
  const [[, , first], [, , second], [, , below], [, , belowSecond]] = words;
  assert.ok(first.startsWith("<p>20 samples on their way (5 Euler steps"), first);
  assert.ok(second.startsWith("<p>9 samples on their way (2 Euler steps"), second);
  assert.match(below, /right on 9 of 10 held-out images/);
  assert.match(
    belowSecond,
    /^<p class="small">The samples were asked to be of all classes in turn, at guidance 2/,
  );
});

Deno.test("reportHtml() does without what a run does not have", () => {
  const { lossByTime: _, samplesPng: __, paths: ___, ...rest } = run("bare");
  const page = reportHtml({ runs: [{ ...rest, trajectories: [] }] });
  for (const id of ["clock", "explorer", "paths-chart", "bins-chart"]) {
    assert.ok(!page.includes(`id="${id}"`), id);
  }
  assert.ok(page.includes('id="loss-chart"'));
});

Deno.test("payloadOf() keeps to its budget, with all samples at fewer times before fewer samples", () => {
  const [H, W, M, S] = [64, 64, 40, 8];
  const trajectories = Array.from({ length: S }, () => ({
    t: Float32Array.from({ length: M }, (_, m) => m / (M - 1)),
    image: new Float32Array(M * H * W),
    velocity: new Float32Array((M - 1) * H * W),
    shape: [M, H, W] as const,
  }));
  for (const [runs, samples, times] of [[1, 8, 34], [4, 6, 11], [40, 1, 6]]) {
    const { runs: [{ flow }] } = payloadOf({
      runs: Array.from({ length: runs }, (_, i) => run(`${i}`, { trajectories })),
    });
    assert.deepEqual(flow!.shape, [samples, times, 1, H, W]);
    assert.deepEqual([flow!.t[0], flow!.t.at(-1)], [0, 1], "the first and the last snapshot stay");
    const length = flow!.image.data.length + flow!.velocity.data.length;
    assert.ok(runs * length <= 6.01e6, `${runs * length}`);
  }
});

Deno.test("payloadOf() thins snapshots without changing them", () => {
  const { runs: [{ flow }] } = payloadOf(two);
  const [, M, , H, W] = flow!.shape;
  assert.deepEqual(flow!.shape, [2, 21, 1, 12, 12]);
  const image = decode(flow!.image);
  const at = ((1 * M + 5) * H + 3) * W + 7;
  assert.ok(Math.abs(image[at] - valueAt(2, 0.25, 3, 7)) <= flow!.image.step / 2 + 1e-6);
  assert.equal(flow!.velocityT.at(-1), flow!.t.at(-2), "the end has the velocity of the last step");
});

Deno.test("quantise() is off by half a step at most", () => {
  const values = Float32Array.from({ length: 1000 }, (_, i) => 3 * Math.sin(i) ** 3);
  for (const bits of [8, 16] as const) {
    const quantised = quantise(values, bits);
    assert.ok(Math.abs(quantised.step - 3 / (2 ** (bits - 1) - 1)) < 1e-3 * quantised.step);
    decode(quantised).forEach((value, i) => {
      assert.ok(Math.abs(value - values[i]) <= quantised.step / 2 + 1e-6, `${i}`);
    });
  }
  assert.deepEqual(decode(quantise(new Float32Array(3), 8)), new Float32Array(3));
});

Deno.test("thinned() averages neighbours and leaves out what is no number", () => {
  const series = { step: [1, 2, 3, 4, 5], value: [1, NaN, 3, 5, 7] };
  assert.deepEqual(thinned(series, 2), { step: [3, 5], value: [2, 6] });
  assert.deepEqual(thinned(series, 10), { step: [1, 3, 4, 5], value: [1, 3, 5, 7] });
  assert.deepEqual(thinned({ step: [], value: [] }, 2), { step: [], value: [] });
});

Deno.test("smoothed() keeps a constant and lags behind a jump", () => {
  const step = Array.from({ length: 100 }, (_, i) => i);
  assert.ok(smoothed({ step, value: step.map(() => 2) }).value.every((value) => Math.abs(value - 2) < 1e-12));
  const { value } = smoothed({ step, value: step.map((i) => i < 50 ? 0 : 1) });
  assert.ok(value[49] === 0 && value[50] > 0.1 && value[50] < 0.5 && value[99] > 0.99, `${value[50]}`);
});

Deno.test("quantiles() are over the samples at each time", () => {
  const values = Float32Array.from({ length: 22 }, (_, i) => i < 11 ? 10 - i : 7); // 10 .. 0, then sevens
  assert.deepEqual(quantiles(values, 11), { low: [1, 7], median: [5, 7], high: [9, 7] });
});

Deno.test("differences() are root mean squares at each time", () => {
  const a = Float32Array.of(1, 1, 5, 5, 3, 1, 5, 5); // [S, T, C, H, W] = [2, 2, 1, 1, 2]
  assert.deepEqual(
    differences(a, new Float32Array(8), [2, 2, 1, 1, 2]),
    [Math.sqrt(12 / 4), 5].map((x) => Number(x.toPrecision(6))),
  );
});

Deno.test("pathsAt() goes straight between snapshots", () => {
  const paths = {
    shape: [3, 2, 1, 1] as const,
    t: [0, 0.5, 1],
    classes: [4, 7],
    position: Float32Array.of(0, 0, 9, 9, 1, 2, 9, 9, 3, 2, 9, 9),
    velocity: Float32Array.of(2, 4, 0, 0, 4, 0, 0, 0),
  };
  const { points, arrows, trails } = pathsAt(paths, 4, 0.75);
  assert.deepEqual(points, { x: [2], y: [2], customdata: [0] });
  assert.deepEqual([arrows.x.slice(0, 2), arrows.y.slice(0, 2)], [[2, 2.4], [2, 2]]);
  assert.deepEqual(trails, { x: [0, 1, 3, null], y: [0, 2, 2, null] });
  assert.deepEqual(pathsAt(paths, 4, 1).points.x, [3]);
  assert.deepEqual(pathsAt(paths, 4, 1).arrows.x, [], "at the end there is no velocity");
  assert.deepEqual(pathsAt(paths, 5, 0.5).points.x, []);
});
