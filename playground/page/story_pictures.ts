/// <reference lib="dom" />
import type { ExactField, Meeting } from "../exact_field.ts";
import { arrows as grid, type Trajectories } from "../plane_views.ts";
import { halfSide, type Point } from "../plane_data.ts";
import { arrow, mixed, polyline, set } from "./canvas.ts";
import { currentProbe, placeAt, type PlanePen, type PlaneState, probeTime } from "./plane_pen.ts";

/** Maximum number of lines in a fan, and of a dropped dot's lessons. */
const [maxLines, lessons] = [160, 18];

/** The time left until t = 1, with a minimum that keeps arrows visible. */
export const leftAt = (t: number) => Math.max(0.03, 1 - t);

/** Where this velocity would take a dot by t = 1; arrows in all steps end there. */
export function tipOf([x, y]: Point, [vx, vy]: Point, t: number): Point {
  const left = leftAt(t);
  return [x + left * vx, y + left * vy];
}

/** Draws the velocity field and some trajectories. */
export function drawField(pen: PlanePen, { frame, t, exact }: PlaneState, shown?: Trajectories): void {
  if (shown) drawTrails(pen, shown, 12, 0.3);
  if (!frame || !exact) return;
  const { side, times } = grid;
  const at = Math.min(times - 2, Math.floor(t * (times - 1)));
  const share = t * (times - 1) - at;
  set(pen.context, { strokeStyle: pen.colours.velocity, globalAlpha: 0.45 * Math.min(1, 20 * (1 - t)) });
  for (let i = 0; i < side * side; i++) {
    const place = (index: number) => halfSide * ((index + 0.5) / side * 2 - 1);
    const of = (axis: number) => {
      const [before, after] = [at, at + 1].map((k) => frame.arrows[2 * (k * side * side + i) + axis]);
      return before + share * (after - before);
    };
    const [x, y, vx, vy] = [place(i % side), place(Math.floor(i / side)), of(0), of(1)];
    const length = 0.12 * Math.min(1, 3.2 / Math.max(1e-9, Math.hypot(vx, vy)));
    arrow(pen.context, pen.pixel([x, y]), pen.pixel([x + length * vx, y + length * vy]), 1.2, 5);
  }
  pen.context.globalAlpha = 1;
}

export function labelField(pen: PlanePen, { exact, t }: PlaneState, shown?: Trajectories): void {
  if (!exact || !shown) return;
  const { noise, data, velocity } = pen.colours;
  const highest = Array.from({ length: exact.size }, (_, i) => exact.point(i))
    .reduce((highest, point) => point[1] > highest[1] ? point : highest);
  pen.label("data", highest, data, { down: -14 });
  const here = placeAt(shown, 0, t);
  pen.dot(here, 5, mixed(noise, data, t));
  if (t < 0.97) pen.label(t < 0.03 ? "noise" : "a dot on its way", here, t < 0.03 ? noise : velocity);
}

/** Draws pairs of noise and data, one of them in bold with its velocity. */
export function drawPairs(pen: PlanePen, { lesson, exact, t, pair }: PlaneState): void {
  if (!lesson || !exact) return;
  const { noise, data, velocity, muted } = pen.colours;
  const N = lesson.x0.length / 2;
  const ends = (n: number): [Point, Point] => [pointOf(lesson.x0, n % N), pointOf(lesson.x1, n % N)];
  const curve = ([x0, x1]: [Point, Point]) =>
    Array.from({ length: 25 }, (_, k) => exact.between(x0, x1, k / 24));
  for (let n = 1; n <= 24; n++) {
    const [x0, x1] = ends(pair + n);
    set(pen.context, { globalAlpha: 0.25, strokeStyle: muted, lineWidth: 1 });
    pen.line(curve([x0, x1]));
    pen.context.globalAlpha = 0.5;
    pen.dot(x0, 2.2, noise);
    pen.dot(x1, 2.2, data);
  }
  pen.context.globalAlpha = 1;
  const [x0, x1] = ends(pair);
  set(pen.context, { strokeStyle: pen.colours.ink, lineWidth: 1.6 });
  pen.line(curve([x0, x1]));
  const at = exact.between(x0, x1, t);
  const tip = tipOf(at, exact.velocity(x0, x1, t), t);
  pen.context.strokeStyle = velocity;
  if (!exact.straight) { // the velocities of a curved path at other times
    pen.context.globalAlpha = 0.35;
    for (const s of [0, 0.25, 0.5, 0.75]) {
      const from = exact.between(x0, x1, s);
      pen.arrow("", from, tipOf(from, exact.velocity(x0, x1, s), s), 1.5);
    }
    pen.context.globalAlpha = 1;
  }
  pen.mark("data", x1, 6, data);
  pen.arrow("velocity", at, tip, 3);
  pen.mark("noise", x0, 6, noise);
  pen.mark("place", at, 5, mixed(noise, data, t));
  const side = x1[0] > x0[0] ? 1 : -1;
  pen.label("noise", x0, noise, { side: -side });
  pen.label("data", x1, data, { side });
  const middle: Point = [(at[0] + tip[0]) / 2, (at[1] + tip[1]) / 2];
  const isWide = pen.size >= 480; // otherwise it would cover the label of the noise
  const words = exact.straight && isWide ? "velocity = data − noise" : "velocity";
  pen.label(words, middle, velocity, { side, down: tip[1] > at[1] ? 18 : -18 });
}

export function drawData(pen: PlanePen, { exact }: PlaneState, radius = 1.3): void {
  if (!exact) return;
  set(pen.context, { fillStyle: pen.colours.data, globalAlpha: 0.35 });
  for (let i = 0; i < exact.size; i++) pen.dot(exact.point(i), radius);
  pen.context.globalAlpha = 1;
}

/** Draws the lines through a place at one time, bolder if more probable; omits the least probable ones. */
export function drawLines(
  pen: PlanePen,
  exact: ExactField,
  { weights }: Meeting,
  place: Point,
  t: number,
  colour: string,
): void {
  const likely = Array.from(weights, (weight, i) => ({ weight, i })).sort((a, b) => b.weight - a.weight)
    .filter(({ weight }, _, [{ weight: highest }]) => weight > 0.02 * highest);
  const every = Math.ceil(likely.length / maxLines);
  const darkest = Math.min(0.7, 24 * every / likely.length);
  pen.context.lineWidth = 1;
  likely.forEach(({ weight, i }, rank) => {
    if (rank % every > 0) return;
    const start = exact.start(place, t, i);
    set(pen.context, { globalAlpha: darkest * (0.1 + 0.9 * weight / likely[0].weight), strokeStyle: colour });
    pen.line(Array.from({ length: 13 }, (_, k) => exact.between(start, exact.point(i), k / 12)));
    pen.dot(exact.point(i), pen.lit === "data" ? 4 : 2, pen.colours.data);
    pen.dot(start, pen.lit === "noise" ? 4 : 2, pen.colours.noise);
  });
  pen.context.globalAlpha = 1;
}

/** Draws all lines through the probed place, their mean, and the network's velocity. */
export function drawFan(pen: PlanePen, state: PlaneState): void {
  const { exact, lesson, probe, t, pinned, trail, answer } = state;
  if (!exact) return;
  const { ink, velocity, data, noise } = pen.colours;
  const now = probeTime(t);
  const meeting = exact.meeting(probe, now);
  const { mean } = meeting;
  const random = lesson?.closed ?? false;
  if (random) drawLines(pen, exact, meeting, probe, now, ink);
  const tip = (velocity: Point) => tipOf(probe, velocity, now);
  if (random) pen.arrow("mean", probe, tip(mean), 6, { colour: ink, head: 18 });
  const seen = currentProbe(state);
  if (seen) {
    pen.context.strokeStyle = pen.context.fillStyle = velocity;
    if (probe === pinned) {
      trail.forEach((velocity, i) => {
        pen.context.globalAlpha = 0.15 + 0.5 * i / trail.length;
        pen.dot(tip(velocity), 3);
      });
      pen.context.globalAlpha = 1;
    }
    pen.arrow("velocity", probe, tip(seen.velocity), 2.5);
  }
  if (answer && random) {
    pen.context.strokeStyle = data;
    pen.context.setLineDash([5, 5]);
    pen.arrow("", probe, tip(answer), 2.5);
    pen.context.setLineDash([]);
    pen.label("your answer", tip(answer), data, { down: -14 });
  }
  pen.dot(probe, 5, mixed(noise, data, now));
  const apart = seen && tip(seen.velocity)[1] < tip(mean)[1] ? -14 : 14; // the label of the lower tip goes below it
  if (random) pen.label("mean of all lines", tip(mean), ink, { down: apart });
  if (seen) pen.label("network", tip(seen.velocity), velocity, { down: random ? -apart : 0 });
}

/** Draws dropped dots, their straight lessons and their trajectories. */
export function drawDropped(pen: PlanePen, { frame, exact, t }: PlaneState): void {
  if (!frame || !exact) return;
  const { muted, noise, data, velocity } = pen.colours;
  for (const moved of frame.drops) {
    const start = placeAt(moved, 0, 0);
    pen.context.strokeStyle = muted;
    pen.context.setLineDash([3, 4]);
    set(pen.context, { globalAlpha: 0.55, lineWidth: 1 });
    for (let k = 0; k < lessons; k++) {
      const end = exact.point(Math.floor((k + 0.5) / lessons * exact.size));
      pen.line(Array.from({ length: 13 }, (_, i) => exact.between(start, end, i / 12)));
    }
    pen.context.setLineDash([]);
    set(pen.context, { globalAlpha: 1, strokeStyle: velocity, lineWidth: pen.lit === "velocity" ? 6 : 3 });
    pen.line(Array.from(moved.times, (s) => placeAt(moved, 0, s)));
    pen.mark("noise", start, 5, noise);
    pen.mark("place", placeAt(moved, 0, t), 6, mixed(noise, data, t));
  }
  const last = frame.drops[frame.drops.length - 1];
  if (!last) return;
  pen.label("start", placeAt(last, 0, 0), noise, { down: -12 });
  pen.label("trajectory", placeAt(last, 0, 0.7), velocity, { down: 16 });
}

/** Draws the solver steps of some dots. */
export function drawTrails(pen: PlanePen, shown: Trajectories, count = 40, alpha = 0.5): void {
  const { times } = shown;
  const { velocity } = pen.colours;
  const lineWidth = pen.lit === "velocity" ? 2 : 1;
  set(pen.context, { strokeStyle: velocity, fillStyle: velocity, globalAlpha: alpha, lineWidth });
  for (let n = 0; n < count; n++) {
    const path = Array.from(times, (t) => placeAt(shown, n, t));
    pen.line(path);
    if (path.length <= 9) path.forEach((place) => pen.dot(place, 1.8));
  }
  pen.context.globalAlpha = 1;
}

/** Marks the mean of the data. */
export function drawMiddle(pen: PlanePen, { exact }: PlaneState): void {
  if (!exact) return;
  let [x, y] = [0, 0];
  for (let i = 0; i < exact.size; i++) {
    x += exact.point(i)[0] / exact.size;
    y += exact.point(i)[1] / exact.size;
  }
  const [px, py] = pen.pixel([x, y]);
  set(pen.context, { strokeStyle: pen.colours.ink, lineWidth: 2 });
  for (const y of [7, -7]) polyline(pen.context, [[px - 7, py - y], [px + 7, py + y]]);
}

function pointOf(points: Float32Array, n: number): Point {
  return [points[2 * n], points[2 * n + 1]];
}
