/// <reference lib="dom" />

/** The page's colours, for canvases. */
export interface CanvasColours {
  /** The background of canvases. */
  readonly card: string;
  readonly paper: string;
  readonly ink: string;
  readonly muted: string;
  readonly line: string;
  readonly noise: string;
  readonly data: string;
  readonly velocity: string;
}

/** Reads the colours, which depend on the colour scheme. */
function canvasColours(): CanvasColours {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    card: of("card"),
    paper: of("paper"),
    ink: of("ink"),
    muted: of("muted"),
    line: of("line"),
    noise: of("noise"),
    data: of("data"),
    velocity: of("velocity"),
  };
}

/** Mixes two colours `#rrggbb`; share 0 is the first. */
export function mixed(first: string, second: string, share: number): string {
  const channel = (colour: string, i: number) => parseInt(colour.slice(1 + 2 * i, 3 + 2 * i), 16);
  const channels = [0, 1, 2].map((i) =>
    Math.round(channel(first, i) * (1 - share) + channel(second, i) * share)
  );
  return `rgb(${channels.join(" ")})`;
}

/**
 * A canvas at the screen's resolution, redrawn when its size or the colours change. Its coordinates are CSS pixels.
 */
export class SharpCanvas {
  readonly element: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  readonly #draw: () => void;
  #colours = canvasColours();
  #requested = false;

  /** @param draw draws on the canvas */
  constructor(element: HTMLCanvasElement, draw: () => void) {
    this.element = element;
    this.#context = element.getContext("2d")!;
    this.#draw = draw;
    new ResizeObserver(() => this.changed()).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#colours = canvasColours();
      this.changed();
    });
  }

  /** Redraws on the next animation frame. */
  changed(): void {
    if (this.#requested) return;
    this.#requested = true;
    requestAnimationFrame(() => {
      this.#requested = false;
      this.#draw();
    });
  }

  /** The current colours. */
  get colours(): CanvasColours {
    return this.#colours;
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
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1 - ux * size * 0.6, y1 - uy * size * 0.6);
  context.stroke();
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
  context.font = '600 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif';
  context.textAlign = align;
  context.textBaseline = "middle";
  if (paper) {
    context.lineWidth = 4;
    context.lineJoin = "round";
    context.strokeStyle = paper;
    context.strokeText(text, x, y);
  }
  context.fillStyle = colour;
  context.fillText(text, x, y);
}
