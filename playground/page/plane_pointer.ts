/// <reference lib="dom" />
import { byId } from "../../viz/report/page/dom.ts";
import type { PlaygroundSettings } from "../settings.ts";
import { drawnText, halfSide, type Point, strokesOf } from "../plane_data.ts";
import { arrowKeys } from "./canvas.ts";
import type { PlaneCanvas } from "./plane_canvas.ts";
import { countOf, placeAt } from "../plane_views.ts";
import { leftAt, tipOf } from "./pictures.ts";
import { type StoryStep, storySteps } from "./story.ts";

/** Distance that a key moves the place. */
const stride = 0.16;
/** Distance within which a tip can be grabbed. */
const reach = 0.3;
/** Maximum number of dropped dots shown at a time. */
const maxDrops = 5;

/** How to use the plane, with a mouse and keyboard, and by touch. */
const hints = {
  looks: ["Move the pointer, drag, or use the arrow keys.", "Drag over the plane."],
  drops: ["Click; or move with the arrow keys and press Enter.", "Tap the plane."],
} as const;

/** Handles the pointer and keys on the plane. */
export class PlanePointer {
  /** Whether the device has no pointer that can hover. */
  readonly #touches = matchMedia("(hover: none)").matches;
  readonly #canvas = byId<HTMLCanvasElement>("plane");
  #step: PlaygroundSettings["step"] = "watch";
  /** Whether pointer and keys draw data instead of probing. */
  #drawing = false;
  drops: readonly Point[] = [[-1.1, 1.3]];
  /** The stroke in progress. */
  #stroke: Point[] | undefined;
  /** Whether the reader is dragging the tip of the answer. */
  #answers = false;

  /**
   * @param onLook called when the probed place has changed, or a dot was dropped
   * @param onDraw called with all strokes when the reader has drawn one
   */
  constructor(
    private readonly plane: PlaneCanvas,
    private readonly onLook: () => void,
    private readonly onDraw: (drawn: string) => void,
  ) {
    for (const word of document.querySelectorAll(".press")) if (this.#touches) word.textContent = "Tap";
    const canvas = this.#canvas;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => this.#lift());
    canvas.addEventListener("pointerleave", () => {
      if (this.#use === "looks" && !this.#stroke) this.#look(this.plane.state.pinned, false);
    });
    byId("drop").addEventListener("click", () => this.#dropNoise());
    byId("another-pair").addEventListener("click", () => {
      this.plane.state.pair++;
      this.plane.changed();
    });
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  /** What pointer and keys do in the current step. */
  get #use(): StoryStep["pointer"] {
    return storySteps[this.#step].pointer;
  }

  /** Adapts to the settings of the plane. @param drawing whether pointer and keys draw data instead of probing */
  show(drawing: boolean): void {
    const { step, drawn } = this.plane.state.settings;
    if (step !== this.#step) this.plane.state.look = undefined;
    this.#step = step;
    this.#drawing = drawing;
    const { description, pointer } = storySteps[step];
    byId("plane-keys").textContent = drawing || !pointer ? "" : hints[pointer][this.#touches ? 1 : 0];
    this.#canvas.ariaLabel = drawing && drawn === "" ? "Draw data here" : description;
    if (drawing || pointer) this.#canvas.tabIndex = 0;
    else this.#canvas.removeAttribute("tabindex"); // keys do nothing here
    document.documentElement.toggleAttribute("data-pen", drawing || pointer === "looks");
    this.#showStrokes();
  }

  /** Drops a dot at the start of one of the dots on screen. */
  #dropNoise(): void {
    const dots = this.plane.state.frame?.dots;
    if (!dots) return;
    this.#drop(placeAt(dots, Math.floor(Math.random() * countOf(dots)), 0));
  }

  #drop(place: Point): void {
    this.drops = [...this.drops, place].slice(-maxDrops);
    this.onLook();
  }

  #placeOf({ offsetX, offsetY }: PointerEvent): Point {
    return this.plane.placeAt(offsetX, offsetY);
  }

  #down(event: PointerEvent): void {
    const place = this.#placeOf(event);
    if (this.#drawing) {
      event.preventDefault();
      this.#canvas.setPointerCapture(event.pointerId);
      this.#stroke = [place];
      this.#showStrokes();
    } else if (this.#use === "drops") this.#drop(place);
    else if (this.#isAtAnswer(place)) {
      this.#canvas.setPointerCapture(event.pointerId);
      this.#answers = true;
    } else this.#look(place, true);
  }

  #move(event: PointerEvent): void {
    const place = this.#placeOf(event);
    if (this.#stroke) this.#extend(place);
    else if (this.#answers) this.#answer(place);
    else if (this.#use === "looks" && (event.buttons > 0 || !this.#shownAnswer)) {
      this.#look(place, event.buttons > 0);
    }
  }

  /** Probes a place. @param pins whether it stays probed after the pointer leaves */
  #look(place: Point, pins: boolean): void {
    this.plane.state.probe = place;
    if (pins) this.plane.state.pinned = place;
    if (this.#use === "looks") this.onLook();
  }

  /** The reader's answer, which only step 2 has. */
  get #shownAnswer(): Point | undefined {
    return this.#step === "average" ? this.plane.state.answer : undefined;
  }

  /** Whether a place is at the tip of the reader's answer. */
  #isAtAnswer([x, y]: Point): boolean {
    const { probe, t } = this.plane.state;
    const answer = this.#shownAnswer;
    if (!answer) return false;
    const [tipX, tipY] = tipOf(probe, answer, t);
    return Math.hypot(x - tipX, y - tipY) < reach;
  }

  /** Moves the tip of the reader's answer. */
  #answer([x, y]: Point): void {
    const { state } = this.plane;
    const left = leftAt(state.t);
    state.answer = [(x - state.probe[0]) / left, (y - state.probe[1]) / left];
    this.onLook();
  }

  #extend(place: Point): void {
    this.plane.state.probe = place;
    this.#stroke?.push(place);
    this.plane.changed();
  }

  #lift(): void {
    this.#answers = false;
    if (!this.#stroke) return;
    const strokes = [...strokesOf(this.plane.state.settings.drawn), this.#stroke];
    this.#stroke = undefined;
    this.onDraw(drawnText(strokes));
  }

  #key(event: KeyboardEvent): void {
    const { probe: [x, y], t } = this.plane.state;
    const answer = this.#shownAnswer;
    const direction = arrowKeys[event.key];
    if (direction && answer && event.shiftKey) {
      const [tipX, tipY] = tipOf([x, y], answer, t);
      this.#answer([tipX + stride * direction[0], tipY - stride * direction[1]]);
    } else if (direction) {
      const inside = (value: number) => Math.max(-halfSide, Math.min(halfSide, value));
      const place: Point = [inside(x + stride * direction[0]), inside(y - stride * direction[1])];
      if (this.#stroke) this.#extend(place);
      else this.#look(place, true);
      this.plane.changed();
    } else if (event.key === " " && this.#drawing) {
      if (this.#stroke) this.#lift();
      else this.#stroke = [[x, y]];
      this.#showStrokes();
    } else if (event.key === "Enter" && this.#use === "drops" && !this.#drawing) {
      this.#drop([x, y]);
    } else return;
    event.preventDefault();
  }

  /** Shows strokes while one is being drawn, or while there is no data yet. */
  #showStrokes(): void {
    const { state } = this.plane;
    const finished = this.#drawing ? strokesOf(this.plane.state.settings.drawn) : [];
    const shows = this.#drawing && (this.#stroke !== undefined || finished.length === 0);
    state.strokes = shows ? [...finished, ...this.#stroke ? [this.#stroke] : []] : undefined;
    state.pen = this.#stroke !== undefined;
    this.plane.changed();
  }
}
