/// <reference lib="dom" />
import { nearestSnapshot } from "../../flow/trajectory.ts";
import type { ImageSize } from "../../image/image_shape.ts";
import type { Clock } from "./clock.ts";
import { byId } from "./dom.ts";
import { type Explorer, settled, type Thumbnail } from "./explorer.ts";
import { type Pixel, pixelAt } from "./image_panel.ts";
import type { RemoteEngine } from "./remote_engine.ts";
import { GrowingTrajectory, snapshotAt, stepTimes } from "./trajectory_view.ts";
import type { Running, WorkQueue } from "./work.ts";

/** Milliseconds between updates of an incomplete trajectory. */
const betweenMs = 100;

/** Paint on x at a step of a sample, before the flow from there is solved. */
interface Draft {
  readonly sample: Thumbnail;
  readonly first: number;
  readonly strokes: Stroke[];
  /** The work on all strokes so far; a new stroke replaces it. */
  work?: AbortController;
}

/** Lets readers paint on x at t, and solves the flow from there. */
export class LivePaint {
  /** Drafts to solve, in the order of the queue. */
  readonly #drafts = new Set<Draft>();
  readonly #painter: Painter;

  constructor(
    readonly engine: RemoteEngine,
    readonly explorer: Explorer,
    readonly clock: Clock,
    readonly queue: WorkQueue,
    readonly say: (words: string) => void,
  ) {
    this.#painter = new Painter(explorer, (pixels, brush) => this.#paint(pixels, brush), () => {
      if (clock.t === 1) clock.position = 50; // nothing flows on from the end
    });
  }

  putDown(): void {
    if (this.#painter.painting) this.#painter.painting = false;
  }

  /** Drops paint whose trajectory is incomplete. */
  stop(): void {
    for (const draft of this.#drafts) this.#drop(draft);
  }

  /** Removes all paint from the current sample. */
  undo(): void {
    const { sample } = this.explorer;
    for (const draft of this.#drafts) if (draft.sample === sample) this.#drop(draft);
    this.explorer.settle(sample, sample.original);
    this.say("Removed the paint.");
  }

  #drop(draft: Draft): void {
    draft.work?.abort();
    this.#drafts.delete(draft);
    this.explorer.settle(draft.sample);
  }

  #paint(pixels: readonly number[], brush: Brush): void {
    const { sample, run } = this.explorer;
    const how = sample.original.solved;
    if (!how) return this.say("The solver of this sample is unknown: draw new noise to paint on.");
    this.clock.stop();
    const first = nearestSnapshot(stepTimes(how), this.clock.t);
    if (first >= how.steps) return this.say("The flow ends at t = 1: move t back to paint.");
    const draft = this.#draftAt(sample, first);
    draft.strokes.push(
      strokeOf(
        pixels,
        brush,
        this.explorer.size,
        (noise) => this.engine.call((remote) => remote.toPixels(run, noise)),
      ),
    );
    draft.work?.abort();
    draft.work = this.queue.add((running) => this.#follow(run, draft, running));
  }

  /** The draft of a sample at a step, a new one if there is none. */
  #draftAt(sample: Thumbnail, first: number): Draft {
    // The trajectory changes from here on, so paint at later times is dropped.
    for (const draft of this.#drafts) {
      if (draft.sample === sample && draft.first > first) this.#drop(draft);
    }
    const existing = [...this.#drafts].find((draft) => draft.sample === sample && draft.first === first);
    if (existing) return existing;
    const draft: Draft = { sample, first, strokes: [] };
    this.#drafts.add(draft);
    return draft;
  }

  async #follow(run: number, draft: Draft, running: Running): Promise<void> {
    const { sample, first } = draft;
    const how = sample.original.solved!;
    const from = settled(sample);
    const t = stepTimes(how)[first];
    const { image } = snapshotAt(from, t);
    for (const stroke of draft.strokes) await stroke(image);
    const painted = `painted at t = ${t.toFixed(2)}`;
    const { name, origin } = sample.original;
    const words = { name, origin: [origin, painted].filter(Boolean).join(", ") };
    const growing = new GrowingTrajectory(words, how, this.explorer.size, { trajectory: from, first });
    let drawn = -Infinity;
    try {
      const cost = await this.engine.solve(run, image, [growing], running, {
        first,
        onPart: () => {
          if (performance.now() - drawn < betweenMs) return;
          this.explorer.grow(sample, growing.view);
          drawn = performance.now();
        },
      });
      this.#drafts.delete(draft);
      this.explorer.settle(sample, growing.view);
      this.say(`${name} ${painted}: ${cost}.`);
    } catch (error) {
      if (!running.signal.aborted) this.#drop(draft);
      throw error;
    }
  }
}

/** Lets readers paint on the image at t: a pointer draws strokes, and the space bar a dot at the selected pixel. */
class Painter {
  readonly #toggle = byId<HTMLButtonElement>("paint");
  readonly #frame = byId("view-x").closest<HTMLElement>(".frame")!;
  readonly #ring = byId("brush-ring");
  readonly #width = byId<HTMLInputElement>("brush-size");
  #last: Pixel | undefined;

  /**
   * @param onStroke called during a stroke, with the newly covered pixels as indices in [0, H W)
   * @param onTake called when the reader takes the brush
   */
  constructor(
    readonly explorer: Explorer,
    readonly onStroke: (pixels: readonly number[], brush: Brush) => void,
    onTake: () => void,
  ) {
    this.#toggle.addEventListener("click", () => {
      this.painting = !this.painting;
      if (this.painting) onTake();
    });
    // Before other listeners, so that painting does not select a pixel.
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

  get painting(): boolean {
    return this.#toggle.getAttribute("aria-pressed") === "true";
  }

  set painting(painting: boolean) {
    this.#toggle.setAttribute("aria-pressed", `${painting}`);
    byId("brush").hidden = !painting;
    this.#frame.classList.toggle("painting", painting);
    this.#ring.hidden = true;
    const keys = painting ? "arrow keys select a pixel, Space paints there" : "arrow keys select a pixel";
    this.#frame.setAttribute("aria-label", `x at t: ${keys}`);
  }

  #pixelAt(event: MouseEvent): Pixel {
    return pixelAt(this.#frame, this.explorer.size, event);
  }

  #showRing({ row, column }: Pixel): void {
    const [, H, W] = this.explorer.size;
    const side = Number(this.#width.value);
    this.#ring.hidden = false;
    const [x, y] = [column + 0.5 - side / 2, row + 0.5 - side / 2];
    const [left, top, width, height] = [x / W, y / H, side / W, side / H].map((share) => `${100 * share}%`);
    Object.assign(this.#ring.style, { left, top, width, height });
  }

  /** Extends the stroke to a new point. */
  #strokeTo(to: Pixel): void {
    const from = this.#last ?? to;
    this.#last = to;
    const covered = coveredBy(from, to, Number(this.#width.value), this.explorer.size);
    const { value } = byId("brush").querySelector<HTMLInputElement>("input:checked")!;
    if (covered.length > 0) this.onStroke(covered, value as Brush);
  }
}

/** The paint of a brush: white, black, or new noise. */
type Brush = "white" | "black" | "noise";

/** Paints on an image, f32[C, H, W]. */
type Stroke = (image: Float32Array) => Promise<void>;

/**
 * A stroke over pixels; repainting it gives the same values.
 *
 * @param pixels indices in [0, H W)
 * @param toPixels scales noise, f32[C, N], like the network's images
 */
export function strokeOf(
  pixels: readonly number[],
  brush: Brush,
  [C, H, W]: ImageSize,
  toPixels: (noise: Float32Array) => Promise<Float32Array>,
): Stroke {
  const N = pixels.length;
  const paint = new Float32Array(C * N);
  const values = brush === "noise"
    ? toPixels(paint.map(standardNormal))
    : Promise.resolve(paint.fill(brush === "white" ? 1 : 0));
  return async (image) => {
    const own = await values;
    for (let c = 0; c < C; c++) pixels.forEach((pixel, i) => image[c * H * W + pixel] = own[c * N + i]);
  };
}

/** The pixels of an image that a round brush covers between two points, as indices in [0, H W). */
export function coveredBy(from: Pixel, to: Pixel, width: number, size: ImageSize): number[] {
  const steps = Math.max(1, Math.abs(to.row - from.row), Math.abs(to.column - from.column));
  const covered = new Set<number>();
  for (let s = 0; s <= steps; s++) {
    const row = Math.round(from.row + s / steps * (to.row - from.row));
    const column = Math.round(from.column + s / steps * (to.column - from.column));
    for (const pixel of disc(row, column, width, size)) covered.add(pixel);
  }
  return [...covered];
}

/** The pixels of an image within a disc, as indices in [0, H W). */
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

/** A standard normal number, by the Box-Muller transform. */
function standardNormal(): number {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}
