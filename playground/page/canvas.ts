/// <reference lib="dom" />

import { pageColors } from "../../viz/report/page/dom.ts";

const colourNames = ["card", "paper", "ink", "muted", "line", "noise", "data", "velocity"] as const;

/** The page's colours, for canvases; `card` is their background. */
export type CanvasColours = Readonly<Record<(typeof colourNames)[number], string>>;

/** Sets how to draw. */
export function set(context: CanvasRenderingContext2D, drawing: Partial<CanvasRenderingContext2D>): void {
  Object.assign(context, drawing);
}

/** The page's font in canvases. */
export const font = (size: number) =>
  `${size}px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif`;

/** Mixes two colours; share 0 is the first. */
export const mixed = (first: string, second: string, share: number) =>
  `color-mix(in srgb, ${second} ${(100 * share).toFixed(1)}%, ${first})`;

/**
 * A canvas at the screen's resolution, redrawn when its size or the colours change. Its coordinates are CSS pixels.
 */
export abstract class SharpCanvas {
  readonly #context: CanvasRenderingContext2D;
  /** The current colours. */
  colours: CanvasColours = pageColors(...colourNames);
  #requested = false;

  constructor(readonly element: HTMLCanvasElement) {
    this.#context = element.getContext("2d")!;
    new ResizeObserver(() => this.changed()).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.colours = pageColors(...colourNames);
      this.changed();
    });
  }

  /** Draws on the canvas. */
  protected abstract draw(): void;

  /** Redraws on the next animation frame. */
  changed(): void {
    if (this.#requested) return;
    this.#requested = true;
    requestAnimationFrame(() => {
      this.#requested = false;
      this.draw();
    });
  }

  get width(): number {
    return this.element.clientWidth;
  }

  get height(): number {
    return this.element.clientHeight;
  }

  /** Resizes and clears the canvas, and returns its context. */
  cleared(): CanvasRenderingContext2D {
    const { element, width, height } = this;
    const scale = devicePixelRatio;
    const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
    if (element.width !== w || element.height !== h) Object.assign(element, { width: w, height: h });
    const context = this.#context;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  }
}

/** Draws a filled circle. */
export function disc(context: CanvasRenderingContext2D, x: number, y: number, radius: number): void {
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  context.fill();
}

/** Draws a line through points. */
export function polyline(
  context: CanvasRenderingContext2D,
  points: readonly (readonly [number, number])[],
): void {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.stroke();
}

/** The direction of each arrow key, right and down. */
export const arrowKeys: Readonly<Record<string, readonly [x: number, y: number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Draws an arrow; short ones have smaller heads. */
export function arrow(
  context: CanvasRenderingContext2D,
  [x0, y0]: readonly [number, number],
  [x1, y1]: readonly [number, number],
  width: number,
  head = 4 + 2.5 * width,
): void {
  const length = Math.hypot(x1 - x0, y1 - y0);
  if (length < 0.5) return;
  const size = Math.min(head, length);
  const [ux, uy] = [(x1 - x0) / length, (y1 - y0) / length];
  context.lineWidth = width;
  polyline(context, [[x0, y0], [x1 - ux * size * 0.6, y1 - uy * size * 0.6]]);
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x1 - ux * size - uy * size * 0.45, y1 - uy * size + ux * size * 0.45);
  context.lineTo(x1 - ux * size + uy * size * 0.45, y1 - uy * size - ux * size * 0.45);
  context.closePath();
  context.fillStyle = context.strokeStyle;
  context.fill();
}

/** Writes a label on a background of its own, so that it stays legible. */
export function label(
  context: CanvasRenderingContext2D,
  text: string,
  [x, y]: readonly [number, number],
  colour: string,
  { align = "left" as CanvasTextAlign, paper = "" } = {},
): void {
  set(context, { font: `600 ${font(13)}`, textAlign: align, textBaseline: "middle" });
  if (paper) {
    set(context, { lineWidth: 4, lineJoin: "round", strokeStyle: paper });
    context.strokeText(text, x, y);
  }
  context.fillStyle = colour;
  context.fillText(text, x, y);
}
