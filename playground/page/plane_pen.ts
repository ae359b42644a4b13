/// <reference lib="dom" />
import type { ExactField } from "../exact_field.ts";
import type { PlaygroundSettings } from "../settings.ts";
import { halfSide, type Point } from "../plane_data.ts";
import { arrow, type CanvasColours, disc, label, polyline, set } from "./canvas.ts";
import type { Frame, ProbedVelocity, TrainingPairs } from "./messages.ts";

/** What the plane shows. */
export interface PlaneState {
  settings: PlaygroundSettings;
  /** The time on screen, which can differ from the settings during an animation. */
  t: number;
  /** The mark that a term of the formula highlights. */
  lit?: string | undefined;
  lesson?: TrainingPairs;
  exact?: ExactField;
  frame?: Frame;
  /** The network's density on a grid, f64[side, side]; of an earlier step while it trains. */
  likelihood?: Float64Array | undefined;
  /** The place that the pointer or the arrow keys probe. */
  probe: Point;
  look?: ProbedVelocity | undefined;
  /** The place to probe while no pointer is over the plane, and its latest velocities. */
  pinned: Point;
  trail: readonly Point[];
  /** Final distances of dots from the data with few steps, for each way of training tried. */
  readonly kept: Map<string, readonly number[]>;
  /** The reader's answer for the velocity. */
  answer?: Point | undefined;
  /** The index of the pair to show. */
  pair: number;
  /** Strokes in progress; undefined unless the reader is drawing data. */
  strokes?: readonly (readonly Point[])[] | undefined;
  pen: boolean;
}

/** The length of an arrow's head in pixels, and its colour, by default the latest. */
interface ArrowLook {
  readonly head?: number;
  readonly colour?: string;
}

/** Draws in coordinates of the plane. */
export class PlanePen {
  /** @param size side of the canvas in pixels */
  constructor(
    readonly context: CanvasRenderingContext2D,
    readonly size: number,
    readonly colours: CanvasColours,
    readonly lit?: string,
  ) {}

  /** Converts a place to a pixel. */
  pixel([x, y]: Point): [number, number] {
    const { size } = this;
    return [(x / halfSide + 1) / 2 * size, (1 - y / halfSide) / 2 * size];
  }

  /** Draws a filled circle; the radius is in pixels. By default it has the latest colour. */
  dot(place: Point, radius: number, colour?: string): void {
    if (colour !== undefined) this.context.fillStyle = colour;
    disc(this.context, ...this.pixel(place), radius);
  }

  /** Draws in a style, `dash` being lengths of dashes and gaps, and then restores the style before. */
  styled(
    { dash = [], ...drawing }: Partial<CanvasRenderingContext2D> & { readonly dash?: number[] },
    draw: () => void,
  ): void {
    this.context.save();
    set(this.context, drawing);
    this.context.setLineDash(dash);
    draw();
    this.context.restore();
  }

  line(places: readonly Point[]): void {
    polyline(this.context, places.map((place) => this.pixel(place)));
  }

  /** Draws a named dot, with a ring if the formula highlights it. */
  mark(name: string, place: Point, radius: number, colour: string): void {
    this.dot(place, radius, colour);
    if (name !== this.lit) return;
    set(this.context, { lineWidth: 3, strokeStyle: this.context.fillStyle });
    this.context.beginPath();
    this.context.arc(...this.pixel(place), radius + 6, 0, 7);
    this.context.stroke();
  }

  /** Draws a named arrow, bolder if the formula highlights it; the width is in pixels. */
  arrow(name: string, from: Point, to: Point, width: number, { head, colour }: ArrowLook = {}): void {
    if (colour !== undefined) this.context.strokeStyle = colour;
    arrow(this.context, this.pixel(from), this.pixel(to), name === this.lit ? 2 * width : width, head);
  }

  /** Writes text to the right (side 1) or left (-1) of a place, or wherever there is room. */
  label(text: string, place: Point, colour: string, { side = 1, down = 0 } = {}): void {
    const [x, y] = this.pixel(place).map((at) => Math.max(16, Math.min(this.size - 16, at)));
    const needed = 8 * text.length + 20;
    const right = side > 0 ? x < this.size - needed : x < needed;
    label(this.context, text, [right ? x + 11 : x - 11, y + down], colour, {
      align: right ? "left" : "right",
      paper: this.colours.card,
    });
  }
}

/** The time at which to show velocities: at t = 1 there are no lines to average. */
export const probeTime = (t: number): number => Math.min(t, 0.99);

/** The latest velocity, if it belongs to the probed place and time. */
export function currentProbe({ look, probe, t }: PlaneState): ProbedVelocity | undefined {
  const here = look && look.place[0] === probe[0] && look.place[1] === probe[1];
  return here && Math.abs(look.t - probeTime(t)) < 1e-9 ? look : undefined;
}
