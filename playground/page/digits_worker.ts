/// <reference lib="dom" />
import { bytesOf } from "../../viz/image/base64.ts";
import { inflated } from "../../viz/report/page/inflate.ts";
import { unpackedDigits } from "../digits_parts.ts";
import { type DigitsData, DigitsTraining } from "../digits_training.ts";
import { holdOut } from "../own_images.ts";
import type { Library } from "../library.ts";
import type { DigitsCommand, DigitsReport } from "./messages.ts";

/** Milliseconds between drawings, and between measurements of the loss on other images. */
const [drawMs, measureMs] = [1000, 10_000];

/** Trains on images in the worker, and sends what there is to see. */
export class DigitsWorker {
  readonly #library: Library;
  readonly #send: (report: DigitsReport) => void;
  #data: DigitsData | undefined;
  #training: DigitsTraining | undefined;
  #running = false;
  #busy = false;
  #losses: number[] = [];
  /** Of the latest step. */
  #milliseconds = 0;
  /** The loss on other images: at the start, and the latest. */
  #heldOut: { first: number; now: number } | undefined;
  #paint: Extract<DigitsCommand, { act: "paint" }> | undefined;

  constructor(library: Library, send: (report: DigitsReport) => void) {
    this.#library = library;
    this.#send = send;
  }

  /** Answers a message of the page. */
  async take(command: DigitsCommand): Promise<void> {
    switch (command.act) {
      case "begin":
        if (command.parts) this.#data = await dataOf(command.parts);
        this.#training = new DigitsTraining(this.#library, {
          ...this.#data!,
          ...command.own && holdOut(command.own.images, command.own.labels),
        }, command.settings);
        this.#losses = [];
        this.#heldOut = undefined;
        this.#running = command.running;
        return void this.#loop(true);
      case "run":
        this.#running = command.running;
        return void this.#loop();
      case "paint":
        this.#paint = command;
        return this.#busy ? undefined : await this.#lead();
      case "save":
        return this.#send({ about: "file", bytes: await this.#training!.save() });
    }
  }

  async #loop(first = false): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    let [drawn, measured] = [first ? -Infinity : performance.now(), -Infinity];
    let shown: DigitsTraining | undefined;
    while (this.#training && (this.#running || shown !== this.#training)) {
      const training = this.#training;
      if (shown !== training) [drawn, measured] = [-Infinity, -Infinity];
      const now = performance.now();
      if (now - drawn >= drawMs) {
        await this.#draw(training);
        drawn = performance.now();
        shown = training;
      }
      if (this.#running && now - measured >= measureMs) {
        await this.#measure(training);
        measured = performance.now();
      }
      if (this.#running && training === this.#training) {
        const started = performance.now();
        this.#losses.push(await training.train());
        this.#milliseconds = performance.now() - started;
      }
      await this.#lead();
      await breathe();
    }
    this.#busy = false;
    if (this.#training) {
      await this.#measure(this.#training);
      await this.#draw(this.#training);
    }
  }

  async #draw(training: DigitsTraining): Promise<void> {
    const drawn = await training.draw(async () => {
      await this.#lead();
      await breathe();
    });
    if (training !== this.#training) return;
    const losses = Float32Array.from(this.#losses.splice(0));
    const { step } = training;
    this.#send({
      about: "frame",
      frame: { step, losses, drawn, milliseconds: this.#milliseconds, heldOut: this.#heldOut },
    });
  }

  async #measure(training: DigitsTraining): Promise<void> {
    const now = await training.heldOut();
    if (training === this.#training) this.#heldOut = { first: this.#heldOut?.first ?? now, now };
  }

  /** Leads the latest painted image to data. */
  async #lead(): Promise<void> {
    if (!this.#paint || !this.#training) return;
    const { pixels, t, label } = this.#paint;
    this.#paint = undefined;
    this.#send({ about: "led", pixels: await this.#training.lead(pixels, t, label) });
  }
}

/** Unpacks what the page holds as text. */
async function dataOf(parts: { readonly [name: string]: string }): Promise<DigitsData> {
  const { train, heldOut } = unpackedDigits(await inflated(parts.images));
  const [flow, oneStep, judge] = [parts.flow, parts["one-step"], parts.judge].map(bytesOf);
  return { flow, oneStep, judge, train, heldOut };
}

/** Lets the worker take messages. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve();
    port2.postMessage(undefined);
  });
}
