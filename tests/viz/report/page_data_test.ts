/** The data of a report's page, and the functions that use it. */

import assert from "node:assert/strict";
import { type LiveJudge, type LiveNetwork, reportHtml, type ReportRun } from "../../../viz/report/mod.ts";
import { packed, unpacked } from "../../../viz/report/packing.ts";
import { fastestOf, pageData } from "../../../viz/report/page_data.ts";
import { fieldOf, movingTraces, planeFigure } from "../../../viz/report/page/plane.ts";
import { lossFigure } from "../../../viz/report/run_figures.ts";
import { lastVelocity, predictedEnd, snapshotAt } from "../../../viz/report/page/trajectory_view.ts";
import { WorkQueue } from "../../../viz/report/page/work.ts";
import { quantiles, smoothed, thinned } from "../../../viz/report/series.ts";
import { testNeeding } from "../../permissions.ts";
import { assertClose } from "../../testing.ts";
import { madeUpFlow } from "../flow/made_up_flow.ts";
import { plane, run, size, two, valueAt } from "./made_up.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

Deno.test("unpacked() inverts packed(), with the precision of each array", () => {
  const values = Float32Array.from({ length: 1000 }, (_, i) => 3 * Math.sin(i) ** 3);
  const pixels = Float32Array.from({ length: 256 }, (_, i) => i / 255);
  const data = {
    runs: [{ t: values, velocity: values, plane: { image: pixels }, live: { tests: { image: pixels } } }],
    comparison: { t: values, points: [values] },
    still: new Float32Array(3),
    classes: Uint32Array.of(3, 300),
    name: "</script>",
    nothing: null,
    files: [Uint8Array.of(5, 6), Uint8Array.of(7), Uint8Array.of(5, 6)],
  };
  const back: typeof data = unpacked(packed(data));
  const [own] = back.runs;
  assert.deepEqual([own.t, back.comparison.t, back.still], [values, values, data.still]);
  assert.deepEqual(
    [own.plane.image, own.live.tests.image],
    [pixels, pixels],
    "exact to the level of an image file",
  );
  assert.deepEqual(back.files, data.files);
  assert.deepEqual([...packed(data).files].sort(), [5, 6, 7], "equal files are stored once");
  assert.deepEqual([back.classes, back.name, back.nothing], [[3, 300], "</script>", null]);
  for (const [packed, most] of [[own.velocity, 32_767], [back.comparison.points[0], 127]] as const) {
    packed.forEach((value, i) => assert.ok(Math.abs(value - values[i]) <= 1.5 / most + 1e-6, `${i}`));
  }
  const beyond: { plane: { image: Float32Array } } = unpacked(
    packed({ plane: { image: Float32Array.of(-2, 7) } }),
  );
  assert.deepEqual(beyond.plane.image, Float32Array.of(0, 1));
});

Deno.test("pageData() keeps its budget: fewer snapshots first, then fewer trajectories", () => {
  const [H, W, M, S] = [64, 64, 40, 8];
  const trajectories = Array.from({ length: S }, () => ({
    t: Float32Array.from({ length: M }, (_, m) => m / (M - 1)),
    image: new Float32Array(M * H * W),
    velocity: new Float32Array((M - 1) * H * W),
    shape: [M, H, W] as const,
  }));
  for (const [runs, samples, times] of [[1, 8, 34], [4, 6, 11], [40, 1, 6]]) {
    const { runs: [{ trajectories: kept }] } = pageData({
      runs: Array.from({ length: runs }, (_, i) => run(`${i}`, { trajectories })),
    });
    assert.equal(kept.length, samples);
    for (const { shape, t, velocity } of kept) {
      assert.deepEqual(shape, [times, 1, H, W]);
      assert.deepEqual([t[0], t.at(-1)], [0, 1], "the first and the last snapshot stay");
      assert.equal(velocity.length, (times - 1) * H * W);
    }
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
  times.slice(1).forEach((time, i) => {
    assert.ok(time > times[i] && time - times[i] < 0.03, `${time} follows ${times[i]}`);
  });
});

Deno.test("pageData() holds one complete trajectory if the page can solve the others", () => {
  const trajectories = Array.from({ length: 12 }, (_, s) => madeUpFlow(s, 21, [28, 28]));
  const solved = { seed: 1, solver: "heun", steps: 20, evaluations: 40 } as const;
  const more = { solved, live: { checkpoint } };
  const dataOf = (count: number, rest: Partial<ReportRun>, library?: string) =>
    pageData({
      runs: [run("a", { trajectories: trajectories.slice(0, count), ...rest })],
      ...library !== undefined && { library },
    });
  const { runs: [{ trajectories: [first, ...ends], fastest }] } = dataOf(12, more, "");
  assert.deepEqual([first.shape, first.t], [[21, 1, 28, 28], trajectories[0].t]);
  assert.equal(ends.length, 9);
  ends.forEach(({ t, image, velocity, shape }, i) => {
    assert.deepEqual([[...t], velocity.length, shape], [[1], 0, [1, 1, 28, 28]]);
    assertSameNumbers(image, trajectories[i + 1].image.slice(20 * 784));
  });
  assert.equal(fastest, fastestOf(trajectories), "the scale covers all recorded trajectories");
  const grown = (rest: Partial<ReportRun>, library?: string) =>
    packed(dataOf(10, rest, library)).data.length - packed(dataOf(1, rest, library)).data.length;
  assert.ok(grown(more, "") < 9 * 2000, `${grown(more, "")} bytes for nine samples`);
  const { evaluations: _, ...unknown } = solved;
  for (
    const all of [
      grown(more),
      grown({ solved }, ""),
      grown({ ...more, solved: unknown }, ""),
      grown({ ...more, solved: { ...solved, steps: 40 } }, ""),
    ]
  ) {
    assert.ok(all > 9 * 20 * 784 * 4, `${all} bytes: the page holds what it cannot solve`);
  }
});

const checkpoint = Uint8Array.of(1);
const reference = { values: Float32Array.from({ length: 12 }, (_, i) => i / 7), rows: 6, width: 2 };
const judge: LiveJudge = { weights: Uint8Array.of(5, 6), reference };
const tests = { shape: [2, 1, 1, 2], image: Float32Array.of(0, 1, 0.2, 0.4), labels: [3, 1] } as const;

Deno.test("pageData() holds the network of each run, or explains why there is none", () => {
  const networks = (...live: (LiveNetwork | string | undefined)[]) => {
    const runs = live.map((live, i) => run(`${i}`, live === undefined ? {} : { live }));
    return pageData({ runs, library: "" }).runs.map(({ live }) => live);
  };
  const network = { checkpoint, tests, judge, early: { checkpoint, guidance: 2 } };
  assert.deepEqual(
    networks(network, "no", undefined),
    [network, "no", "this report does not include its network"],
  );
  assert.deepEqual(networks(undefined), [undefined]);
  const bare = run("a", { trajectories: [], live: { checkpoint } });
  assert.equal(
    pageData({ runs: [bare], library: "" }).runs[0].live,
    undefined,
    "a run without trajectories has no explorer",
  );
});

testNeeding(
  { read: true },
  "reportHtml() grows by less than 700 kB for 24 digits, a judge and 500 test images",
  async () => {
    const weights = await Deno.readFile(
      new URL("../../../checkpoints/judge_mnist.safetensors", import.meta.url),
    );
    const features = Float32Array.from({ length: 500 * 84 }, (_, i) => i % 9 / 7);
    const more = {
      tests: { shape: [24, 1, 28, 28], image: new Float32Array(24 * 784), labels: new Uint8Array(24) },
      judge: { weights, reference: { values: features, rows: 500, width: 84 } },
    } as const;
    const lengthOf = (live: LiveNetwork) => reportHtml({ runs: [run("a", { live })], library: "" }).length;
    const grown = lengthOf({ checkpoint, ...more }) - lengthOf({ checkpoint });
    assert.ok(grown > weights.length && grown < 700_000, `${grown} bytes`);
  },
);

Deno.test("thinned() averages neighbours and skips NaN", () => {
  const series = { step: [1, 2, 3, 4, 5], value: [1, NaN, 3, 5, 7] };
  assert.deepEqual(thinned(series, 2), { step: [3, 5], value: [2, 6] });
  assert.deepEqual(thinned(series, 10), { step: [1, 3, 4, 5], value: [1, 3, 5, 7] });
  assert.deepEqual(thinned({ step: [], value: [] }, 2), { step: [], value: [] });
});

Deno.test("smoothed() keeps a straight line, calms noise, and does not lag behind a loss that falls fast", () => {
  const series = (value: (k: number) => number) => {
    const step = Array.from({ length: 300 }, (_, k) => 20 * (k + 1));
    return smoothed({ step, value: step.map((_, k) => value(k)) }).value;
  };
  assertClose(
    series((k) => 3 - k / 200).slice(0, 290),
    Array.from({ length: 290 }, (_, k) => 3 - k / 200),
    1e-9,
  );
  const falling = (k: number) => 0.2 + 1 / (1 + k);
  series(falling).forEach((value, k) => {
    assert.ok(Math.abs(value / falling(k) - 1) < 0.06, `${value} for ${falling(k)} at ${k}`);
  });
  const noisy = series((k) => 1 + (k % 2 ? 0.1 : -0.1));
  assert.ok(noisy.slice(30).every((value) => Math.abs(value - 1) < 0.015));
});

Deno.test("quantiles() are over the samples at each time", () => {
  const values = Float32Array.from({ length: 22 }, (_, i) => i < 11 ? 10 - i : 7); // 10 .. 0, then sevens
  assert.deepEqual(quantiles(values, 11), { low: [1, 7], median: [5, 7], high: [9, 7] });
  assert.deepEqual(quantiles(Float32Array.of(0, 1, 2, 3, 4, 5, 6), 7), { low: [1], median: [3], high: [5] });
});

const moved = {
  ...plane(3, 2),
  shape: [3, 2, 1, 1] as const,
  t: Float32Array.of(0, 0.5, 1),
  classes: [4, 17],
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

Deno.test("movingTraces() interpolates linearly between snapshots, without hidden classes", () => {
  const [field, arrows, points, ring] = movingTraces(shown);
  assert.deepEqual([field.x, ring.x, ring.y], [[], [2], [2]]);
  assert.deepEqual([points.x, points.y, points.customdata], [[2, 9], [2, 9], [0, 1]]);
  assert.deepEqual([arrows.u, arrows.v, arrows.lengthfactor], [[4, 0], [0, 0], 0.1]);
  assert.deepEqual(Object(arrows.marker).color, [4, 7], "colours repeat after ten classes");
  assert.equal(Object(points.marker).color[1], Object(arrows.marker).colorscale[7][1]);
  assert.equal(new Set(Object(points.marker).symbol).size, 2);
  const said = [points.text, points.hovertemplate];
  assert.deepEqual(said, [
    ["sample 1, classified as &lt;4>", "sample 2, classified as &lt;17>"],
    "%{text}<br>t = 0.75<extra></extra>",
  ]);
  assert.deepEqual(movingTraces({ ...shown, t: 0.5 })[1].u, [4, 0], "at a snapshot, its own velocity");
  assert.deepEqual(movingTraces({ ...shown, t: 1 })[1].u, [0, 0], "at the end there is no velocity");
  assert.deepEqual(movingTraces({ ...shown, hidden: new Set([4]) })[2].customdata, [1]);
});

Deno.test("planeFigure() has a trail and a legend entry for each class, around all points", () => {
  const { data, layout } = planeFigure({ ...shown, hidden: new Set([17]) });
  const entries = data.slice(1, 3).map(({ name, visible }) => [name, visible]);
  assert.deepEqual(entries, [["<4>", true], ["<17>", "legendonly"]]);
  const trails = (layout.shapes as Record<string, unknown>[]).map(({ path, visible }) => [path, visible]);
  assert.deepEqual(trails, [["M0,0L1,2L3,2", true], ["M9,9L9,9L9,9", false]]);
  assertClose(Object(layout.yaxis).range, [-2.4, 42.4], 1e-6);
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
    id: 0,
    name: "",
    origin: "",
    shape: [3, 1, 1, 2] as const,
    t: Float32Array.of(0, 0.5, 1),
    image: Float32Array.of(0, 1, 2, 3, 6, 5),
    velocity: Float32Array.of(4, 4, 8, 6),
  };
  const at = (t: number) => {
    const { image, velocity } = snapshotAt(trajectory, t);
    return [...image, ...velocity];
  };
  assert.deepEqual(at(0), [0, 1, 4, 4]);
  assert.deepEqual(at(0.125), [0.5, 1.5, 4, 4]);
  assert.deepEqual(at(0.75), [4, 4, 8, 6]);
  assert.deepEqual(at(1), [6, 5, 8, 6]);
  assert.deepEqual([0, 1, 2].map((m) => lastVelocity(trajectory, m).t), [0, 0.5, 0.5]);
  assert.deepEqual([0, 1, 2].map((m) => [...predictedEnd(trajectory, m)]), [[4, 5], [6, 6], [6, 5]]);
});

Deno.test("fastestOf() is 1 if all velocities are 0", () => {
  const still = {
    shape: [2, 1, 1, 2] as const,
    t: Float32Array.of(0, 1),
    image: new Float32Array(4),
    velocity: new Float32Array(2),
  };
  assert.equal(fastestOf([still]), 1);
  assert.equal(fastestOf([still, { ...still, velocity: Float32Array.of(-3, 1) }]), 3);
});

Deno.test("lossFigure() has a panel for each stage of a distillation, which the report calls incomparable", () => {
  const trainLoss = { step: [10, 20, 30, 40, 50], value: [8, 8, 1, 1, 1] };
  const stages = [{ name: "pairs", from: 0 }, { name: "drift", from: 20 }];
  const own = run("a", { trainLoss, stages });
  const named = (runs: ReportRun[]) => lossFigure(runs).data.filter(({ showlegend }) => showlegend !== false);
  assert.deepEqual(
    named([own]).map((
      { name, x, y, yaxis },
    ) => [name, [...x as Float32Array], [...y as Float32Array], yaxis]),
    [
      ["pairs, smoothed", [10, 20], [8, 8], "y"],
      ["drift, smoothed", [30, 40, 50], [1, 1, 1], "y2"],
      ["validation", own.valLoss.step, own.valLoss.value.map(Math.fround), "y3"],
    ],
  );
  assert.deepEqual(
    named([own, run("b", { trainLoss: { step: [20], value: [0.5] } })]).map((
      { name, mode, yaxis },
    ) => [name, mode, yaxis]),
    [
      ["a pairs, smoothed", "lines", undefined],
      ["a drift, smoothed", "lines", undefined],
      ["a validation", "markers", undefined],
      ["b training, smoothed", "lines+markers", undefined], // a single loss is a point
      ["b validation", "markers", undefined],
    ],
  );
  const html = reportHtml({ runs: [own] });
  const rows = [...html.matchAll(/<td>(\d+)<\/td><td>([\d.]+)<\/td>/g)].map(([, ...cells]) => cells);
  assert.deepEqual(rows.slice(0, 3), [["10", "8"], ["20", "8"], ["30", "1"]]);
  assert.match(html, /not comparable with other stages/);
  assert.doesNotMatch(reportHtml(two), /not comparable with other stages/);
});

Deno.test("WorkQueue runs the tasks of a lane in turn, lanes concurrently, and no cancelled tasks", async () => {
  const done: string[] = [];
  const busy: boolean[] = [];
  let finish = () => {};
  const idle = new Promise<void>((resolve) => finish = resolve);
  const queue = new WorkQueue((now) => busy.push(now) && !now && finish(), (error) => done.push(`${error}`));
  let end = () => {};
  const first = new Promise<void>((resolve) => end = resolve);
  queue.add(async (signal) => {
    await first;
    signal.throwIfAborted();
    done.push("stopped too late");
  });
  queue.add(() => Promise.resolve(void done.push("stopped before it started")));
  queue.add(() => Promise.resolve(void done.push("background")), "background");
  await Promise.resolve();
  queue.stop();
  queue.add(() => Promise.resolve(void done.push("replaced"))).abort();
  queue.add(() => Promise.reject(new Error("reported")));
  queue.add(() => Promise.resolve(void done.push("last")));
  await Promise.resolve();
  end();
  await idle;
  assert.deepEqual(done, ["background", "Error: reported", "last"]);
  assert.deepEqual(busy, [true, false]);
});
