/// <reference lib="dom" />
import { type ExactField, GuidedField, type Meeting } from "../exact_field.ts";
import { arrows as grid, countOf, pathOf, placeAt, type Trajectories, valuesAt } from "../plane_views.ts";
import { cellAt, halfSide, type Point } from "../plane_data.ts";
import { arrow, disc, label, mixed, polyline, set } from "./canvas.ts";
import { fewSteps } from "./messages.ts";
import { currentProbe, PlanePen, type PlaneState, probeTime } from "./plane_pen.ts";
import { trainingLabel } from "./readings.ts";

/** Maximum number of lines in a fan. */
const maxLines = 160;
/** Maximum number of a dropped dot's lessons. */
const lessons = 18;
/** Planes per row in the picture of few steps. */
export const cells = 3;
/** Grid points per side of the density. */
const side = 48;
/** Contour levels as shares of its maximum. */
const levels = [0.08, 0.25, 0.5, 0.8];

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
  const at = valuesAt(Array.from({ length: times }, (_, k) => k / (times - 1)), frame.arrows, t);
  const strokeStyle = pen.colours.velocity;
  pen.styled({ strokeStyle, globalAlpha: 0.45 * Math.min(1, 20 * (1 - t)) }, () => {
    for (let i = 0; i < side * side; i++) {
      const [[x, y], vx, vy] = [cellAt(i, side), at(2 * i), at(2 * i + 1)];
      const length = 0.12 * Math.min(1, 3.2 / Math.max(1e-9, Math.hypot(vx, vy)));
      arrow(pen.context, pen.pixel([x, y]), pen.pixel([x + length * vx, y + length * vy]), 1.2, 5);
    }
  });
}

export function labelField(pen: PlanePen, { exact, t }: PlaneState, shown?: Trajectories): void {
  if (!exact || !shown) return;
  const { noise, data, velocity } = pen.colours;
  const highest = exact.points().reduce((highest, point) => point[1] > highest[1] ? point : highest);
  pen.label("data", highest, data, { down: -14 });
  const here = placeAt(shown, 0, t);
  pen.dot(here, 5, mixed(noise, data, t));
  if (t < 0.97) pen.label(t < 0.03 ? "noise" : "a dot on its way", here, t < 0.03 ? noise : velocity);
}

/** Draws pairs of noise and data, one of them in bold with its velocity. */
export function drawPairs(pen: PlanePen, { lesson, exact, t, pair }: PlaneState): void {
  if (!lesson || !exact) return;
  const { noise, data, velocity, muted, ink } = pen.colours;
  const ends = (n: number) =>
    [lesson.x0, lesson.x1].map((points): Point => {
      const at = 2 * n % points.length;
      return [points[at], points[at + 1]];
    });
  for (let n = 1; n <= 24; n++) {
    const [x0, x1] = ends(pair + n);
    set(pen.context, { globalAlpha: 0.25, strokeStyle: muted, lineWidth: 1 });
    pen.line(exact.line(x0, x1, 24));
    pen.context.globalAlpha = 0.5;
    pen.dot(x0, 2.2, noise);
    pen.dot(x1, 2.2, data);
  }
  const [x0, x1] = ends(pair);
  set(pen.context, { globalAlpha: 1, strokeStyle: ink, lineWidth: 1.6 });
  pen.line(exact.line(x0, x1, 24));
  const tipAt = (t: number): [at: Point, tip: Point] => {
    const at = exact.between(x0, x1, t);
    return [at, tipOf(at, exact.velocity(x0, x1, t), t)];
  };
  pen.context.strokeStyle = velocity;
  if (!exact.straight) { // the velocities of a curved path at other times
    pen.styled({ globalAlpha: 0.35 }, () => {
      for (const s of [0, 0.25, 0.5, 0.75]) pen.arrow("", ...tipAt(s), 1.5);
    });
  }
  const [at, tip] = tipAt(t);
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
  pen.styled({ fillStyle: pen.colours.data, globalAlpha: 0.35 }, () => {
    for (const point of exact?.points() ?? []) pen.dot(point, radius);
  });
}

/** Draws the lines through a place at one time, bolder if more probable; omits the least probable ones. */
function drawLines(
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
  likely.forEach(({ weight, i }, rank) => {
    if (rank % every > 0) return;
    const start = exact.start(place, t, i);
    const end = exact.point(i);
    const globalAlpha = darkest * (0.1 + 0.9 * weight / likely[0].weight);
    set(pen.context, { globalAlpha, lineWidth: 1, strokeStyle: colour });
    pen.line(exact.line(start, end, 12));
    pen.dot(end, pen.lit === "data" ? 4 : 2, pen.colours.data);
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
  const tip = (velocity: Point) => tipOf(probe, velocity, now);
  const mean = tip(meeting.mean);
  const random = lesson?.closed ?? false;
  if (random) {
    drawLines(pen, exact, meeting, probe, now, ink);
    pen.arrow("mean", probe, mean, 6, { colour: ink, head: 18 });
  }
  const seen = currentProbe(state);
  if (seen) {
    const recent = probe === pinned ? trail : [];
    recent.forEach((last, i) => {
      pen.context.globalAlpha = 0.15 + 0.5 * i / recent.length;
      pen.dot(tip(last), 3, velocity);
    });
    pen.context.globalAlpha = 1;
    pen.arrow("velocity", probe, tip(seen.velocity), 2.5, { colour: velocity });
  }
  if (answer && random) {
    pen.styled({ dash: [5, 5] }, () => pen.arrow("", probe, tip(answer), 2.5, { colour: data }));
    pen.label("your answer", tip(answer), data, { down: -14 });
  }
  pen.dot(probe, 5, mixed(noise, data, now));
  const apart = seen && tip(seen.velocity)[1] < mean[1] ? -14 : 14; // the label of the lower tip goes below it
  if (random) pen.label("mean of all lines", mean, ink, { down: apart });
  if (seen) pen.label("network", tip(seen.velocity), velocity, { down: random ? -apart : 0 });
}

/** Draws dropped dots, their straight lessons and their trajectories. */
export function drawDropped(pen: PlanePen, { frame, exact, t }: PlaneState): void {
  if (!frame || !exact) return;
  const { muted, noise, data, velocity } = pen.colours;
  for (const moved of frame.drops) {
    const start = placeAt(moved, 0, 0);
    pen.styled({ dash: [3, 4], strokeStyle: muted, globalAlpha: 0.55, lineWidth: 1 }, () => {
      for (let k = 0; k < lessons; k++) {
        pen.line(exact.line(start, exact.point(Math.floor((k + 0.5) / lessons * exact.size)), 12));
      }
    });
    set(pen.context, { strokeStyle: velocity, lineWidth: pen.lit === "velocity" ? 6 : 3 });
    pen.line(pathOf(moved, 0));
    pen.mark("noise", start, 5, noise);
    pen.mark("place", placeAt(moved, 0, t), 6, mixed(noise, data, t));
  }
  const last = frame.drops.at(-1);
  if (!last) return;
  pen.label("start", placeAt(last, 0, 0), noise, { down: -12 });
  pen.label("trajectory", placeAt(last, 0, 0.7), velocity, { down: 16 });
}

/** Draws the solver steps of some dots. */
function drawTrails(pen: PlanePen, shown: Trajectories, count: number, globalAlpha: number): void {
  const { velocity } = pen.colours;
  const lineWidth = pen.lit === "velocity" ? 2 : 1;
  pen.styled({ strokeStyle: velocity, fillStyle: velocity, globalAlpha, lineWidth }, () => {
    for (let n = 0; n < count; n++) {
      const path = pathOf(shown, n);
      pen.line(path);
      if (path.length <= 9) path.forEach((place) => pen.dot(place, 1.8));
    }
  });
}

/** Marks the mean of the data. */
function drawMiddle(pen: PlanePen, { exact }: PlaneState): void {
  if (!exact) return;
  const mean = ([0, 1] as const).map((axis) =>
    exact.points().reduce((sum, point) => sum + point[axis] / exact.size, 0)
  );
  const [px, py] = pen.pixel([mean[0], mean[1]]);
  set(pen.context, { strokeStyle: pen.colours.ink, lineWidth: 2 });
  for (const y of [7, -7]) polyline(pen.context, [[px - 7, py - y], [px + 7, py + y]]);
}

/** Draws a plane for each number of steps, and below them the final distances from the data, per way of training. */
export function drawFew(pen: PlanePen, state: PlaneState): void {
  const { frame, t, probe, settings } = state;
  if (!frame || frame.planes.length < fewSteps.length) return;
  const { context, colours } = pen;
  const side = pen.size / cells;
  const inside = side - 8;
  const pointed = nearestDot(frame.planes[fewSteps.length - 1], probe, t);
  frame.planes.forEach((dots, i) => {
    context.save();
    context.translate(side * (i % cells) + 4, side * Math.floor(i / cells) + 4);
    context.beginPath();
    context.rect(0, 0, inside, inside);
    context.clip();
    context.fillStyle = colours.paper;
    context.fillRect(0, 0, inside, inside);
    const cell = new PlanePen(context, inside, colours, pen.lit);
    drawData(cell, state, 0.8);
    drawTrails(cell, dots, 16, 0.4);
    context.fillStyle = mixed(colours.noise, colours.data, t);
    for (let n = 0; n < 256; n++) cell.dot(placeAt(dots, n, t), 1.2);
    if (i === 0) drawMiddle(cell, state);
    set(context, { strokeStyle: colours.ink, lineWidth: 1.6 });
    cell.line(pathOf(dots, pointed));
    cell.dot(placeAt(dots, pointed, t), 3.5, colours.ink);
    const chosen = fewSteps[i] === settings.moves;
    set(context, { strokeStyle: chosen ? colours.velocity : colours.line, lineWidth: chosen ? 4 : 1 });
    context.strokeRect(0, 0, inside, inside);
    const name = `${fewSteps[i]} step${i === 0 ? "" : "s"}`;
    label(context, name, [8, 14], chosen ? colours.velocity : colours.ink, { paper: colours.paper });
    context.restore();
  });
  drawDistances(pen, state, 2 * side);
}

/** The dot nearest to a place at time t. */
function nearestDot(dots: Trajectories, [x, y]: Point, t: number): number {
  let nearest = Infinity;
  let best = 0;
  for (let n = 0; n < countOf(dots); n++) {
    const [a, b] = placeAt(dots, n, t);
    const away = (x - a) ** 2 + (y - b) ** 2;
    if (away < nearest) {
      nearest = away;
      best = n;
    }
  }
  return best;
}

/** Draws the distance of dots from the data by number of steps; earlier ways of training are grey. */
function drawDistances(
  { context, size, colours }: PlanePen,
  { kept, settings }: PlaneState,
  above: number,
): void {
  const [left, right, top, bottom] = [46, size - 14, above + 34, size - 30];
  const highest = Math.max(0.1, ...[...kept.values()].flat());
  const x = (i: number) => left + (right - left) * i / (fewSteps.length - 1);
  const y = (distance: number) => bottom - (bottom - top) * distance / highest;
  const write = (text: string, at: [number, number], colour: string, align: CanvasTextAlign) =>
    label(context, text, at, colour, { align, paper: colours.card });
  write("distance from the data at the end", [right, above + 14], colours.muted, "right");
  set(context, { strokeStyle: colours.line, lineWidth: 1 });
  context.strokeRect(left, bottom, right - left, 0);
  write("0", [left - 8, bottom], colours.muted, "right");
  write(highest.toFixed(2), [left - 8, top], colours.muted, "right");
  fewSteps.forEach((steps, i) => {
    const align = i === 5 ? "right" : "center";
    write(`${steps}${i === 0 ? " step" : ""}`, [x(i), bottom + 15], colours.muted, align);
  });
  const now = trainingLabel(settings);
  let labelled = 1; // earlier ways are labelled at different steps
  for (const [way, distances] of [...kept].sort(([a], [b]) => +(a === now) - +(b === now))) {
    const colour = way === now ? colours.velocity : colours.muted;
    set(context, { strokeStyle: colour, fillStyle: colour, lineWidth: way === now ? 2.5 : 1.5 });
    polyline(context, distances.map((distance, i) => [x(i), y(distance)]));
    distances.forEach((distance, i) => disc(context, x(i), y(distance), 3));
    // Below the chart's title: a narrow window has no room beside it.
    if (way === now) write(way, [x(0) + 12, Math.max(y(distances[0]) - 12, top)], colour, "left");
    else {
      labelled += 2;
      const align = labelled === 5 ? "right" : "center";
      write(way, [x(labelled), y(distances[labelled]) - 12], colour, align);
    }
  }
}

/** Draws contours of the crowd's exact density at time t, and some trajectories. */
export function drawCrowd(pen: PlanePen, { exact, t }: PlaneState, shown?: Trajectories): void {
  if (exact) drawContours(pen, exact.density(halfSide, side, t));
  if (shown) drawTrails(pen, shown, 6, 0.6);
}

/** Draws the contours of a density, f64[side, side]. */
export function drawContours(pen: PlanePen, density: Float64Array): void {
  const highest = density.reduce((highest, value) => Math.max(highest, value), 0);
  levels.forEach((level, i) => {
    set(pen.context, { strokeStyle: pen.colours.data, lineWidth: 1.2, globalAlpha: 0.35 + 0.15 * i });
    for (const line of contour(density, level * highest)) {
      pen.line(line.map(([x, y]): Point => [halfSide * (2 * x - 1), halfSide * (2 * y - 1)]));
    }
  });
  pen.context.globalAlpha = 1;
}

/**
 * The contour of a grid at a level, by marching squares: line segments with ends in [0, 1]. Values belong to the centres
 * of cells.
 *
 * @param values f64[side, side]
 */
export function contour(values: Float64Array, level: number): readonly (readonly [Point, Point])[] {
  const side = Math.sqrt(values.length);
  const pieces: (readonly [Point, Point])[] = [];
  for (let y = 0; y + 1 < side; y++) {
    for (let x = 0; x + 1 < side; x++) {
      const corners: readonly Point[] = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]];
      const at = corners.map(([i, j]) => values[j * side + i] - level);
      const ends = corners.flatMap(([x0, y0], k): Point[] => {
        const [x1, y1] = corners[(k + 1) % 4];
        const [before, after] = [at[k], at[(k + 1) % 4]];
        if (before > 0 === after > 0) return [];
        const share = before / (before - after);
        return [[(x0 + share * (x1 - x0) + 0.5) / side, (y0 + share * (y1 - y0) + 0.5) / side]];
      });
      for (let k = 0; k + 1 < ends.length; k += 2) pieces.push([ends[k], ends[k + 1]]);
    }
  }
  return pieces;
}

/** Draws the lines through a place to a class and to all data, both means, and the guided velocity. */
export function drawClasses(pen: PlanePen, { lesson, probe, t, settings }: PlaneState): void {
  if (!lesson) return;
  const { ink, muted, data, velocity, noise } = pen.colours;
  const now = probeTime(t);
  const field = new GuidedField(lesson.points, settings);
  const { all, own, guided } = field.meeting(probe, now);
  for (const point of field.own.points()) pen.dot(point, 1.8, data);
  drawLines(pen, field.all, all, probe, now, muted);
  drawLines(pen, field.own, own, probe, now, data);
  const ofAll = tipOf(probe, all.mean, now);
  const ofClass = tipOf(probe, own.mean, now);
  const led = tipOf(probe, guided, now);
  pen.arrow("mean", probe, ofAll, 4, { colour: ink, head: 14 });
  pen.arrow("data", probe, ofClass, 4, { colour: data, head: 14 });
  pen.arrow("velocity", probe, led, 2.5, { colour: velocity });
  pen.styled({ dash: [4, 4] }, () => pen.arrow("difference", ofAll, led, 1.6, { head: 0.1 }));
  pen.dot(probe, 5, mixed(noise, data, now));
  const side = guided[0] > all.mean[0] ? 1 : -1;
  pen.label("mean of all", ofAll, ink, { side: -side });
  pen.label("of the class", ofClass, data, { side, down: 16 });
  pen.label(`guided × ${settings.scale}`, led, velocity, { side, down: -14 });
}
