/// <reference lib="dom" />
import type { ImageSize } from "../../image/image_shape.ts";
import { byId } from "./dom.ts";
import type { Explorer } from "./explorer.ts";
import type { Pixel } from "./image_panel.ts";

/** What a stroke leaves at pixels. */
export type Brush = "white" | "black" | "noise";

/** Lets a reader paint in the image at t: a pointer draws strokes, the space bar a dot at the chosen pixel. */
export class Painter {
  readonly #toggle = byId<HTMLButtonElement>("paint");
  readonly #frame = byId("view-x").closest<HTMLElement>(".frame")!;
  readonly #ring = byId("brush-ring");
  readonly #width = byId<HTMLInputElement>("brush-size");
  #last: Pixel | undefined;

  /**
   * @param onStroke called while a stroke is drawn, with the pixels that it newly covers, as indices in [0, H W)
   */
  constructor(
    readonly explorer: Explorer,
    readonly onStroke: (pixels: readonly number[], brush: Brush) => void,
  ) {
    this.#toggle.addEventListener("click", () => this.painting = !this.painting);
    // Before others hear of them: a pointer that paints does not point at pixels.
    const first = { capture: true };
    this.#frame.addEventListener("pointerdown", (event) => {
      if (!this.painting || event.button !== 0) return;
      this.#frame.setPointerCapture(event.pointerId);
      this.#last = undefined;
      this.#strokeTo(this.#pixelAt(event));
    }, first);
    this.#frame.addEventListener("pointermove", (event) => {
      if (!this.painting) return;
      event.stopImmediatePropagation();
      const pixel = this.#pixelAt(event);
      this.#showRing(pixel);
      if (event.buttons & 1 && this.#frame.hasPointerCapture(event.pointerId)) this.#strokeTo(pixel);
    }, first);
    this.#frame.addEventListener("click", (event) => {
      if (this.painting) event.stopImmediatePropagation();
    }, first);
    this.#frame.addEventListener("pointerleave", () => this.#ring.hidden = true);
    this.#frame.addEventListener("keydown", (event) => {
      if (!this.painting || event.key !== " ") return;
      event.preventDefault();
      this.#last = undefined;
      this.#strokeTo(this.explorer.pixel);
    });
  }

  /** Whether a pointer in the image paints. */
  get painting(): boolean {
    return this.#toggle.getAttribute("aria-pressed") === "true";
  }

  set painting(painting: boolean) {
    this.#toggle.setAttribute("aria-pressed", `${painting}`);
    byId("brush").hidden = !painting;
    this.#frame.classList.toggle("painting", painting);
    this.#ring.hidden = true;
    const keys = painting ? "arrow keys choose a pixel, space paints there" : "arrow keys choose a pixel";
    this.#frame.setAttribute("aria-label", `x at t: ${keys}`);
  }

  #pixelAt({ clientX, clientY }: MouseEvent): Pixel {
    const [, H, W] = this.explorer.size;
    const { left, top, width, height } = this.#frame.getBoundingClientRect();
    return {
      row: Math.floor((clientY - top) / height * H),
      column: Math.floor((clientX - left) / width * W),
    };
  }

  #showRing({ row, column }: Pixel): void {
    const [, H, W] = this.explorer.size;
    const width = Number(this.#width.value);
    this.#ring.hidden = false;
    this.#ring.style.cssText = `left:${100 * (column + 0.5 - width / 2) / W}%;top:${
      100 * (row + 0.5 - width / 2) / H
    }%;width:${100 * width / W}%;height:${100 * width / H}%`;
  }

  /** Covers the discs from the last point of the stroke to a new one. */
  #strokeTo(to: Pixel): void {
    const from = this.#last ?? to;
    this.#last = to;
    const width = Number(this.#width.value);
    const steps = Math.max(1, Math.abs(to.row - from.row), Math.abs(to.column - from.column));
    const covered = new Set<number>();
    for (let s = 0; s <= steps; s++) {
      const row = Math.round(from.row + s / steps * (to.row - from.row));
      const column = Math.round(from.column + s / steps * (to.column - from.column));
      for (const pixel of disc(row, column, width, this.explorer.size)) covered.add(pixel);
    }
    const { value } = byId("brush").querySelector<HTMLInputElement>("input:checked")!;
    if (covered.size > 0) this.onStroke([...covered], value as Brush);
  }
}

/** The pixels of an image within a disc, by their place in it. */
function disc(row: number, column: number, width: number, [, H, W]: ImageSize): number[] {
  const pixels: number[] = [];
  const reach = Math.floor(width / 2);
  for (let y = Math.max(0, row - reach); y <= Math.min(H - 1, row + reach); y++) {
    for (let x = Math.max(0, column - reach); x <= Math.min(W - 1, column + reach); x++) {
      if (Math.hypot(y - row, x - column) <= width / 2) pixels.push(y * W + x);
    }
  }
  return pixels;
}

/** A number from the standard normal distribution, by Box and Muller. */
export function standardNormal(): number {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}
