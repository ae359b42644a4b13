/// <reference lib="dom" />
import { byId } from "../../viz/report/page/dom.ts";
import { sideOf } from "../digits_training.ts";
import type { PlaygroundSettings } from "../settings.ts";
import { DigitsStage } from "./digits_stage.ts";
import { LossCurve } from "./loss_chart.ts";
import type { DigitsCommand, DigitsReport, HeldOut, RestingDigits } from "./messages.ts";
import { statusOf } from "./readings.ts";

/** The reader's work with digits: to start, train and paint. */
export class DigitsSession {
  curve = new LossCurve();
  running = false;
  /** The weights while the training is paused or done. */
  rest: RestingDigits | undefined;
  readonly #stage: DigitsStage;
  readonly #send: (command: DigitsCommand) => void;
  /** The settings that the current training started with. */
  #begun: PlaygroundSettings | undefined;
  /** The number of samples that the judge recognises. */
  #right: number | undefined;
  #heldOut: HeldOut | undefined;

  constructor(send: (command: DigitsCommand) => void) {
    this.#send = send;
    this.#stage = new DigitsStage(send);
  }

  /** Shows digits, and starts a training unless there is one from the same start. */
  enter(settings: PlaygroundSettings): void {
    const { start, seed, digit_steps: steps } = settings;
    if (this.#begun?.start !== start || this.#begun.seed !== seed) this.begin(settings);
    else if (this.#begun.digit_steps !== steps) this.#send({ act: "change", steps });
    this.#begun = settings;
    this.#stage.showTime(settings.t);
  }

  /** Starts a training; one from scratch runs immediately. */
  begin(settings: PlaygroundSettings): void {
    this.#begun = settings;
    this.running = settings.start !== "checkpoint";
    this.curve = new LossCurve();
    this.rest = this.#right = this.#heldOut = undefined;
    this.#showReading();
    const side = sideOf(settings.start);
    byId("digit-size").textContent = `${side} by ${side} pixels is a dot too, in a space of ${
      side ** 2
    } dimensions`;
    this.#stage.begin(settings, this.running);
  }

  /** Forgets the state of a replaced worker. */
  forget(): void {
    this.#begun = undefined;
    this.#stage.forget();
  }

  /** Trains or pauses. */
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

  /** Handles a report from the worker. */
  take(report: DigitsReport): void {
    switch (report.about) {
      case "led":
        return this.#stage.take(report);
      case "rested":
        this.rest = report.rest;
        this.#heldOut = report.rest.heldOut;
        return this.#showReading();
      case "frame": {
        const { losses, heldOut, drawn, step } = report.frame;
        this.#stage.take(report);
        this.curve.add(losses);
        this.rest = undefined;
        this.#heldOut = heldOut;
        this.#right = drawn.seen.filter(([label], n) => label === n).length;
        this.#showReading();
        document.documentElement.dataset.digits = String(step); // for tests
      }
    }
  }

  /** The line under the losses. */
  status(device: string): string {
    const { frame } = this.#stage;
    if (!frame || !this.#begun) return "Loading the network";
    const { step, milliseconds } = frame;
    const { digit_steps: steps } = this.#begun;
    return statusOf({ step, steps, loss: this.curve.latest(), digits: 4, milliseconds, device });
  }

  #showReading(): void {
    const [heldOut, bits] = [this.#heldOut, this.rest?.bits];
    const sentences: string[] = [];
    if (this.#right !== undefined) {
      sentences.push(`The judge sees the right digit in ${this.#right} of 10.`);
    }
    if (heldOut && heldOut.first !== heldOut.now) {
      const verdict = heldOut.now < heldOut.first ? "lower than" : "not lower than";
      sentences.push(
        `On images held out of training, the loss is ${
          heldOut.now.toFixed(4)
        }, ${verdict} it was at the start ` +
          `(${heldOut.first.toFixed(4)}).`,
      );
    }
    if (bits) {
      const [mean, error] = bits.map((value) => value.toFixed(2));
      sentences.push(
        `These images take ${mean} ± ${error} bits per dimension, compared with 8 uncompressed.`,
      );
    }
    byId("held-out").textContent = sentences.join(" ");
  }
}
