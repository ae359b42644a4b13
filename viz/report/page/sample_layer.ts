/// <reference lib="dom" />
import type { ChartLines } from "../../flow/quiver.ts";
import type { Chart, Theme } from "./charts.ts";
import { byId } from "./dom.ts";
import { classAt, classColour, type DrawnPlane, noClass, trailsOf } from "./plane.ts";

/** Pixels: sizes of symbols, radius of the background behind one, and distance at which a pointer finds a sample. */
const pixels = { sign: 13, realSign: 10, halo: 7, reach: 14 } as const;

/** Samples at a time t. */
export interface ShownSamples {
  readonly plane: DrawnPlane;
  readonly t: number;
  /** The symbol of each class; classes are drawn in this order. */
  readonly signs: ReadonlyMap<number, string>;
  /** The sample with a ring around it. */
  readonly chosen: number;
  /** Classes that the reader hid. */
  readonly hidden: ReadonlySet<number>;
}

/**
 * Draws on canvases in a chart with axes and legend: real images and the trails of samples once, and a symbol and an arrow
 * for each sample at each t.
 */
export class SampleLayer {
  readonly #canvas = byId<HTMLCanvasElement>("plane-samples");
  /** Real images and trails. */
  readonly #trails = document.createElement("canvas");
  #places: { readonly n: number; readonly x: number; readonly y: number }[] = [];

  /** @param onPoint called with a sample that the reader points at or taps */
  constructor(readonly chart: Chart, onPoint: (n: number) => void) {
    for (const event of ["pointermove", "click"] as const) {
      chart.element.addEventListener(event, ({ clientX, clientY }) => {
        const { left, top } = this.#canvas.getBoundingClientRect();
        const found = this.#places
          .map(({ n, x, y }) => ({ n, away: Math.hypot(clientX - left - x, clientY - top - y) }))
          .reduce((a, b) => b.away < a.away ? b : a, { n: -1, away: pixels.reach });
        if (found.n >= 0) onPoint(found.n);
      });
    }
  }

  /** Draws real images and trails, after the chart has changed. */
  drawTrails({ plane, signs, hidden }: ShownSamples, theme: Theme): void {
    const { toX: left, toY: top } = this.chart.frame;
    const context = this.#cleared(this.#trails);
    const { real } = plane;
    context.font = `${pixels.realSign}px system-ui, sans-serif`;
    context.globalAlpha = real.classes ? 0.35 : 0.22;
    for (let i = 0; 2 * i < real.position.length; i++) {
      const [x, y] = [left(real.position[2 * i]), top(real.position[2 * i + 1])];
      const c = real.classes?.[i];
      context.fillStyle = c === undefined ? theme.muted : classColour(theme, c);
      if (c === undefined) fillDot(context, x, y, 2.5);
      else context.fillText(signs.get(c)!, x, y);
    }
    Object.assign(context, { globalAlpha: 0.3, lineWidth: 0.7 });
    for (const c of signs.keys()) {
      if (hidden.has(c)) continue;
      context.strokeStyle = classColour(theme, c);
      this.#stroke(context, trailsOf(plane, c));
    }
  }

  draw({ plane, t, signs, chosen, hidden }: ShownSamples, theme: Theme): void {
    const { toX: left, toY: top } = this.chart.frame;
    const context = this.#cleared(this.#canvas);
    if (this.#trails.width > 0) {
      context.drawImage(this.#trails, 0, 0, this.#canvas.clientWidth, this.#canvas.clientHeight);
    }
    context.font = `700 ${pixels.sign}px system-ui, sans-serif`;
    context.lineWidth = 1.2;
    this.#places = [];
    for (const [c, sign] of signs) {
      if (hidden.has(c)) continue;
      const { points, arrows } = classAt(plane, c, t);
      const color = classColour(theme, c);
      context.strokeStyle = color;
      this.#stroke(context, arrows);
      points.customdata.forEach((n, i) => {
        const [x, y] = [left(points.x[i]), top(points.y[i])];
        this.#places.push({ n, x, y });
        context.globalAlpha = 0.75;
        context.fillStyle = theme.paper;
        fillDot(context, x, y, pixels.halo);
        context.globalAlpha = 1;
        context.fillStyle = color;
        if (c === noClass) fillDot(context, x, y, 3.5);
        else context.fillText(sign, x, y + 1);
      });
    }
    const ringed = this.#places.find(({ n }) => n === chosen);
    if (!ringed) return;
    Object.assign(context, { strokeStyle: theme.ink, lineWidth: 2 });
    context.beginPath();
    context.arc(ringed.x, ringed.y, pixels.halo + 2, 0, 2 * Math.PI);
    context.stroke();
  }

  /** Resizes a canvas to the chart and returns its context in CSS pixels, clipped to the area of the axes. */
  #cleared(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
    const { clientWidth, clientHeight } = this.#canvas;
    const ratio = document.documentElement.dataset.print ? 3 : devicePixelRatio;
    const [width, height] = [clientWidth, clientHeight].map((side) => Math.round(side * ratio));
    Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d")!;
    context.scale(ratio, ratio);
    const { left, top, width: inner, height: innerHeight } = this.chart.frame.area;
    context.rect(left, top, inner, innerHeight);
    context.clip();
    return Object.assign(context, { textAlign: "center", textBaseline: "middle" });
  }

  /** Strokes lines through points, with a gap at each NaN. */
  #stroke(context: CanvasRenderingContext2D, { x, y }: ChartLines): void {
    const { toX: left, toY: top } = this.chart.frame;
    context.beginPath();
    x.forEach((value, i) => {
      if (Number.isNaN(value)) return;
      if (i === 0 || Number.isNaN(x[i - 1])) context.moveTo(left(value), top(y[i]));
      else context.lineTo(left(value), top(y[i]));
    });
    context.stroke();
  }
}

function fillDot(context: CanvasRenderingContext2D, x: number, y: number, radius: number): void {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}
