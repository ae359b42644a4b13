/// <reference lib="dom" />
import { GuidedField } from "../exact_field.ts";
import type { Trajectories } from "../plane_views.ts";
import { halfSide, type Point } from "../plane_data.ts";
import { disc, label, mixed, polyline, set } from "./canvas.ts";
import { fewSteps } from "./messages.ts";
import { placeAt, PlanePen, type PlaneState, probeTime } from "./plane_pen.ts";
import { trainingLabel } from "./readings.ts";
import { drawData, drawLines, drawMiddle, drawTrails, tipOf } from "./story_pictures.ts";

/** Planes per row in the picture of few steps. */
export const cells = 3;

/** Draws a plane for each number of steps, and below them the final distances from the data, per way of training. */
export function drawFew(pen: PlanePen, state: PlaneState): void {
  const { frame, t, probe, settings } = state;
  if (!frame || frame.planes.length < fewSteps.length) return;
  const { context, colours } = pen;
  const side = pen.size / cells;
  const [inside, last] = [side - 8, frame.planes[fewSteps.length - 1]];
  const pointed = nearestDot(last, probe, t);
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
    cell.line(Array.from(dots.times, (s) => placeAt(dots, pointed, s)));
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
  let [nearest, best] = [Infinity, 0];
  for (let n = 0; n < dots.places.length / 2 / dots.times.length; n++) {
    const [a, b] = placeAt(dots, n, t);
    const away = (x - a) ** 2 + (y - b) ** 2;
    if (away < nearest) [nearest, best] = [away, n];
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

/** Grid points per side of the density, and contour levels as shares of its maximum. */
const [side, levels] = [48, [0.08, 0.25, 0.5, 0.8]];

/** Draws contours of the crowd's exact density at time t, and some trajectories. */
export function drawCrowd(pen: PlanePen, { exact, t }: PlaneState, shown?: Trajectories): void {
  if (exact) drawContours(pen, exact.density(halfSide, side, t));
  if (shown) drawTrails(pen, shown, 6, 0.6);
}

/** Draws the contours of a density, f64[side, side]. */
export function drawContours(pen: PlanePen, density: Float64Array): void {
  const highest = density.reduce((highest, value) => Math.max(highest, value), 0);
  set(pen.context, { strokeStyle: pen.colours.data, lineWidth: 1.2 });
  levels.forEach((level, i) => {
    pen.context.globalAlpha = 0.35 + 0.15 * i;
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
  pen.context.fillStyle = data;
  for (let i = 0; i < field.own.size; i++) pen.dot(field.own.point(i), 1.8);
  drawLines(pen, field.all, all, probe, now, muted);
  drawLines(pen, field.own, own, probe, now, data);
  const tip = (velocity: Point) => tipOf(probe, velocity, now);
  pen.arrow("mean", probe, tip(all.mean), 4, { colour: ink, head: 14 });
  pen.arrow("data", probe, tip(own.mean), 4, { colour: data, head: 14 });
  pen.arrow("velocity", probe, tip(guided), 2.5, { colour: velocity });
  pen.context.setLineDash([4, 4]);
  pen.arrow("difference", tip(all.mean), tip(guided), 1.6, { head: 0.1 });
  pen.context.setLineDash([]);
  pen.dot(probe, 5, mixed(noise, data, now));
  const side = guided[0] > all.mean[0] ? 1 : -1;
  pen.label("mean of all", tip(all.mean), ink, { side: -side });
  pen.label("of the class", tip(own.mean), data, { side, down: 16 });
  pen.label(`guided × ${settings.scale}`, tip(guided), velocity, { side, down: -14 });
}
