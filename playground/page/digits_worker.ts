/// <reference lib="dom" />
import { yieldToEvents } from "../../kernels/devices/device.ts";
import { unpacked } from "../../viz/report/packing.ts";
import { inflated } from "../../viz/report/page/inflate.ts";
import type { TrainerState } from "../../web/mod.ts";
import type { DigitsParts } from "../digits_parts.ts";
import { DigitsTraining } from "../digits_training.ts";
import type { Library } from "../plane_training.ts";
import type { PlaygroundSettings } from "../settings.ts";
import type { DigitsCommand, DigitsReport, HeldOut } from "./messages.ts";

/** Milliseconds between drawings. */
const drawMs = 1000;
/** Milliseconds between measurements of the held-out loss. */
const measureMs = 10_000;

/** Cancels a measurement because the training has continued. */
export class Overtaken extends Error {
  static ignore(error: unknown): void {
    if (!(error instanceof Overtaken)) throw error;
  }
}

/** Trains on images in the worker, and reports to the page. */
export class DigitsWorker {
  #data: DigitsParts | undefined;
  #settings: PlaygroundSettings | undefined;
  #training: DigitsTraining | undefined;
  /** State of the training when it was last drawn. */
  #kept: TrainerState | undefined;
  /** The training that was drawn last, and its step at that time. */
  #drawn: { readonly training: DigitsTraining; readonly step: number } | undefined;
  #restedAt: number | undefined;
  #running = false;
  #busy = false;
  #losses: number[] = [];
  /** Duration of the latest step. */
  #milliseconds = 0;
  #heldOut: HeldOut | undefined;
  #paint: Extract<DigitsCommand, { act: "paint" }> | undefined;

  constructor(
    private readonly library: Library,
    private readonly send: (report: DigitsReport) => void,
    private readonly onError: (error: unknown) => void,
  ) {}

  /** Handles a message from the page. */
  async take(command: DigitsCommand): Promise<void> {
    switch (command.act) {
      case "begin":
        if (command.parts) {
          const [data, files] = await Promise.all(command.parts.map(inflated));
          this.#data = unpacked<DigitsParts>({ data, files });
        }
        this.#settings = command.settings;
        this.#kept = undefined;
        this.#heldOut = undefined;
        this.#losses = [];
        this.#running = command.running;
        return this.resume();
      case "change":
        this.#training?.continueTo(command.steps);
        return void this.#loop();
      case "run":
        this.#running = command.running;
        return void this.#loop();
      case "paint":
        this.#paint = command;
        return this.#busy ? undefined : await this.#lead();
    }
  }

  /** Recreates the training on the current device from its state when last drawn. */
  resume(): void {
    if (!this.#settings) return;
    this.#training = new DigitsTraining(this.library, this.#data!, this.#settings);
    if (this.#kept) this.#training.restore(this.#kept);
    this.#restedAt = undefined;
    void this.#loop();
  }

  /** Whether there is work left: to draw or to train. */
  get #goesOn(): boolean {
    if (!this.#training) return false;
    return this.#drawn?.training !== this.#training || this.#running && !this.#training.done;
  }

  async #loop(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      let drawn = performance.now();
      let measured = -Infinity;
      do {
        while (this.#goesOn) {
          const training = this.#training!;
          if (this.#drawn?.training !== training || performance.now() - drawn >= drawMs) {
            await this.#draw(training);
            drawn = performance.now();
          }
          // A new training is measured at its start, however short ago the last one was.
          if (this.#running && (!this.#heldOut || performance.now() - measured >= measureMs)) {
            await this.#measure(training);
            measured = performance.now();
          }
          if (this.#running && !training.done && training === this.#training) {
            const started = performance.now();
            this.#losses.push(...await training.train(0, 1));
            this.#milliseconds = performance.now() - started;
          }
          await this.#attend();
        }
        await this.#rest();
      } while (this.#goesOn);
    } catch (error) {
      this.onError(error);
    } finally {
      this.#busy = false;
    }
  }

  /** Reports a training that is paused or done. */
  async #rest(): Promise<void> {
    const training = this.#training;
    if (!training || this.#restedAt === training.step) return;
    const { step } = training;
    if (this.#drawn!.step < step) await this.#draw(training);
    await this.#measure(training);
    const digest = await training.digest();
    if (this.#goesOn) return;
    this.#restedAt = step;
    const rest = { step, digest, done: training.done, heldOut: this.#heldOut! };
    this.send({ about: "rested", rest });
    const bits = await training.bits(async () => {
      await this.#attend();
      if (this.#goesOn) throw new Overtaken();
    }).catch(Overtaken.ignore);
    if (bits) this.send({ about: "rested", rest: { ...rest, bits } });
    else this.#restedAt = undefined;
  }

  /** Lets the reader's input in between parts of the work. */
  async #attend(): Promise<void> {
    await this.#lead();
    await yieldToEvents("task");
  }

  async #draw(training: DigitsTraining): Promise<void> {
    const { step } = training;
    const drawn = await training.draw(() => this.#attend());
    const kept = await training.state();
    if (training !== this.#training) return;
    this.#kept = kept;
    this.#drawn = { training, step };
    const losses = Float32Array.from(this.#losses.splice(0));
    this.send({
      about: "frame",
      frame: { step, losses, drawn, milliseconds: this.#milliseconds, heldOut: this.#heldOut },
    });
  }

  async #measure(training: DigitsTraining): Promise<void> {
    const now = await training.heldOut();
    if (training === this.#training) this.#heldOut = [this.#heldOut?.[0] ?? now, now];
  }

  /** Follows the flow from the latest painted image. */
  async #lead(): Promise<void> {
    if (!this.#paint || !this.#training) return;
    const { pixels, t, label } = this.#paint;
    this.#paint = undefined;
    this.send({ about: "led", pixels: await this.#training.lead(pixels, t, label) });
  }
}
