/// <reference lib="dom" />
import { byId } from "../../viz/report/page/dom.ts";
import { drawImage } from "../../viz/report/page/image_panel.ts";
import { classCount, type DrawnDigits, sideOf } from "../digits_training.ts";
import { valuesAt } from "../plane_views.ts";
import type { PlaygroundSettings } from "../settings.ts";
import { arrowKeys, font, set, SharpCanvas } from "./canvas.ts";
import { LossCurve } from "./loss_chart.ts";
import type { DigitsCommand, DigitsFrame, DigitsReport, RestingDigits } from "./messages.ts";
import { statusOf } from "./readings.ts";

/** Rows of images, from the top. */
const rows = ["many", "one", "whole", "nearest"] as const;

/** The time of the samples to paint in while the stage shows finished ones. */
const halfway = 0.6;

/** Levels of red, green and blue. */
const greys = Uint8Array.from({ length: 768 }, (_, i) => i / 3);

/** Radius of the brush, in image pixels. */
const brush = 1.4;

/** The places along one movement of the brush. */
interface Stroke {
  readonly erases: boolean;
  readonly places: (readonly [x: number, y: number])[];
}

/** The reader's work with digits: rows of samples from the same noise to train, and one sample to paint in. */
export class DigitsSession extends SharpCanvas {
  curve = new LossCurve();
  running = false;
  /** The weights while the training is paused or done. */
  rest: RestingDigits | undefined;
  readonly #paint = byId<HTMLCanvasElement>("paint");
  readonly #led = byId<HTMLCanvasElement>("led");
  /** The digit to paint in, and the class that the flow leads it to. */
  readonly #base = byId<HTMLSelectElement>("paint-base");
  readonly #label = byId<HTMLSelectElement>("paint-label");
  readonly #eraser = byId<HTMLInputElement>("paint-eraser");
  /** The settings that the current training started with. */
  #begun: PlaygroundSettings | undefined;
  /** Whether the worker has the embedded data. */
  #sent = false;
  /** The latest samples, if there are any. */
  #frame: DigitsFrame | undefined;
  #t = 1;
  #strokes: Stroke[] = [];
  #ledTo: Float32Array | undefined;
  /** Position of the keyboard's pen, in image pixels. */
  #pen: [x: number, y: number] = [14, 14];

  /** @param send sends a command to the worker */
  constructor(private readonly send: (command: DigitsCommand) => void) {
    super(byId("digits-grid"));
    for (const select of [this.#base, this.#label]) {
      for (let label = 0; label < classCount; label++) select.add(new Option(`${label}`));
    }
    this.#base.addEventListener("change", () => this.#choose(this.#base.value));
    this.#label.addEventListener("change", () => this.#lead());
    byId("paint-clear").addEventListener("click", () => this.#clear());
    byId("paint-undo").addEventListener("click", () => {
      this.#strokes.pop();
      this.#lead();
    });
    this.#choose("3");
    this.#listen();
  }

  /** Shows digits, and starts a training unless there is one from the same start. */
  enter(settings: PlaygroundSettings): void {
    const { start, seed, digit_steps: steps, t } = settings;
    if (this.#begun?.start !== start || this.#begun.seed !== seed) this.begin(settings);
    else if (this.#begun.digit_steps !== steps) this.send({ act: "change", steps });
    this.#begun = settings;
    this.showTime(t);
  }

  /** Starts a training; one from scratch runs immediately. */
  begin(settings: PlaygroundSettings): void {
    this.#begun = settings;
    this.running = settings.start !== "checkpoint";
    this.curve = new LossCurve();
    this.#strokes = [];
    this.rest = undefined;
    this.#frame = undefined;
    this.#ledTo = undefined;
    this.#showReading();
    const side = sideOf(settings.start);
    const where = `in a space of ${side ** 2} dimensions`;
    byId("digit-size").textContent = `${side} by ${side} pixels is a dot too, ${where}`;
    const parts = this.#sent ? undefined : ["digits-data", "digits-files"].map((id) => byId(id).textContent!);
    this.send({ act: "begin", settings, running: this.running, parts });
    this.#sent = true;
    this.draw();
  }

  /** Forgets the state of a replaced worker, which had the data. */
  forget(): void {
    this.#begun = undefined;
    this.#sent = false;
  }

  /** Trains or pauses. */
  run(running: boolean): void {
    this.running = running;
    this.sendRunning();
  }

  /** Tells the worker whether to train. @param visible whether the reader can see digits */
  sendRunning(visible = true): void {
    if (this.#begun !== undefined) this.send({ act: "run", running: this.running && visible });
  }

  /** Shows the samples at a time. */
  showTime(t: number): void {
    if (t === this.#t) return;
    this.#t = t;
    this.#clear();
  }

  /** Handles a report from the worker. */
  take(report: DigitsReport): void {
    if (report.about === "led") {
      this.#ledTo = report.pixels;
      return this.draw();
    }
    if (report.about === "rested") this.rest = report.rest;
    else {
      this.rest = undefined;
      this.#frame = report.frame;
      this.curve.add(report.frame.losses);
      this.draw();
      document.documentElement.dataset.digits = String(report.frame.step); // for tests
    }
    this.#showReading();
  }

  /** The line under the losses. */
  status(device: string): string {
    if (!this.#frame || !this.#begun) return "Loading the network";
    const { step, milliseconds } = this.#frame;
    const { digit_steps: steps } = this.#begun;
    return statusOf({ step, steps, loss: this.curve.latest(), digits: 4, milliseconds, device });
  }

  #showReading(): void {
    const sentences: string[] = [];
    if (this.#frame) {
      const right = this.#frame.drawn.seen.filter(([label], n) => label === n).length;
      sentences.push(`The judge sees the right digit in ${right} of 10.`);
    }
    const [first, now] = this.rest?.heldOut ?? this.#frame?.heldOut ?? [0, 0];
    if (first !== now) {
      const verdict = `${now < first ? "lower" : "not lower"} than it was at the start (${first.toFixed(4)})`;
      sentences.push(`On images held out of training, the loss is ${now.toFixed(4)}, ${verdict}.`);
    }
    if (this.rest?.bits) {
      const [mean, error] = this.rest.bits.map((value) => value.toFixed(2));
      sentences.push(
        `These images take ${mean} ± ${error} bits per dimension, compared with 8 uncompressed.`,
      );
    }
    byId("held-out").textContent = sentences.join(" ");
  }

  #listen(): void {
    this.element.addEventListener("click", ({ offsetX }) => {
      this.#choose(`${Math.floor(offsetX / this.width * classCount)}`);
      byId("paint-stage").scrollIntoView({ block: "nearest" });
    });
    let down = false;
    const placeOf = ({ offsetX, offsetY }: PointerEvent): [number, number] => {
      const side = this.#frame?.drawn.side ?? 28;
      return [offsetX / this.#paint.clientWidth * side, offsetY / this.#paint.clientHeight * side];
    };
    this.#paint.addEventListener("pointerdown", (event) => {
      down = true;
      this.#paint.setPointerCapture(event.pointerId);
      this.#begin(placeOf(event));
    });
    this.#paint.addEventListener("pointermove", (event) => {
      if (!down) return;
      this.#strokes.at(-1)?.places.push(placeOf(event));
      this.#lead();
    });
    for (const end of ["pointerup", "pointercancel"]) this.#paint.addEventListener(end, () => down = false);
    this.#paint.addEventListener("keydown", (event) => {
      const move = arrowKeys[event.key];
      if (!move && event.key !== " ") return;
      event.preventDefault();
      const side = this.#frame?.drawn.side ?? 28;
      if (move) {
        const [x, y] = this.#pen.map((at, axis) => Math.max(0, Math.min(side, at + move[axis])));
        this.#pen = [x, y];
      }
      if (!move || event.shiftKey) this.#begin(this.#pen);
      this.draw();
    });
  }

  /** The chosen sample at t with the strokes in it. */
  #painted(): Float32Array<ArrayBuffer> | undefined {
    if (!this.#frame) return undefined;
    const { side } = this.#frame.drawn;
    const from = Number(this.#base.value) * side ** 2;
    const image = this.#at("many", this.#paintTime)!.slice(from, from + side ** 2);
    for (const { places, erases } of this.#strokes) {
      for (const place of places) paintDot(image, side, place, erases);
    }
    return image;
  }

  /** The time of the image to paint in. */
  get #paintTime(): number {
    return this.#t < 0.99 ? this.#t : halfway;
  }

  /** Chooses a digit to paint in, and its class as the target. */
  #choose(digit: string): void {
    this.#base.value = this.#label.value = digit;
    this.#clear();
  }

  #begin(place: readonly [x: number, y: number]): void {
    this.#strokes.push({ erases: this.#eraser.checked, places: [place] });
    this.#lead();
  }

  /** Asks the worker where the flow leads the painted image. */
  #lead(): void {
    const pixels = this.#painted();
    if (pixels) this.send({ act: "paint", pixels, t: this.#paintTime, label: Number(this.#label.value) });
    this.draw(pixels);
  }

  #clear(): void {
    this.#ledTo = undefined;
    this.#strokes = [];
    this.draw();
  }

  /** The images of a row; those of many steps, at time t. */
  #at(row: (typeof rows)[number], t: number): Float32Array<ArrayBuffer> | undefined {
    const { drawn } = this.#frame!;
    return row === "many" ? samplesAt(drawn, t) : drawn[row];
  }

  /** @param painted the painted image, if already computed */
  protected override draw(painted = this.#painted()): void {
    const context = this.cleared();
    const { ink, muted, velocity } = this.colours;
    const width = this.width / classCount;
    set(context, { font: font(13), fillStyle: muted, textAlign: "left", textBaseline: "alphabetic" });
    if (!this.#frame) return context.fillText("Loading the network", 0, 20);
    const { drawn } = this.#frame;
    const settled = this.#begun?.start === "checkpoint";
    const ten = settled ? "Ten steps: sharp" : "Ten steps";
    const names = {
      many: this.#t < 1 ? `Half-finished, at t = ${this.#t.toFixed(2)}` : ten,
      one: settled ? "One step: the average, blurred" : "One step",
      whole: "One learned step: sharp again",
      nearest: "Nearest training image: similar, not the same",
    };
    let y = 0;
    for (const row of rows) {
      const images = this.#at(row, this.#t);
      if (!images) continue;
      set(context, { fillStyle: muted, textAlign: "left" });
      context.fillText(names[row], 0, y + 14);
      y += 20;
      for (let n = 0; n < classCount; n++) {
        const size = drawn.side ** 2;
        const picture = greyPicture(images.subarray(n * size, (n + 1) * size), drawn.side);
        context.imageSmoothingEnabled = false;
        context.drawImage(picture, n * width + 1, y, width - 2, width - 2);
        if (row !== "many" || `${n}` !== this.#base.value) continue;
        set(context, { strokeStyle: velocity, lineWidth: 3 });
        context.strokeRect(n * width + 1.5, y + 0.5, width - 3, width - 3);
      }
      y += width;
      if (row !== "many" || drawn.seen.length === 0) continue;
      context.textAlign = "center";
      // The judge sees finished samples only; before, its row stays empty.
      const seen = this.#t < 1 ? [] : drawn.seen;
      seen.forEach(([label, share], n) => {
        context.fillStyle = label === n ? ink : muted;
        context.fillText(`${label}${label === n ? " ✓" : ""}`, (n + 0.5) * width, y + 13);
        context.fillStyle = muted;
        if (width > 44) context.fillText(`${Math.round(100 * share)} %`, (n + 0.5) * width, y + 28);
      });
      y += width > 44 ? 34 : 20;
    }
    this.element.style.height = `${Math.ceil(y)}px`;
    this.#drawPaint(painted);
  }

  #drawPaint(image: Float32Array | undefined): void {
    const { side } = this.#frame!.drawn;
    if (!image) return;
    show(this.#paint, image, side);
    byId("paint-text").textContent = `Paint here, at t = ${this.#paintTime.toFixed(2)}`;
    const context = this.#paint.getContext("2d")!;
    if (this.#paint.matches(":focus-visible")) {
      set(context, { strokeStyle: this.colours.velocity, lineWidth: 3 });
      const [x, y] = this.#pen.map((at) => at / side * this.#paint.width);
      context.strokeRect(x - 5, y - 5, 10, 10);
    }
    const base = Number(this.#base.value);
    const last = this.#at("many", 1)!.subarray(base * side * side, (base + 1) * side * side);
    show(this.#led, this.#ledTo ?? last, side);
  }
}

/** The ten-step samples at time t, f32[10, side, side], interpolated linearly within a step. */
export function samplesAt(
  { times, many }: Pick<DrawnDigits, "times" | "many">,
  t: number,
): Float32Array<ArrayBuffer> {
  const at = valuesAt(times, many, t);
  return Float32Array.from({ length: many.length / times.length }, (_, i) => at(i));
}

/** Lightens an image, [side, side], with a soft white dot, or darkens it with a black one if it erases. */
export function paintDot(
  image: Float32Array,
  side: number,
  [x, y]: readonly [number, number],
  erases = false,
): void {
  for (let i = 0; i < image.length; i++) {
    const away = Math.hypot(i % side + 0.5 - x, Math.floor(i / side) + 0.5 - y) * 28 / side;
    const paint = Math.max(0, Math.min(1, brush + 0.5 - away));
    image[i] = erases ? Math.min(image[i], 1 - paint) : Math.max(image[i], paint);
  }
}

/** Draws an image that fills a canvas. */
function show(canvas: HTMLCanvasElement, pixels: Float32Array, side: number): void {
  const context = canvas.getContext("2d")!;
  context.imageSmoothingEnabled = false;
  context.drawImage(greyPicture(pixels, side), 0, 0, canvas.width, canvas.height);
}

/** Pixels from 0 to 1 as a canvas. */
function greyPicture(pixels: Float32Array, side: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  drawImage(canvas, pixels, [1, side, side], { palette: greys, range: [0, 1] });
  return canvas;
}
