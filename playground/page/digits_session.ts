/// <reference lib="dom" />
import { byId } from "../../viz/report/page/dom.ts";
import type { PlaygroundSettings } from "../settings.ts";
import { digitPixels } from "../digits_parts.ts";
import { holdOut } from "../own_images.ts";
import { DigitsStage } from "./digits_stage.ts";
import { LossCurve } from "./loss_chart.ts";
import type { DigitsCommand, DigitsReport } from "./messages.ts";
import { type ReaderImages, readOwnFiles } from "./own_files.ts";

/** What the reader does with digits: begin, train, paint. */
export class DigitsSession {
  curve = new LossCurve();
  running = false;
  readonly #stage: DigitsStage;
  readonly #send: (command: DigitsCommand) => void;
  /** What the training in progress has begun with. */
  #begun: string | undefined;
  /** Images of the reader. */
  #own: ReaderImages | undefined;

  constructor(send: (command: DigitsCommand) => void) {
    this.#send = send;
    this.#stage = new DigitsStage(send);
  }

  /** Shows digits, and begins a training unless there is one from the same start. */
  enter(settings: PlaygroundSettings): void {
    if (this.#begun !== keyOf(settings)) this.begin(settings);
    this.#stage.showTime(settings.t);
  }

  /** Begins a training; one from nothing runs at once. */
  begin(settings: PlaygroundSettings): void {
    this.#begun = keyOf(settings);
    this.running = settings.start !== "checkpoint";
    this.curve = new LossCurve();
    byId("held-out").textContent = "";
    this.#stage.begin(settings, this.running, this.#own);
  }

  /** Trains on files of the reader. @throws {PlaygroundError} if they hold no images */
  async beginWith(files: readonly File[], settings: PlaygroundSettings): Promise<void> {
    const own = await readOwnFiles(files);
    holdOut(own.images, own.labels); // or throws
    this.#own = own;
    this.begin(settings);
    const count = (own.images.length / digitPixels).toLocaleString("en");
    byId("own-text").textContent = `${count} images of yours, ${own.labels ? "with" : "without"} labels; ` +
      "they stay in this page, and are not in its address.";
  }

  /** Forgets what the worker had, as there is a new one. */
  forget(): void {
    this.#begun = undefined;
    this.#stage.forget();
  }

  /** Lets it train or pause. */
  run(running: boolean): void {
    this.running = running;
    this.send();
  }

  /** Tells the worker whether to train. @param visible whether the reader can see digits */
  send(visible = true): void {
    if (this.#begun !== undefined) this.#send({ act: "run", running: this.running && visible });
  }

  showTime(t: number): void {
    this.#stage.showTime(t);
  }

  /** Takes a report of the worker. */
  take(report: Exclude<DigitsReport, { about: "file" }>): void {
    this.#stage.take(report);
    if (report.about !== "frame") return;
    const { losses, heldOut, drawn } = report.frame;
    this.curve.add(losses);
    const right = drawn.seen.filter(([label], n) => label === n).length;
    const words = this.#own ? "" : `The judge sees the right digit in ${right} of 10.`;
    byId("held-out").textContent = words + heldOutWords(heldOut);
    document.documentElement.dataset.digits = String(report.frame.step); // for tests
  }

  /** What is known of the steps. */
  status(): string {
    const { frame } = this.#stage;
    if (!frame) return "Loading the network";
    const loss = this.curve.latest();
    return [
      `Step ${frame.step.toLocaleString("en")}`,
      ...loss === undefined ? [] : [`loss ${loss.toFixed(4)}`],
      ...frame.milliseconds === 0 ? [] : [`${frame.milliseconds.toFixed(0)} ms a step`],
    ].join(" · ");
  }
}

function keyOf({ start, seed }: PlaygroundSettings): string {
  return `${start} ${seed}`;
}

function heldOutWords(heldOut: { readonly first: number; readonly now: number } | undefined): string {
  if (!heldOut || heldOut.first === heldOut.now) return "";
  const { first, now } = heldOut;
  const verdict = now < first ? "lower than" : "not lower than";
  return ` On images that it does not train on, the loss is ${now.toFixed(4)}, ${verdict} at the start (${
    first.toFixed(4)
  }).`;
}
