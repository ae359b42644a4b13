/** The data of a report's page, and the functions of its program that need no browser. */

import assert from "node:assert/strict";
import { type LiveJudge, type LiveNetwork, reportHtml, type ReportRun } from "../../../viz/report/mod.ts";
import { packed, unpacked } from "../../../viz/report/packing.ts";
import { fastestOf } from "../../../viz/flow/trajectory.ts";
import { pageData, type PageRun } from "../../../viz/report/page_data.ts";
import { guidedBy } from "../../../viz/report/page/live_controls.ts";
import { coveredBy, strokeOf } from "../../../viz/report/page/live_paint.ts";
import { imagePixels } from "../../../viz/report/page/image_panel.ts";
import {
  classesOf,
  colouredPlane,
  fieldOf,
  movingTraces,
  noClass,
  planeFigure,
} from "../../../viz/report/page/plane.ts";
import { upTo } from "../../refusing.ts";
import { formatSteps } from "../../../viz/report/page/step_strip.ts";
import { lastVelocity, predictedEnd, snapshotAt } from "../../../viz/report/page/trajectory_view.ts";
import { WorkQueue } from "../../../viz/report/page/work.ts";
import type { PlaneTrajectories } from "../../../viz/report/mod.ts";
import { labelledLogAxis, lossFigure, runLine } from "../../../viz/report/run_figures.ts";
import { quantiles, smoothed, thinned } from "../../../viz/report/series.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { assertClose } from "../../testing.ts";
import { madeUpFlow } from "../flow/made_up_flow.ts";
import { plane, run, size, two, valueAt } from "./made_up.ts";

Deno.test("unpacked() inverts packed(), with the precision of each array", () => {
  const values = Float32Array.from({ length: 1000 }, (_, i) => 3 * Math.sin(i) ** 3);
  const pixels = Float32Array.from({ length: 256 }, (_, i) => i / 255);
  const data = {
    runs: [{ t: values, velocity: values, plane: { image: pixels } }],
    comparison: { t: values, points: [values] },
    still: new Float32Array(3),
    beyond: { plane: { image: Float32Array.of(-2, 7) } },
    classes: Uint32Array.of(3, 300),
    name: "</script>",
    nothing: null,
    files: [Uint8Array.of(5, 6), Uint8Array.of(7), Uint8Array.of(5, 6)],
  };
  const back: typeof data = unpacked(packed(data));
  const [own] = back.runs;
  assert.deepEqual([own.t, back.comparison.t, back.still], [values, values, data.still]);
  assert.deepEqual(own.plane.image, pixels, "exact levels of 255");
  assert.deepEqual(back.beyond.plane.image, Float32Array.of(0, 1));
  assert.deepEqual(back.files, data.files);
  assert.deepEqual([...packed(data).files].sort(), [5, 6, 7], "equal files are stored once");
  assert.deepEqual([back.classes, back.name, back.nothing], [[3, 300], "</script>", null]);
  for (const [packed, most] of [[own.velocity, 32_767], [back.comparison.points[0], 127]] as const) {
    assertClose(packed, values, 1.5 / most + 1e-6);
  }
});

Deno.test("pageData() keeps its budget: fewer snapshots first, then fewer trajectories", () => {
  const trajectories = Array(8).fill(madeUpFlow(1, 40, [64, 64]));
  for (const [runs, samples, times] of [[1, 8, 34], [4, 6, 11], [40, 1, 6]]) {
    const { runs: [{ trajectories: kept }] } = pageData({
      runs: Array.from({ length: runs }, (_, i) => run(`${i}`, { trajectories })),
    });
    assert.deepEqual(kept.map(({ shape }) => shape), Array(samples).fill([times, 1, 64, 64]));
    const [{ t, velocity }] = kept;
    assert.deepEqual([t[0], t.at(-1), velocity.length], [0, 1, (times - 1) * 64 * 64]);
    const bytes = runs * packed(kept).data.length;
    assert.ok(bytes <= 6.02e6, `${bytes}`);
  }
});

Deno.test("pageData() keeps snapshots unchanged, or thins uneven ones over t without repeats", () => {
  const { runs: [{ trajectories: [, { shape: [M], image }] }] } = pageData(two);
  assert.equal(M, 21);
  assert.equal(image[(5 * size.H + 3) * size.W + 7], Math.fround(valueAt(2, Math.fround(0.25), 3, 7)));

  const t = Float32Array.from({ length: 400 }, (_, m) => (m / 399) ** 3);
  const uneven = { ...madeUpFlow(1, 400, [4, 4]), t };
  const { runs: [{ trajectories: [kept] }] } = pageData({ runs: [run("a", { trajectories: [uneven] })] });
  const times = [...kept.t];
  assert.ok(times.length <= 101 && times.length > 60, `${times.length}`);
  assert.deepEqual([times[0], times.at(-1), kept.shape[0]], [0, 1, times.length]);
  const steps = times.slice(1).map((time, i) => time - times[i]);
  assert.ok(steps.every((step) => step > 0 && step < 0.03), `${steps}`);
});

const checkpoint = Uint8Array.of(1);

Deno.test("pageData() holds one complete trajectory if the page can solve the others", () => {
  const trajectories = Array.from({ length: 12 }, (_, s) => madeUpFlow(s, 21, [28, 28]));
  const solved = { seed: 1, solver: "heun", steps: 20, evaluations: 40 } as const;
  const more = { solved, live: { checkpoint } };
  const keptOf = (rest: Partial<ReportRun>, library?: string) =>
    pageData({ runs: [run("a", { trajectories, ...rest })], ...library !== undefined && { library } })
      .runs[0];
  const { trajectories: [first, ...ends], fastest } = keptOf(more, "");
  assert.deepEqual([first.shape, first.t], [[21, 1, 28, 28], trajectories[0].t]);
  assert.equal(ends.length, 9);
  ends.forEach(({ t, image, velocity, shape }, i) => {
    assert.deepEqual([[...t], velocity.length, shape], [[1], 0, [1, 1, 28, 28]]);
    assertSameNumbers(image, trajectories[i + 1].image.slice(20 * 784));
  });
  assert.equal(fastest, fastestOf(trajectories), "the scale covers all recorded trajectories");
  const { evaluations: _, ...unknown } = solved;
  const unsolvable: [Partial<ReportRun>, library?: string][] = [
    [more],
    [{ solved }, ""],
    [{ ...more, solved: unknown }, ""],
    [{ ...more, solved: { ...solved, steps: 40 } }, ""],
  ];
  for (const [rest, library] of unsolvable) {
    assert.equal(keptOf(rest, library).trajectories[9].shape[0], 21, "holds what it cannot solve");
  }
});

Deno.test("pageData() holds the network of each run, or explains why there is none", () => {
  const liveOf = (...live: (LiveNetwork | string | undefined)[]) =>
    pageData({ runs: live.map((live, i) => run(`${i}`, live === undefined ? {} : { live })), library: "" })
      .runs.map(({ live }) => live);
  const judge: LiveJudge = {
    weights: Uint8Array.of(5, 6),
    reference: { values: Float32Array.of(1, 2), rows: 1, width: 2 },
  };
  const network = { checkpoint, judge, early: { checkpoint, guidance: 2 } };
  const none = "this report does not include its network";
  assert.deepEqual(liveOf(network, "no", undefined), [network, "no", none]);
  assert.deepEqual(liveOf(undefined), [undefined]);
});

Deno.test("fastestOf() is 1 if all velocities are 0", () => {
  const still = { shape: [2, 1, 1, 2] as const, t: Float32Array.of(0, 1), image: new Float32Array(4) };
  const of = (...velocity: number[]) => fastestOf([{ ...still, velocity: Float32Array.from(velocity) }]);
  assert.deepEqual([of(0, 0), of(-3, 1)], [1, 3]);
});

Deno.test("series: means of neighbours without NaN, quantiles, and smoothing that does not lag", () => {
  const series = { step: [1, 2, 3, 4, 5], value: [1, NaN, 3, 5, 7] };
  assert.deepEqual(thinned(series, 2), { step: [3, 5], value: [2, 6] });
  assert.deepEqual(thinned(series, 10), { step: [1, 3, 4, 5], value: [1, 3, 5, 7] });
  const values = Float32Array.from({ length: 22 }, (_, i) => i < 11 ? 10 - i : 7); // 10 .. 0, then sevens
  assert.deepEqual(quantiles(values, 11), { low: [1, 7], median: [5, 7], high: [9, 7] });

  const step = Array.from({ length: 300 }, (_, k) => 20 * (k + 1));
  const of = (value: (k: number) => number) => smoothed({ step, value: step.map((_, k) => value(k)) }).value;
  const straight = (k: number) => 3 - k / 200;
  assertClose(of(straight).slice(0, 290), step.slice(0, 290).map((_, k) => straight(k)), 1e-9);
  const falling = (k: number) => 0.2 + 1 / (1 + k);
  const off = of(falling).map((value, k) => Math.abs(value / falling(k) - 1));
  assert.ok(Math.max(...off) < 0.06, "a loss that falls fast");
  const noisy = of((k) => 1 + (k % 2 ? 0.1 : -0.1));
  assert.ok(noisy.slice(30).every((value) => Math.abs(value - 1) < 0.015));
});

Deno.test("lossFigure() has a panel for each stage of a distillation, which the report calls incomparable", () => {
  const trainLoss = { step: [10, 20, 30, 40, 50], value: [8, 8, 1, 1, 1] };
  const stages = [{ name: "pairs", from: 0 }, { name: "drift", from: 20 }];
  const own = run("a", { trainLoss, stages });
  const named = (runs: ReportRun[]) => lossFigure(runs).data.filter(({ showlegend }) => showlegend !== false);
  const points = [own.valLoss.step, own.valLoss.value.map(Math.fround)];
  assert.deepEqual(
    named([own]).map((
      { name, x, y, yaxis },
    ) => [name, [...x as Float32Array], [...y as Float32Array], yaxis]),
    [
      ["pairs, smoothed", [10, 20], [8, 8], "y"],
      ["drift, smoothed", [30, 40, 50], [1, 1, 1], "y2"],
      ["validation", ...points, "y3"],
    ],
  );
  const both = named([own, run("b", { trainLoss: { step: [20], value: [0.5] } })]);
  assert.deepEqual(both.map(({ name, mode, yaxis }) => [name, mode, yaxis]), [
    ["a pairs", "lines", "y"],
    ["a drift", "lines", "y"],
    ["b", "lines+markers", "y"], // a single loss is a point
  ]);
  const html = reportHtml({ runs: [own] });
  const rows = [...html.matchAll(/<td>(\d+)<\/td><td>([\d.]+)<\/td>/g)].map(([, ...cells]) => cells);
  assert.deepEqual(rows.slice(0, 3), [["10", "8"], ["20", "8"], ["30", "1"]]);
  assert.match(html, /not comparable with other stages/);
  assert.doesNotMatch(reportHtml(two), /not comparable with other stages/);
});

Deno.test("lossFigure() draws validation and test losses beside those of training, on a labelled axis", () => {
  const { data, layout } = lossFigure([run("a", { testLoss: 0.2 }), run("b", { testLoss: 0.1 })]);
  const marks = data.filter(({ mode }) => mode === "markers");
  const [start, end] = [100, 200];
  assert.deepEqual(marks.map(({ name, legendgroup, x }) => [name, legendgroup, [...x as Float32Array]]), [
    ["a validation", "0 0", [start, end]],
    ["a test", "0 0", [end]],
    ["b validation", "1 0", [start, end]],
    ["b test", "1 0", [end]],
  ]);
  assert.deepEqual(Object(layout.yaxis).tickvals, [0.01, 0.03, 0.1, 0.3]);
});

Deno.test("labelledLogAxis() has enough labels, and not many more", () => {
  const cases: [values: number[], tickvals: number[] | undefined][] = [
    [[0.29, 2.1], [0.3, 0.4, 0.5, 0.7, 1, 1.5, 2]],
    [[0.17, 0.3], [0.18, 0.2, 0.25, 0.3]],
    [[0.001, 100], [0.001, 0.01, 0.1, 1, 10, 100]],
    [[0.2502, 0.2549], undefined],
    [[NaN, 0, Infinity], undefined],
  ];
  for (const [values, tickvals] of cases) {
    assert.deepEqual(labelledLogAxis(values, 4).tickvals, tickvals, `${values}`);
  }
});

Deno.test("lossFigure() draws the norm of the gradient below the loss, on the same steps", () => {
  const one = lossFigure([run("a")]);
  const { grid, xaxis, yaxis, yaxis2, ...others } = one.layout as Record<string, Record<string, unknown>>;
  assert.deepEqual([grid, Object.keys(others)], [{ rows: 2, columns: 1, subplots: [["xy"], ["xy2"]] }, []]);
  const titles = [xaxis, yaxis, yaxis2].map(({ title }) => Object(title).text);
  assert.deepEqual(titles, ["step", "loss", "gradient norm"]);
  const [loss, norm] = [yaxis.domain, yaxis2.domain] as [low: number, high: number][];
  assert.ok(loss[1] === 1 && loss[0] > norm[1] && norm[0] === 0, `${loss}; ${norm}`);
  assert.ok(loss[1] - loss[0] > 2 * (norm[1] - norm[0]), "the loss is higher");
  const { x, y, ...look } = one.data.at(-1)!;
  assert.deepEqual([[...x as Float32Array].slice(0, 2), [...y as Float32Array][1]], [
    [5, 10],
    Math.fround(0.2),
  ]);
  assert.deepEqual([look.yaxis, look.name, look.legendgroup], [
    "y2",
    "gradient norm",
    one.data[0].legendgroup,
  ]);

  const stages = [{ name: "pairs", from: 0 }, { name: "drift", from: 100 }];
  const staged = lossFigure([run("a", { stages })]);
  const norms = staged.data.filter(({ name }) => name === "gradient norm");
  assert.deepEqual(norms.map(({ x, yaxis }) => [x!.length, yaxis]), [[20, "y4"], [20, "y4"]]);
  const { gradientNorm: _, ...bare } = run("old");
  const both = lossFigure([bare, run("new")]);
  const named = both.data.filter(({ name }) => name?.endsWith("gradient norm"));
  assert.deepEqual(named.map(({ name, yaxis }) => [name, yaxis]), [["new gradient norm", "y2"]]);
  const without = [bare, { ...bare, gradientNorm: { step: [], value: [] } }].map((one) => lossFigure([one]));
  for (const { data, layout } of without) {
    assert.deepEqual([data.length, layout.grid, layout.yaxis2], [3, undefined, undefined]);
  }
  const heightOf = (html: string) =>
    /id="loss-chart" class="chart " [^>]* style="height:(\d+)px"/.exec(html)![1];
  const html = reportHtml({ runs: [run("a")] });
  assert.deepEqual([heightOf(html), heightOf(reportHtml({ runs: [bare] }))], ["370", "260"]);
  assert.match(html, /Below the loss is the norm of the gradient/);
  assert.match(html, /<td>10<\/td><td>[\d.]+<\/td><td>0.001<\/td><td>0.2<\/td>/);
  assert.doesNotMatch(reportHtml({ runs: [bare] }), /norm of the gradient|gradient norm/);
});

Deno.test("runLine() repeats colours with other dashes", () => {
  const looks = Array.from({ length: 18 }, (_, run) => Object.values(runLine(run)).join(" "));
  assert.equal(new Set(looks).size, 18, `${looks}`);
});

const moved = {
  ...plane(3, 2),
  shape: [3, 2, 1, 1] as const,
  t: Float32Array.of(0, 0.5, 1),
  classes: [4, 17],
  judged: { classes: [4, 17], accuracy: 0.9 },
  position: Float32Array.of(0, 0, 9, 9, 1, 2, 9, 9, 3, 2, 9, 9),
  velocity: Float32Array.of(2, 4, 0, 0, 4, 0, 0, 0),
  real: { position: Float32Array.of(0, 40, 5, 0), classes: [17, 4] },
};
const shown = {
  plane: moved,
  t: 0.75,
  classes: [4, 17],
  hidden: new Set<number>(),
  chosen: 0,
  field: "none" as const,
  nameOf: (c: number) => `<${c}>`,
};

Deno.test("movingTraces() and planeFigure() interpolate linearly, and leave out hidden classes", () => {
  const [field, arrows, points, ring] = movingTraces(shown);
  assert.deepEqual([field.x, ring.x, ring.y], [[], [2], [2]]);
  assert.deepEqual([points.x, points.y, points.customdata], [[2, 9], [2, 9], [0, 1]]);
  assert.deepEqual([arrows.u, arrows.v, arrows.lengthfactor], [[4, 0], [0, 0], 0.1]);
  assert.deepEqual(Object(arrows.marker).color, [4, 7], "colours repeat after ten classes");
  assert.equal(Object(points.marker).color[1], Object(arrows.marker).colorscale[7][1]);
  const said = [points.text, points.hovertemplate];
  assert.deepEqual(said, [
    ["sample 1, classified as &lt;4>", "sample 2, classified as &lt;17>"],
    "%{text}<br>t = 0.75<extra></extra>",
  ]);
  assert.deepEqual(movingTraces({ ...shown, t: 0.5 })[1].u, [4, 0], "at a snapshot, its own velocity");
  assert.deepEqual(movingTraces({ ...shown, t: 1 })[1].u, [0, 0], "at the end there is no velocity");
  assert.deepEqual(movingTraces({ ...shown, hidden: new Set([4]) })[2].customdata, [1]);

  const { data, layout } = planeFigure({ ...shown, hidden: new Set([17]) });
  const entries = data.slice(1, 3).map(({ name, visible }) => [name, visible]);
  assert.deepEqual(entries, [["<4>", true], ["<17>", "legendonly"]]);
  const trails = (layout.shapes as Record<string, unknown>[]).map(({ path, visible }) => [path, visible]);
  assert.deepEqual(trails, [["M0,0L1,2L3,2", true], ["M9,9L9,9L9,9", false]]);
  assertClose(Object(layout.yaxis).range, [-2.4, 42.4], 1e-6);
  assert.deepEqual(data[0].x, [5], "the real image of a hidden class is hidden, too");
});

Deno.test("colouredPlane() takes the judge's class, then the requested one, and grey without either", () => {
  const { judged, ...bare } = plane(3, 2);
  const conditioning = { labels: [5, 6], guidance: 1 };
  const classesIn = (given: PlaneTrajectories) => Array.from(colouredPlane(given).classes);
  assert.deepEqual(classesIn({ ...bare, judged, conditioning }), [0, 1]);
  assert.deepEqual(classesIn({ ...bare, conditioning }), [5, 6]);
  const grey = colouredPlane(bare);
  assert.deepEqual([Array.from(grey.classes), classesOf(grey)], [[noClass, noClass], upTo(10)]);
  const [, arrows, points] = movingTraces({ ...shown, plane: grey });
  const { color, colorscale } = Object(arrows.marker);
  const [first, second] = Object(points.marker).color;
  assert.deepEqual([first, second], [colorscale.at(-1)[1], first], "no colour of a class");
  assert.deepEqual([color, colorscale.length], [[10, 10], 11]);
  assert.equal(new Set(colorscale.map(([, each]: [number, string]) => each)).size, 11);
});

Deno.test("fieldOf() averages the velocities of the samples near each point of a grid", () => {
  const position = Float32Array.of(1, 1, 1.2, 1, 9, 9);
  const velocity = Float32Array.of(2, 0, 4, 2, -1, 5);
  const at = (indices: readonly number[]) => {
    const { x, y, u, v, marker } = fieldOf(position, velocity, indices, [[0, 18], [0, 9]]);
    const i = Array.from(x as number[]).findIndex((x, i) => x === 0.5 && (y as number[])[i] === 1.5);
    return [x!.length, (u as number[])[i], (v as number[])[i], Object(marker).color[i]];
  };
  assert.deepEqual(at([0, 1, 2]), [6, 3, 1, 2]);
  assert.deepEqual(at([0, 2]), [6, 2, 0, 1]);
  assert.deepEqual(at([2]).slice(1), [undefined, undefined, undefined], "no arrow far from all samples");
});

Deno.test("snapshotAt() interpolates linearly, with the velocity of the snapshot before", () => {
  const trajectory = {
    ...{ id: 0, name: "", origin: "", shape: [3, 1, 1, 2] as const, t: Float32Array.of(0, 0.5, 1) },
    image: Float32Array.of(0, 1, 2, 3, 6, 5),
    velocity: Float32Array.of(4, 4, 8, 6),
  };
  const at = (t: number) => {
    const { image, velocity } = snapshotAt(trajectory, t);
    return [...image, ...velocity];
  };
  assert.deepEqual([0, 0.125, 0.75, 1].map(at), [[0, 1, 4, 4], [0.5, 1.5, 4, 4], [4, 4, 8, 6], [6, 5, 8, 6]]);
  assert.deepEqual([0, 1, 2].map((m) => lastVelocity(trajectory, m).t), [0, 0.5, 0.5]);
  assert.deepEqual([0, 1, 2].map((m) => [...predictedEnd(trajectory, m)]), [[4, 5], [6, 6], [6, 5]]);
});

Deno.test("imagePixels() maps grey values through the palette", () => {
  const palette = Uint8Array.from({ length: 768 }, (_, i) => [i / 3, 7, 255 - i / 3][i % 3]);
  const grey = imagePixels(Float32Array.of(-1, 0, 1, 9), [1, 2, 2], { palette, range: [1, -1] });
  const at = (level: number) => [...palette.subarray(3 * level, 3 * level + 3), 255];
  assert.deepEqual([...grey], [255, 128, 0, 0].flatMap(at));
});

Deno.test("strokeOf() paints the pixels of a brush in all channels, with different noise in each", async () => {
  const grid = [3, 4, 5] as const;
  const from = (row: number, column: number) => ({ row, column });
  assert.deepEqual(coveredBy(from(0, 0), from(0, 0), 2, grid), [0, 1, 5]);
  assert.deepEqual(coveredBy(from(1, 0), from(3, 4), 1, grid).sort((a, b) => a - b), [5, 11, 12, 18, 19]);
  assert.deepEqual(coveredBy(from(-2, 4), from(1, 4), 1, grid), [4, 9]);
  assert.deepEqual(coveredBy(from(9, 9), from(9, 9), 3, grid), []);

  const pixels = [0, 7, 19];
  const before = Float32Array.from({ length: 60 }, (_, i) => i + 2);
  const isPainted = (_: number, i: number) => pixels.includes(i % 20);
  for (const [brush, value] of [["white", 1], ["black", 0]] as const) {
    const image = before.slice();
    await strokeOf(pixels, brush, grid, () => Promise.reject())(image);
    assert.deepEqual(image, before.map((x, i) => isPainted(x, i) ? value : x));
  }
  const half = (noise: Float32Array) => Promise.resolve(noise.map((value) => value / 2 + 9));
  const noise = strokeOf(pixels, "noise", grid, half);
  const [first, again] = [before.slice(), before.slice()];
  await noise(first);
  await noise(again);
  assert.deepEqual(first, again, "the same when repainted");
  const painted = first.filter(isPainted);
  assert.ok(new Set(painted).size === 9 && painted.every((value) => Math.abs(value - 9) < 4), `${painted}`);
  const many = new Float32Array(60_000);
  const all = Array.from({ length: 20_000 }, (_, i) => i);
  await strokeOf(all, "noise", [3, 100, 200], (noise) => Promise.resolve(noise))(many);
  const moment = (power: number) => many.reduce((sum, x) => sum + x ** power, 0) / many.length;
  assert.ok(Math.abs(moment(1)) < 0.03 && Math.abs(moment(2) - 1) < 0.05, "standard normal");
});

Deno.test("guidedBy() guides a class, unless a flow map has guidance built in, and clips what a map takes", () => {
  const choice = { label: "all", guidance: 3 } as const;
  const network = { checkpoint: new Uint8Array(1) };
  const by = (more: Partial<PageRun>, label?: number) =>
    guidedBy(choice, label, { live: network, classNames: ["nought"], ...more });
  assert.deepEqual(by({}, 0), { label: 0, className: "nought", guidance: 3 });
  assert.deepEqual(by({ isFlowMap: true }, 0), { label: 0, className: "nought" });
  const steered = by({ isFlowMap: true, maxGuidance: 2.5 }, 1);
  assert.deepEqual(steered, { label: 1, className: undefined, guidance: 2.5, takesGuidance: true });
  assert.deepEqual(by({}), {}, "without early weights there is no autoguidance");
  assert.deepEqual(by({ live: { ...network, early: { ...network, guidance: 2 } } }), { guidance: 3 });
});

Deno.test("formatSteps() counts steps, and gives their lengths", () => {
  const step = (t: number, dt: number, accepted: boolean) => ({ t, dt, ratio: 1, accepted });
  const rows = [[step(0, 0.5, false), step(0, 0.25, true), step(0.25, 0.75, true)], [step(0, 1, true)]];
  const words = formatSteps(rows, undefined);
  assert.equal(words, "1 to 2 taken, 0.25 to 1.0 long; 0 to 1 rejected, together.");
});

Deno.test("WorkQueue cancels tasks at their next turn, and lets the background wait for other tasks", async () => {
  const done: string[] = [];
  const { promise: idle, resolve } = Promise.withResolvers<void>();
  const queue = new WorkQueue((busy) => !busy && resolve(), (error) => done.push(`${error}`));
  const { promise: first, resolve: end } = Promise.withResolvers<void>();
  queue.add(async ({ turn }) => {
    await first;
    await turn();
    done.push("stopped too late");
  });
  await Promise.resolve(); // it has started
  queue.stop();
  queue.add(() => Promise.reject("reported"));
  queue.add(async ({ turn }) => {
    done.push("background");
    await turn();
    done.push("last");
  }, "background");
  await Promise.resolve();
  end();
  await idle;
  assert.deepEqual(done, ["background", "reported", "last"]);
});
