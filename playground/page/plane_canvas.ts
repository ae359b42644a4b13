/// <reference lib="dom" />
import { countOf, placeAt, type Trajectories } from "../plane_views.ts";
import { defaults } from "../settings.ts";
import { halfSide, type Point } from "../plane_data.ts";
import { label, mixed, set, SharpCanvas } from "./canvas.ts";
import { PlanePen, type PlaneState } from "./plane_pen.ts";
import { drawContours, drawData } from "./pictures.ts";
import { storySteps } from "./story.ts";

/** The share of the way to their new places that dots move per animation frame. */
const easing = 0.3;

/** The first pinned place. */
const start: Point = [-0.7, -1];

/** The part of the state that belongs to a training, before it starts. */
const untrained = () => ({ trail: [], kept: new Map(), pair: 0 });

/** The plane with the dots on screen. */
export class PlaneCanvas extends SharpCanvas {
  state: PlaneState = { ...untrained(), settings: defaults, t: 1, probe: start, pinned: start, pen: false };
  /** The dots on screen, which glide to their new places. */
  #shown: Trajectories | undefined;

  /** @param still whether dots jump to new places instead of gliding */
  constructor(element: HTMLCanvasElement, private readonly still: boolean) {
    super(element);
  }

  /** Clears a training and its data. */
  forget(): void {
    const { settings, t, probe, pinned, pen, strokes } = this.state;
    this.state = { ...untrained(), settings, t, probe, pinned, pen, strokes };
    this.#shown = undefined;
    this.changed();
  }

  /** Converts a pixel of the canvas to a place in the plane. */
  placeAt(x: number, y: number): Point {
    const size = this.width / (storySteps[this.state.settings.step].cells ?? 1);
    const column = x % size;
    const row = y % size;
    return [(column / size * 2 - 1) * halfSide, (1 - row / size * 2) * halfSide];
  }

  /** Moves the dots on screen towards those of the frame. @returns whether they are still moving */
  #glide(): boolean {
    const target = this.state.frame?.dots;
    const shown = this.#shown;
    if (!target) return false;
    if (this.still || shown?.places.length !== target.places.length || shown === target) {
      this.#shown = target;
      return false;
    }
    const places = shown.places;
    let farthest = 0;
    for (let i = 0; i < places.length; i++) {
      const left = target.places[i] - places[i];
      farthest = Math.max(farthest, Math.abs(left));
      places[i] += easing * left;
    }
    return farthest > 0.004;
  }

  protected override draw(): void {
    if (this.#glide()) this.changed();
    const { state } = this;
    const pen = new PlanePen(this.cleared(), this.width, this.colours, state.lit);
    pen.context.lineCap = "round";
    if (state.strokes) return this.#drawStrokes(pen);
    if (state.likelihood) drawContours(pen, state.likelihood);
    const { below, dots = 0, above, cells = 1 } = storySteps[state.settings.step];
    if (cells === 1) drawData(pen, state);
    below?.(pen, state, this.#shown);
    this.#drawDots(pen, state.t, dots);
    above?.(pen, state, this.#shown);
  }

  #drawDots(pen: PlanePen, t: number, alpha: number): void {
    if (!this.#shown || alpha === 0) return;
    const { noise, data } = pen.colours;
    set(pen.context, { fillStyle: mixed(noise, data, t), globalAlpha: alpha });
    for (let n = 0; n < countOf(this.#shown); n++) {
      pen.dot(placeAt(this.#shown, n, t), 2.4);
    }
    pen.context.globalAlpha = 1;
  }

  #drawStrokes(pen: PlanePen): void {
    const { data } = pen.colours;
    set(pen.context, { strokeStyle: data, fillStyle: data, lineWidth: 5, lineJoin: "round" });
    const { strokes = [] } = this.state;
    if (strokes.length === 0) {
      label(pen.context, "Draw here", [pen.size / 2, pen.size / 2], data, { align: "center" });
    }
    for (const stroke of strokes) {
      pen.line(stroke);
      pen.dot(stroke[0], 2.5);
    }
    pen.context.globalAlpha = this.state.pen ? 1 : 0.4;
    pen.dot(this.state.probe, 5);
    pen.context.globalAlpha = 1;
  }
}
