/// <reference lib="dom" />
import type { ExactField } from "../exact_field.ts";
import type { Point } from "../plane_data.ts";
import { arrows as grid, type Moved } from "../plane_views.ts";
import type { PlaygroundSettings } from "../settings.ts";
import { halfSide } from "../strokes.ts";
import { arrow, type Colours, label, mixed, pageColours, SharpCanvas } from "./canvas.ts";
import type { Frame, Lesson, Look } from "./messages.ts";

/** What the plane shows. */
export interface PlaneState {
  step: PlaygroundSettings["step"];
  t: number;
  lesson?: Lesson;
  exact?: ExactField;
  frame?: Frame;
  /** The place of the pointer, or of the keys. */
  probe: Point;
  look?: Look | undefined;
  /** The pair that is shown, and how many there are. */
  pair: number;
  /** Strokes in progress, and where the pen is; undefined unless data is drawn. */
  strokes?: readonly (readonly Point[])[] | undefined;
  pen: boolean;
}

/** How much closer the dots come to their new places with each picture. */
const easing = 0.3;
/** Most lines of a fan, lessons of a dropped dot, and trails. */
const [mostLines, lessons, trails] = [160, 18, 40];

/** Draws the plane. */
export class PlaneCanvas {
  readonly state: PlaneState = { step: "watch", t: 1, probe: [-0.7, -1], pair: 0, pen: false };
  readonly #canvas: SharpCanvas;
  readonly #still: boolean;
  #colours: Colours;
  #paper: string;
  /** The dots as they are shown: they glide to where they should be. */
  #shown: Moved | undefined;
  #requested = false;

  /** @param still whether dots jump to new places instead of gliding there */
  constructor(element: HTMLCanvasElement, still: boolean) {
    this.#canvas = new SharpCanvas(element, () => this.changed());
    this.#still = still;
    [this.#colours, this.#paper] = [pageColours(), paperOf(element)];
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      [this.#colours, this.#paper] = [pageColours(), paperOf(element)];
      this.changed();
    });
  }

  /** Draws again with the next picture of the screen. */
  changed(): void {
    if (this.#requested) return;
    this.#requested = true;
    requestAnimationFrame(() => {
      this.#requested = false;
      if (this.#glide()) this.changed();
      this.#draw();
    });
  }

  /** The place in the plane of a pixel of the canvas. */
  placeAt(x: number, y: number): Point {
    const size = this.#canvas.width;
    return [(x / size * 2 - 1) * halfSide, (1 - y / size * 2) * halfSide];
  }

  /** Moves the shown dots towards those of the frame. @returns whether they are still on their way */
  #glide(): boolean {
    const wanted = this.state.frame?.dots;
    const shown = this.#shown;
    if (!wanted) return false;
    if (this.#still || shown?.places.length !== wanted.places.length || shown === wanted) {
      this.#shown = wanted;
      return false;
    }
    const places = shown.places;
    let farthest = 0;
    for (let i = 0; i < places.length; i++) {
      const left = wanted.places[i] - places[i];
      farthest = Math.max(farthest, Math.abs(left));
      places[i] += easing * left;
    }
    return farthest > 0.004;
  }

  #draw(): void {
    const { state } = this;
    const context = this.#canvas.cleared();
    context.lineCap = "round";
    this.#drawData(context);
    if (state.strokes) return this.#drawStrokes(context);
    if (state.step === "pair") this.#drawPairs(context);
    else if (state.step === "average") this.#drawFan(context);
    else {
      if (state.step === "watch" && state.t < 0.995) this.#drawArrows(context);
      if (state.step === "few") this.#drawTrails(context);
      this.#drawDots(context, state.step === "follow" ? 0.3 : 1);
      if (state.step === "follow") this.#drawDropped(context);
      if (state.step === "few") this.#drawMiddle(context);
    }
  }

  /** A place as a pixel. */
  #pixel([x, y]: Point): [number, number] {
    const size = this.#canvas.width;
    return [(x / halfSide + 1) / 2 * size, (1 - y / halfSide) / 2 * size];
  }

  #dot(context: CanvasRenderingContext2D, place: Point, radius: number): void {
    const [x, y] = this.#pixel(place);
    context.beginPath();
    context.arc(x, y, radius, 0, 7);
    context.fill();
  }

  #line(context: CanvasRenderingContext2D, places: readonly Point[]): void {
    context.beginPath();
    places.forEach((place, i) => context[i === 0 ? "moveTo" : "lineTo"](...this.#pixel(place)));
    context.stroke();
  }

  #drawData(context: CanvasRenderingContext2D): void {
    const { exact } = this.state;
    if (!exact || this.state.strokes) return;
    context.fillStyle = this.#colours.data;
    context.globalAlpha = 0.35;
    for (let i = 0; i < exact.size; i++) this.#dot(context, exact.point(i), 1.3);
    context.globalAlpha = 1;
  }

  #drawDots(context: CanvasRenderingContext2D, alpha: number): void {
    if (!this.#shown) return;
    const { t } = this.state;
    const { noise, data } = this.#colours;
    context.fillStyle = mixed(noise, data, t);
    context.globalAlpha = alpha;
    for (let n = 0; n < this.#shown.places.length / 2 / this.#shown.times.length; n++) {
      this.#dot(context, placeAt(this.#shown, n, t), 2.4);
    }
    context.globalAlpha = 1;
  }

  #drawArrows(context: CanvasRenderingContext2D): void {
    const { frame, t } = this.state;
    if (!frame) return;
    const { side, times } = grid;
    const at = Math.min(times - 2, Math.floor(t * (times - 1)));
    const share = t * (times - 1) - at;
    context.strokeStyle = this.#colours.velocity;
    context.globalAlpha = 0.45;
    for (let i = 0; i < side * side; i++) {
      const place = (index: number) => halfSide * ((index + 0.5) / side * 2 - 1);
      const of = (axis: number) => {
        const [before, after] = [at, at + 1].map((k) => frame.arrows[2 * (k * side * side + i) + axis]);
        return before + share * (after - before);
      };
      const [x, y, vx, vy] = [place(i % side), place(Math.floor(i / side)), of(0), of(1)];
      const length = 0.12 * Math.min(1, 3.2 / Math.max(1e-9, Math.hypot(vx, vy)));
      arrow(context, this.#pixel([x, y]), this.#pixel([x + length * vx, y + length * vy]), 1.2, 5);
    }
    context.globalAlpha = 1;
  }

  #drawPairs(context: CanvasRenderingContext2D): void {
    const { lesson, exact, t, pair } = this.state;
    if (!lesson || !exact) return;
    const { noise, data, velocity, muted } = this.#colours;
    const N = lesson.x0.length / 2;
    const ends = (n: number): [Point, Point] => [pointOf(lesson.x0, n % N), pointOf(lesson.x1, n % N)];
    const curve = ([x0, x1]: [Point, Point]) =>
      Array.from({ length: 25 }, (_, k) => exact.between(x0, x1, k / 24));
    for (let n = 1; n <= 24; n++) {
      const [x0, x1] = ends(pair + n);
      context.globalAlpha = 0.25;
      context.strokeStyle = muted;
      context.lineWidth = 1;
      this.#line(context, curve([x0, x1]));
      context.globalAlpha = 0.5;
      context.fillStyle = noise;
      this.#dot(context, x0, 2.2);
      context.fillStyle = data;
      this.#dot(context, x1, 2.2);
    }
    context.globalAlpha = 1;
    const [x0, x1] = ends(pair);
    context.strokeStyle = this.#colours.ink;
    context.lineWidth = 1.6;
    this.#line(context, curve([x0, x1]));
    const at = exact.between(x0, x1, t);
    const [before, after] = [Math.max(0, t - 0.01), Math.min(1, t + 0.01)].map((s) =>
      exact.between(x0, x1, s)
    );
    const slope = 0.3 / (Math.min(1, t + 0.01) - Math.max(0, t - 0.01));
    context.strokeStyle = velocity;
    const tip: Point = [at[0] + slope * (after[0] - before[0]), at[1] + slope * (after[1] - before[1])];
    arrow(context, this.#pixel(at), this.#pixel(tip), 3);
    context.fillStyle = noise;
    this.#dot(context, x0, 6);
    context.fillStyle = data;
    this.#dot(context, x1, 6);
    context.fillStyle = mixed(noise, data, t);
    this.#dot(context, at, 5);
    const side = x1[0] > x0[0] ? 1 : -1;
    this.#label(context, "noise", x0, noise, { side: -side });
    this.#label(context, "data", x1, data, { side });
    this.#label(context, "velocity = data − noise", at, velocity, { side, down: tip[1] > at[1] ? 18 : -18 });
  }

  #drawFan(context: CanvasRenderingContext2D): void {
    const { exact, probe, t, look, frame } = this.state;
    if (!exact) return;
    const { ink, velocity, data, noise } = this.#colours;
    const now = Math.min(t, 0.99);
    const { weights, mean } = exact.meeting(probe, now);
    const likely = Array.from(weights, (weight, i) => ({ weight, i })).sort((a, b) => b.weight - a.weight);
    const least = 0.02 * likely[0].weight;
    const lines = likely.filter(({ weight }) => weight > least).length;
    const every = Math.ceil(lines / mostLines);
    const darkest = Math.min(0.7, 24 * every / lines);
    const random = this.#knowsLines();
    context.lineWidth = 1;
    likely.forEach(({ weight, i }, rank) => {
      if (!random || rank % every > 0 || weight <= least) return;
      const start = exact.start(probe, now, i);
      context.globalAlpha = darkest * (0.1 + 0.9 * weight / likely[0].weight);
      context.strokeStyle = ink;
      this.#line(context, Array.from({ length: 13 }, (_, k) => exact.between(start, exact.point(i), k / 12)));
      context.fillStyle = data;
      this.#dot(context, exact.point(i), 2);
      context.fillStyle = noise;
      this.#dot(context, start, 2);
    });
    context.globalAlpha = 1;
    const reach = Math.max(0.15, 1 - now);
    const tipOf = ([vx, vy]: Point): Point => [probe[0] + reach * vx, probe[1] + reach * vy];
    if (random) {
      context.strokeStyle = ink;
      arrow(context, this.#pixel(probe), this.#pixel(tipOf(mean)), 6, 18);
    }
    const seen = look && frame && look.place[0] === probe[0] && look.place[1] === probe[1] &&
        Math.abs(look.t - now) < 1e-9
      ? look
      : undefined;
    if (seen) {
      context.strokeStyle = velocity;
      arrow(context, this.#pixel(probe), this.#pixel(tipOf(seen.velocity)), 2.5);
    }
    context.fillStyle = mixed(noise, data, now);
    this.#dot(context, probe, 5);
    if (random) this.#label(context, "mean of all lines", tipOf(mean), ink, { down: 14 });
    if (seen) this.#label(context, "network", tipOf(seen.velocity), velocity, { down: random ? -14 : 0 });
  }

  /** Whether the lines through a place are known: they are random pairs. */
  #knowsLines(): boolean {
    return this.state.lesson?.closed ?? false;
  }

  #drawDropped(context: CanvasRenderingContext2D): void {
    const { frame, exact, t } = this.state;
    if (!frame || !exact) return;
    const { muted, noise, data, velocity } = this.#colours;
    for (const moved of frame.drops) {
      const start = placeAt(moved, 0, 0);
      context.strokeStyle = muted;
      context.setLineDash([3, 4]);
      context.globalAlpha = 0.55;
      context.lineWidth = 1;
      for (let k = 0; k < lessons; k++) {
        const end = exact.point(Math.floor((k + 0.5) / lessons * exact.size));
        this.#line(context, Array.from({ length: 13 }, (_, i) => exact.between(start, end, i / 12)));
      }
      context.setLineDash([]);
      context.globalAlpha = 1;
      context.strokeStyle = velocity;
      context.lineWidth = 3;
      this.#line(context, Array.from(moved.times, (s) => placeAt(moved, 0, s)));
      context.fillStyle = noise;
      this.#dot(context, start, 5);
      context.fillStyle = mixed(noise, data, t);
      this.#dot(context, placeAt(moved, 0, t), 6);
    }
    const last = frame.drops[frame.drops.length - 1];
    if (!last) return;
    this.#label(context, "start", placeAt(last, 0, 0), noise);
    this.#label(context, "trajectory", placeAt(last, 0, 0.6), velocity, { down: -14 });
  }

  #drawTrails(context: CanvasRenderingContext2D): void {
    if (!this.#shown) return;
    const { times } = this.#shown;
    context.strokeStyle = this.#colours.velocity;
    context.fillStyle = this.#colours.velocity;
    context.globalAlpha = 0.5;
    context.lineWidth = 1;
    for (let n = 0; n < trails; n++) {
      const path = Array.from(times, (t) => placeAt(this.#shown!, n, t));
      this.#line(context, path);
      if (path.length <= 9) path.forEach((place) => this.#dot(context, place, 1.8));
    }
    context.globalAlpha = 1;
  }

  #drawMiddle(context: CanvasRenderingContext2D): void {
    const { exact } = this.state;
    if (!exact) return;
    let [x, y] = [0, 0];
    for (let i = 0; i < exact.size; i++) {
      x += exact.point(i)[0] / exact.size;
      y += exact.point(i)[1] / exact.size;
    }
    const [px, py] = this.#pixel([x, y]);
    context.strokeStyle = this.#colours.ink;
    context.lineWidth = 2;
    context.beginPath();
    for (const side of [-1, 1]) {
      context.moveTo(px - 7, py - 7 * side);
      context.lineTo(px + 7, py + 7 * side);
    }
    context.stroke();
    this.#label(context, "middle of the data", [x, y], this.#colours.ink);
  }

  #drawStrokes(context: CanvasRenderingContext2D): void {
    context.strokeStyle = this.#colours.data;
    context.fillStyle = this.#colours.data;
    context.lineWidth = 5;
    context.lineJoin = "round";
    for (const stroke of this.state.strokes ?? []) {
      this.#line(context, stroke);
      this.#dot(context, stroke[0], 2.5);
    }
    context.globalAlpha = this.state.pen ? 1 : 0.4;
    this.#dot(context, this.state.probe, 5);
    context.globalAlpha = 1;
  }

  /** Writes beside a place: to its right (side 1) or left, or where there is room. */
  #label(
    context: CanvasRenderingContext2D,
    text: string,
    place: Point,
    colour: string,
    { side = 1, down = 0 } = {},
  ): void {
    const [x, y] = this.#pixel(place);
    const needed = 8 * text.length + 20;
    const right = side > 0 ? x < this.#canvas.width - needed : x < needed;
    label(context, text, [right ? x + 11 : x - 11, y + down], colour, {
      align: right ? "left" : "right",
      paper: this.#paper,
    });
  }
}

/** The place of dot n at t: between the ends of a step on a straight line. */
export function placeAt({ times, places }: Moved, n: number, t: number): Point {
  const N = places.length / 2 / times.length;
  let k = 0;
  while (k < times.length - 2 && times[k + 1] <= t) k++;
  const share = Math.max(0, Math.min(1, (t - times[k]) / (times[k + 1] - times[k])));
  const at = (axis: number) => {
    const [before, after] = [k, k + 1].map((step) => places[2 * (step * N + n) + axis]);
    return before + share * (after - before);
  };
  return [at(0), at(1)];
}

function pointOf(points: Float32Array, n: number): Point {
  return [points[2 * n], points[2 * n + 1]];
}

/** The colour behind a canvas. */
function paperOf(element: HTMLElement): string {
  return getComputedStyle(element).backgroundColor;
}
