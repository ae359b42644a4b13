/// <reference lib="dom" />
import type { Chart, Theme } from "./charts.ts";
import { byId } from "./dom.ts";
import { classAt, classColour, type ClassedTrajectories, noClass } from "./plane.ts";

/** Pixels: size of a sign, radius of the paper behind it, and how far from a sample a pointer finds it. */
const pixels = { sign: 13, halo: 7, reach: 14 } as const;

/** Samples at a time t. */
export interface ShownSamples {
  readonly plane: ClassedTrajectories;
  readonly t: number;
  /** The sign of each class; classes are drawn in this order. */
  readonly signs: ReadonlyMap<number, string>;
  /** The sample with a ring around it. */
  readonly chosen: number;
}

/** Draws samples over a chart: a sign and an arrow each, on a canvas, as Plotly takes too long for each frame. */
export class SampleLayer {
  readonly #canvas = byId<HTMLCanvasElement>("plane-samples");
  #places: { readonly n: number; readonly x: number; readonly y: number }[] = [];

  /** @param onPoint called with a sample that is pointed at or tapped */
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

  draw({ plane, t, signs, chosen }: ShownSamples, theme: Theme): void {
    const { x, y, hidden } = this.chart.frame;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const ratio = devicePixelRatio;
    Object.assign(this.#canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    const context = this.#canvas.getContext("2d")!;
    context.scale(ratio, ratio);
    context.rect(x._offset, y._offset, x._length, y._length);
    context.clip();
    Object.assign(context, { textAlign: "center", textBaseline: "middle", lineWidth: 1.2 });
    context.font = `700 ${pixels.sign}px system-ui, sans-serif`;
    const dot = (left: number, top: number, radius: number) => {
      context.beginPath();
      context.arc(left, top, radius, 0, 2 * Math.PI);
    };
    this.#places = [];
    for (const [c, sign] of signs) {
      if (hidden.has(`${c}`)) continue;
      const { points, arrows } = classAt(plane, c, t);
      const color = classColour(theme, c);
      context.strokeStyle = color;
      context.beginPath();
      arrows.x.forEach((value, i) => {
        const place = [x._offset + x.l2p(value), y._offset + y.l2p(arrows.y[i])] as const;
        if (Number.isNaN(value)) return;
        if (i === 0 || Number.isNaN(arrows.x[i - 1])) context.moveTo(...place);
        else context.lineTo(...place);
      });
      context.stroke();
      points.customdata.forEach((n, i) => {
        const [left, top] = [x._offset + x.l2p(points.x[i]), y._offset + y.l2p(points.y[i])];
        this.#places.push({ n, x: left, y: top });
        context.globalAlpha = 0.75;
        context.fillStyle = theme.paper;
        dot(left, top, pixels.halo);
        context.fill();
        context.globalAlpha = 1;
        context.fillStyle = color;
        if (c === noClass) {
          dot(left, top, 3.5);
          context.fill();
        } else context.fillText(sign, left, top + 1);
      });
    }
    const ringed = this.#places.find(({ n }) => n === chosen);
    if (!ringed) return;
    Object.assign(context, { strokeStyle: theme.ink, lineWidth: 2 });
    dot(ringed.x, ringed.y, pixels.halo + 2);
    context.stroke();
  }
}
