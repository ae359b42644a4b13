/** What the playground's page writes and draws, as far as it needs no browser. */

import assert from "node:assert/strict";
import { ExactField } from "../../playground/exact_field.ts";
import { paintDot, samplesAt } from "../../playground/page/digits.ts";
import { LossCurve, lossScale } from "../../playground/page/loss_chart.ts";
import { contour, tipOf } from "../../playground/page/pictures.ts";
import type { Frame, TrainingPairs } from "../../playground/page/messages.ts";
import { PlanePen, type PlaneState } from "../../playground/page/plane_pen.ts";
import * as readings from "../../playground/page/readings.ts";
import { defaults, type PlaygroundSettings } from "../../playground/settings.ts";
import { placeAt, type Trajectories } from "../../playground/plane_views.ts";
import { assertClose } from "../testing.ts";

/** 128 dots that move from (0, 0) via (n, 0) to (1, n / 100); half of them then move on by (0, 1). */
const moved = {
  times: Float32Array.of(0, 0.5, 1),
  places: Float32Array.from({ length: 3 * 128 * 2 }, (_, i) => {
    const [k, n, axis] = [Math.floor(i / 256), (i >> 1) % 128, i % 2];
    return k === 0 ? 0 : k === 1 ? [n, 0][axis] : [1, n % 2][axis];
  }),
};
const exact = new ExactField(Float32Array.of(1, 0, -3, 4), "linear");
const none = new Float32Array();
const lesson: TrainingPairs = { points: none, x0: none, x1: none, closed: true };
const settings = { ...defaults, step: "few", moves: 2 } as const;
const frame: Frame = {
  ...{ settings, step: 1, losses: none, arrows: none, milliseconds: 1 },
  ...{ dots: moved, planes: [moved, moved] },
  drops: [{ times: moved.times, places: Float32Array.of(0, 0, 3, 0, 3, 4) }],
};
const place = [0.5, 0.25] as const;
const state: PlaneState = {
  ...{ settings, t: 0.5, exact, frame, lesson, probe: place, pinned: place },
  ...{ trail: [], kept: new Map(), pair: 0, pen: false },
};

Deno.test("placeAt() interpolates within a step, and clamps outside", () => {
  const at = (t: number) => placeAt(moved, 3, t);
  assert.deepEqual([0, 0.25, 0.75, 2, -1].map(at), [[0, 0], [1.5, 0], [2, 0.5], [1, 1], [0, 0]]);
});

Deno.test("PlanePen.pixel() draws the plane upright", () => {
  const pen = new PlanePen({} as CanvasRenderingContext2D, 320, {} as PlanePen["colours"]);
  const at = (x: number, y: number) => pen.pixel([x, y]);
  assert.deepEqual([at(-3.2, 3.2), at(0, 0), at(3.2, -1.6)], [[0, 0], [160, 160], [320, 240]]);
});

Deno.test("readings are distances and lengths, and ignore a velocity at another time or place", () => {
  assert.equal(readings.distanceFromData(moved, exact), 0.5); // half the dots lie on a data point, half 1 above it
  const kept = new Map([["random pairs", [3, 0.25]]]); // with 1 and 2 steps
  assert.equal(readings.fewReading({ ...state, kept }).values.distance, 0.25);
  assert.deepEqual(readings.followReading(state).values, { length: 7, straight: 5 });
  const { mean: [x, y], spread } = exact.meeting([0.5, 0.25], 0.5);
  assert.deepEqual(readings.fanReading(state).values, { x, y, spread });
  const look = { step: 3, place: [0.5, 0.25], t: 0.5, velocity: [x + 0.3, y - 0.4] } as const;
  assertClose([readings.fanReading({ ...state, look }).values.away], [0.5], 1e-9);
  for (const other of [{ t: 0.4 }, { place: [0.5, 0.3] }, { place: [0.4, 0.25] }] as const) {
    assert.ok(!("away" in readings.fanReading({ ...state, look: { ...look, ...other } }).values));
  }
  const end = { ...state, t: 1, look: { ...look, t: 0.99 } };
  assert.ok("away" in readings.fanReading(end).values, "at t = 1, the velocity at 0.99 is shown");
});

Deno.test("keepDistances() stores distances per number of steps, for each way of training", () => {
  const kept = new Map();
  const keep = (change: Partial<PlaygroundSettings>, planes: readonly Trajectories[]) =>
    readings.keepDistances({
      ...state,
      kept,
      frame: { ...frame, planes, settings: { ...settings, ...change } },
    });
  keep({}, [moved, moved]);
  keep({ objective: "one_step" }, [moved]);
  keep({ pairs: "nearest" }, []);
  assert.deepEqual([...kept], [["random pairs", [0.5, 0.5]], ["whole steps", [0.5]]]);
});

Deno.test("contour() is a circle around a peak at the centre of the grid", () => {
  const side = 41;
  const cone = Float64Array.from(
    { length: side * side },
    (_, i) => -Math.hypot(i % side - 20, Math.floor(i / side) - 20),
  );
  const pieces = contour(cone, -10);
  assert.ok(pieces.length > 60);
  for (const end of pieces.flat()) assertClose([Math.hypot(end[0] - 0.5, end[1] - 0.5)], [10 / 41], 2e-3);
  const length = pieces.reduce((sum, [[a, b], [c, d]]) => sum + Math.hypot(a - c, b - d), 0);
  assertClose([length], [2 * Math.PI * 10 / 41], 0.01);
});

Deno.test("crowdReading() and classesReading() report mean lengths, distances and spreads", () => {
  const length = Array.from({ length: 128 }, (_, n) => n + Math.hypot(n - 1, n % 2)).reduce((a, b) => a + b) /
    128;
  const random = { ...frame, settings: { ...defaults, step: "random" } } as const;
  const { values } = readings.crowdReading({ ...state, frame: random });
  assertClose([values.length, values.distance], [length, 0.5], 1e-5);
  const points = Float32Array.of(0, 3, 0, -3, 9, 9, 9, 9); // the first class, and the second
  const classes = { ...frame, settings: { ...defaults, step: "classes" } } as const;
  const { spread, ofData } =
    readings.classesReading({ ...state, lesson: { ...lesson, points }, frame: classes }).values;
  assertClose([spread, ofData], [0.5, 3], 1e-6);
});

Deno.test("tipOf() ends on the data dot, on a straight path", () => {
  const [x0, x1] = [[-1, 0.5], [2, 1]] as const;
  for (const [path, misses] of [["linear", false], ["cosine", true]] as const) {
    const field = new ExactField(Float32Array.of(0, 0), path);
    const tips = [0, 0.4, 0.8].map((t) => tipOf(field.between(x0, x1, t), field.velocity(x0, x1, t), t));
    const away = tips.map(([x, y]) => Math.hypot(x - x1[0], y - x1[1]));
    assert.ok(away.every((distance) => distance > 0.05 === misses && distance < 2), `${path}: ${away}`);
  }
});

Deno.test("lossScale() is linear, or logarithmic in the distance to the floor if there is one", () => {
  const linear = lossScale([3, 1]);
  assert.deepEqual([linear.share(0), linear.ticks.map(({ loss }) => loss)], [0, [0, 1, 2, 3]]);
  assertClose([linear.share(3)], [1 / 1.05], 1e-9);
  const spacings = [3, 1, 0.5, 0.2].map((highest) => lossScale([highest]).ticks[1].loss);
  assert.deepEqual(spacings, [1, 0.5, 0.2, 0.05]);
  const { share, ticks } = lossScale([3, 1.2, 0.999], 1);
  assertClose([1.01, 1.02, 1.2, 3].map(share), [1, 2, 20, 200].map((x) => Math.log(x) / Math.log(200)), 1e-9);
  assert.equal(share(0.9), 0, "a loss below the floor is within its error");
  assert.deepEqual(ticks.map(({ text }) => text), ["0.01", "0.1", "1"]);
});

Deno.test("statusOf() and formatDigest() omit unknown values", () => {
  const known = {
    step: 1200,
    steps: 4000,
    loss: 0.61249,
    digits: 3,
    milliseconds: 0.456,
    device: "1 thread",
  };
  assert.equal(readings.statusOf(known), "Step 1,200 of 4,000 · loss 0.612 · 0.46 ms per step · 1 thread");
  assert.equal(
    readings.statusOf({ ...known, loss: undefined, milliseconds: 0 }),
    "Step 1,200 of 4,000 · 1 thread",
  );
  const rest = { step: 1200, digest: "ab", done: true };
  assert.equal(readings.formatDigest(rest), "After step 1,200, the weights have the digest ab.");
  assert.match(readings.formatDigest(rest, "steps"), / With steps=1200, .*\.$/);
});

Deno.test("LossCurve places each mean at the middle of its steps, even after neighbours are merged", () => {
  const curve = new LossCurve(4);
  assert.equal(curve.latest(), undefined);
  curve.add([3, 5]);
  assert.deepEqual([curve.count, curve.latest(), curve.points()], [2, 4, []]);
  curve.add(Array.from({ length: 38 }, (_, i) => i + 2)); // step i has loss i, except for the first two
  assert.deepEqual(curve.points(), [[8, (8 + 120 - 1) / 16], [24, 23.5]]);
  assert.equal(curve.latest(), 23.5);
  const long = new LossCurve();
  long.add(Array.from({ length: 480 }, (_, i) => i));
  assert.equal(long.latest(), 467.5, "the mean of the last 24, a twentieth");
});

Deno.test("samplesAt() interpolates within a step; paintDot() lightens pixels near a place", () => {
  const drawn = { times: Float32Array.of(0, 0.5, 1), many: Float32Array.of(0, 10, 4, 12, 8, 2) };
  assert.deepEqual([0, 0.25, 0.75, 1].map((t) => [...samplesAt(drawn, t)]), [[0, 10], [2, 11], [6, 7], [
    8,
    2,
  ]]);
  const image = new Float32Array(28 * 28).fill(0.25);
  paintDot(image, 28, [20.5, 3.5]);
  assert.deepEqual(
    [[3, 20], [3, 21], [4, 21], [3, 22], [2, 20], [20, 3]].map(([y, x]) => image[28 * y + x]),
    [1, Math.fround(0.9), Math.fround(1.9 - Math.SQRT2), 0.25, Math.fround(0.9), 0.25],
  );
  paintDot(image, 28, [20.5, 3.5], true);
  assert.deepEqual([[3, 20], [20, 3]].map(([y, x]) => image[28 * y + x]), [0, 0.25], "an eraser darkens");
});
