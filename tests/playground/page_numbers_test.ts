/** What the page of the playground writes and draws, where it needs no browser. */

import assert from "node:assert/strict";
import { ExactField } from "../../playground/exact_field.ts";
import { mixed } from "../../playground/page/canvas.ts";
import { paintDot, samplesAt } from "../../playground/page/digits_stage.ts";
import { heatPixels } from "../../playground/page/heat.ts";
import { LossCurve } from "../../playground/page/loss_chart.ts";
import type { Frame, TrainingPairs } from "../../playground/page/messages.ts";
import { placeAt, PlanePen, type PlaneState } from "../../playground/page/plane_pen.ts";
import { digestWords, distanceFromData, readingOf, statusOf } from "../../playground/page/readings.ts";
import { defaults } from "../../playground/settings.ts";

/** A hundred and twenty-eight dots, from (0, 0) over (n, 0) to (1, n / 100) and half of them on by (0, 1). */
const moved = {
  times: Float32Array.of(0, 0.5, 1),
  places: Float32Array.from({ length: 3 * 128 * 2 }, (_, i) => {
    const [k, n, axis] = [Math.floor(i / 256), (i >> 1) % 128, i % 2];
    return k === 0 ? 0 : k === 1 ? [n, 0][axis] : [1, n % 2][axis];
  }),
};
const exact = new ExactField(Float32Array.of(1, 0, -3, 4), "linear");
const lesson: TrainingPairs = {
  points: new Float32Array(),
  x0: new Float32Array(),
  x1: new Float32Array(),
  closed: true,
};
const frame: Frame = {
  step: 1,
  losses: new Float32Array(),
  dots: moved,
  arrows: new Float32Array(),
  drops: [{ times: moved.times, places: Float32Array.of(0, 0, 3, 0, 3, 4) }],
  milliseconds: 1,
};
const state: PlaneState = {
  step: "few",
  t: 0.5,
  exact,
  frame,
  lesson,
  probe: [0.5, 0.25],
  pair: 0,
  pen: false,
};

Deno.test("placeAt() is between the ends of a step, and at the ends outside", () => {
  const at = (t: number) => placeAt(moved, 3, t);
  assert.deepEqual([0, 0.25, 0.5, 0.75, 1, 2, -1].map(at), [
    [0, 0],
    [1.5, 0],
    [3, 0],
    [2, 0.5],
    [1, 1],
    [1, 1],
    [0, 0],
  ]);
});

Deno.test("PlanePen.pixel() has the plane upright", () => {
  const pen = new PlanePen({} as CanvasRenderingContext2D, 320, {} as PlanePen["colours"]);
  assert.deepEqual([[-3.2, 3.2], [0, 0], [3.2, -1.6]].map(([x, y]) => pen.pixel([x, y])), [
    [0, 0],
    [160, 160],
    [320, 240],
  ]);
});

Deno.test("readingOf() says distances, lengths, the mean and the spread", () => {
  assert.equal(distanceFromData({ frame, exact }), 0.5); // half the dots lie on a data point, half 1 above it
  const settings = { ...defaults, moves: 2 };
  assert.equal(
    readingOf(state, settings),
    "2 solver steps, random pairs: dots end 0.50 from the data on average.",
  );
  const whole = readingOf(state, { ...defaults, moves: 1, objective: "one_step" });
  assert.match(whole, /^1 solver step, whole steps: /);
  assert.equal(
    readingOf({ ...state, step: "follow" }, settings),
    "The last trajectory is 7.00 long; a straight line to its end would be 5.00.",
  );
  const fan: PlaneState = { ...state, step: "average" };
  const { mean: [u, v], spread } = exact.meeting([0.5, 0.25], 0.5);
  const words = `Mean velocity (${u.toFixed(2)}, ${v.toFixed(2)})`;
  assert.equal(readingOf(fan, settings), `${words}. Spread ${spread.toFixed(2)}.`);
  const look = { place: [0.5, 0.25], t: 0.5, velocity: [u + 0.3, v - 0.4] } as const;
  assert.equal(
    readingOf({ ...fan, look }, settings),
    `${words}; the network is 0.50 away from it. Spread ${spread.toFixed(2)}.`,
  );
  for (const other of [{ t: 0.4 }, { place: [0.5, 0.3] }, { place: [0.4, 0.25] }] as const) {
    const stale = readingOf({ ...fan, look: { ...look, ...other } }, settings);
    assert.equal(
      stale,
      readingOf(fan, settings),
      "a look at another time or place is not that of the network here",
    );
  }
  const end = { ...fan, t: 1, look: { ...look, t: 0.99 } };
  assert.match(readingOf(end, settings), /away from it/, "the fan ends at 0.99, where it is looked at");
  assert.equal(readingOf({ ...end, look: undefined }, settings), readingOf({ ...fan, t: 0.99 }, settings));
});

Deno.test("statusOf() and digestWords() leave out what is not known", () => {
  const known = {
    step: 1200,
    steps: 4000,
    loss: 0.61249,
    digits: 3,
    milliseconds: 0.456,
    device: "1 thread",
  };
  assert.equal(statusOf(known), "Step 1,200 of 4,000 · loss 0.612 · 0.46 ms a step · 1 thread");
  assert.equal(
    statusOf({ ...known, loss: undefined, milliseconds: 0 }),
    "Step 1,200 of 4,000 · 1 thread",
  );
  const rest = { step: 1200, digest: "ab", done: true };
  assert.equal(digestWords(rest), "After step 1,200, the weights have the digest ab.");
  assert.match(digestWords(rest, "steps"), / with steps=1200\.$/);
});

Deno.test("LossCurve keeps the mean loss at the middle of equally many steps, also when neighbours are joined", () => {
  const curve = new LossCurve(4);
  assert.equal(curve.latest(), undefined);
  curve.add([3, 5]);
  assert.deepEqual([curve.count, curve.latest(), curve.points()], [2, 4, []]);
  curve.add(Array.from({ length: 38 }, (_, i) => i + 2)); // the loss of step i, but for the first two
  assert.deepEqual(curve.points(), [[8, (8 + 120 - 1) / 16], [24, 23.5]]);
  assert.equal(curve.latest(), 23.5);
  const long = new LossCurve();
  long.add(Array.from({ length: 480 }, (_, i) => i));
  assert.equal(long.latest(), 467.5, "the mean of the last 24, a twentieth");
});

Deno.test("mixed() goes from the first colour to the second", () => {
  assert.deepEqual([0, 0.25, 1].map((share) => mixed("#004080", "#ff0010", share)), [
    "rgb(0 64 128)",
    "rgb(64 48 100)",
    "rgb(255 0 16)",
  ]);
});

Deno.test("heatPixels() has the densest place most opaque, with the rows of the plane upright", () => {
  const logp = Float32Array.of(0, -2, -4, -Infinity); // the first is the lowest to the left
  assert.deepEqual([...heatPixels(logp, [1, 2, 3])], [
    ...[1, 2, 3, Math.round(200 * Math.exp(-2))],
    ...[1, 2, 3, 0],
    ...[1, 2, 3, 200],
    ...[1, 2, 3, Math.round(200 * Math.exp(-1))],
  ]);
});

Deno.test("samplesAt() is between the ends of a step, paintDot() lightens pixels near a place", () => {
  const drawn = { times: Float32Array.of(0, 0.5, 1), many: Float32Array.of(0, 10, 4, 12, 8, 2) };
  assert.deepEqual([0, 0.25, 0.5, 0.75, 1].map((t) => [...samplesAt(drawn, t)]), [
    [0, 10],
    [2, 11],
    [4, 12],
    [6, 7],
    [8, 2],
  ]);
  const image = new Float32Array(28 * 28).fill(0.25);
  paintDot(image, 28, [20.5, 3.5]);
  assert.deepEqual(
    [[3, 20], [3, 21], [4, 21], [3, 22], [2, 20], [20, 3]].map(([y, x]) => image[28 * y + x]),
    [
      1,
      Math.fround(0.9),
      Math.fround(1.9 - Math.SQRT2),
      0.25,
      Math.fround(0.9),
      0.25,
    ],
  );
});
