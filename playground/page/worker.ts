/// <reference lib="dom" />
import type { TrainerState } from "../../web/mod.ts";
import { yieldToEvents } from "../../kernels/devices/device.ts";
import { inflated } from "../../viz/report/page/inflate.ts";
import { messageOf } from "../../viz/report/page/remote_worker.ts";
import { GuidedField, lossFloor } from "../exact_field.ts";
import { type Library, openDevice, PlaneTraining } from "../plane_training.ts";
import { PlaneViews, type Trajectories } from "../plane_views.ts";
import { needsTraining, type PlaygroundSettings } from "../settings.ts";
import { DigitsWorker, Overtaken } from "./digits_worker.ts";
import { fewSteps, type FromTrainer, type ToTrainer, type Watched } from "./messages.ts";

/** Milliseconds per burst of training. */
const burstMs = 12;
/** Milliseconds between frames, which take at most a quarter of the time. */
const frameMs = 100;
/** Milliseconds between bursts of the reader's copy. */
const pauseMs = 30;
/** Solver steps of dots with noise. */
const noisySteps = 64;
/** Number of guided dots. */
const guidedDots = 192;

/** Sends a message to the page; set when the page opens the service. */
let send: (message: FromTrainer) => void;

/** A training with its views. */
interface Shown {
  readonly training: PlaneTraining;
  readonly views: PlaneViews;
}

/** The worker's interface for the page: it trains, and sends what the page shows. */
export class TrainingService {
  /** Whether there is a device; otherwise the page was told why not. */
  #ready = Promise.resolve(false);
  #library!: Library;
  #digits!: DigitsWorker;
  #threads = 1;
  #device: PlaygroundSettings["device"] = "cpu";
  /** State of the training when it was last shown. */
  #kept: TrainerState | undefined;
  #current: (Shown & { readonly id: number; readonly floor: ReturnType<typeof lossFloor> }) | undefined;
  /** The latest guided dots. */
  #guided: { readonly key: string; readonly dots: Trajectories } | undefined;
  /** An untrained copy of the network, which the reader trains. */
  #copy: (Shown & { readonly key: string }) | undefined;
  #settings: PlaygroundSettings | undefined;
  #watched: Watched = { t: 1, drops: [] };
  #running = true;
  /** Whether the loop runs. */
  #busy = false;
  /** Whether the velocity at the watched place has yet to be sent. */
  #lookDue = false;
  #losses: number[] = [];
  #milliseconds = 0;
  /** When the next frame is due. */
  #nextFrameMs = -Infinity;

  /** Loads the library, deflated and in base64, and opens the device; sends the outcome. */
  open(
    library: string,
    computing: Pick<PlaygroundSettings, "device" | "threads">,
    onMessage: (message: FromTrainer) => void,
  ): void {
    send = onMessage;
    this.#ready = this.#open(library, computing).then(() => true, (error) => {
      send({ kind: "failed", message: messageOf(error) });
      return false;
    });
  }

  async #open(
    text: string,
    { device, threads }: Pick<PlaygroundSettings, "device" | "threads">,
  ): Promise<void> {
    const program = new TextDecoder().decode(await inflated(text));
    // In WebKit, workers of pages opened from files cannot import blobs.
    this.#library = await import(`data:text/javascript;charset=utf-8,${encodeURIComponent(program)}`);
    this.#threads = threads;
    this.#digits = new DigitsWorker(
      this.#library,
      (report) => send({ kind: "digits", report }),
      (error) => void this.#recover(error),
    );
    await this.#use(device);
  }

  /** Opens a device, or the processor if there is no GPU. @param reason why, as a line for the reader */
  async #use(device: PlaygroundSettings["device"], reason?: string): Promise<void> {
    try {
      const { description } = await openDevice(this.#library, this.#threads, device);
      this.#device = device;
      send({ kind: "opened", device, description, reason });
    } catch (error) {
      if (device === "cpu") throw error;
      await this.#use("cpu", `${reasonOf(error)}. Training runs on the processor instead.`);
    }
  }

  /** When the GPU is lost, continues on the processor with the latest weights; other errors end the training. */
  async #recover(error: unknown): Promise<void> {
    const lost = error instanceof this.#library.DeviceError &&
      /WebGPU|the device has failed/.test(error.message);
    if (!lost) {
      this.#running = false;
      return send({ kind: "failed", message: messageOf(error) });
    }
    try {
      if (this.#device === "webgpu") {
        this.#device = "cpu";
        await this.#use(
          "cpu",
          `${reasonOf(error)}. Training continues on the processor with the latest weights.`,
        );
        this.#digits.resume();
        if (this.#current) this.#make(this.#current.id, this.#settings!, this.#kept);
      }
      void this.#loop(); // when one loss causes two errors, the second ends the loop
    } catch (error) {
      send({ kind: "failed", message: messageOf(error) });
    }
  }

  /** Handles a message from the page. */
  async take(message: ToTrainer): Promise<void> {
    if (!await this.#ready) return;
    try {
      await this.#answer(message);
    } catch (error) {
      await this.#recover(error);
    }
  }

  async #answer(message: ToTrainer): Promise<void> {
    switch (message.kind) {
      case "train":
        return this.#begin(message.training, message.settings);
      case "change":
        return await this.#change(message.training, message.settings);
      case "run":
        this.#running = message.running;
        if (message.running) return void this.#loop();
        return await this.#rest();
      case "step":
        await this.#train(0, 1);
        return await this.#rest();
      case "watch":
        this.#watched = message.watched;
        this.#lookDue = true;
        this.#keepCopy();
        if (this.#busy) return;
        if (this.#copyLags) return void this.#loop();
        return message.watched.drops.length > 0 ? await this.#show() : await this.#look();
      case "digits":
        return await this.#digits.take(message.command);
    }
  }

  #shown(settings: PlaygroundSettings): Shown {
    const training = new PlaneTraining(this.#library, settings);
    return { training, views: new PlaneViews(this.#library, training) };
  }

  /** Creates a training, from a state if there is one. */
  #make(id: number, settings: PlaygroundSettings, state?: TrainerState): PlaneTraining {
    const shown = this.#shown(settings);
    if (state) shown.training.restore(state);
    this.#kept = state;
    this.#current = { id, ...shown, floor: lossFloor(this.#library, shown.training) };
    return shown.training;
  }

  #begin(id: number, settings: PlaygroundSettings): void {
    const training = this.#make(id, settings);
    this.#settings = settings;
    this.#losses = [];
    this.#nextFrameMs = -Infinity;
    this.#keepCopy();
    const lesson = { points: training.points, ...training.pairs(), closed: settings.pairs === "random" };
    send({ kind: "lesson", training: id, lesson });
    void this.#loop();
  }

  /** Changes settings, and starts a new training if they need one. */
  async #change(id: number, settings: PlaygroundSettings): Promise<void> {
    if (!this.#current || needsTraining(this.#settings!, settings)) return this.#begin(id, settings);
    this.#settings = settings;
    this.#current.training.continueTo(settings.steps);
    if (!this.#busy) await this.#show();
    void this.#loop();
  }

  /** Trains in bursts until the training is done, paused or replaced. */
  async #loop(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      await this.#show();
      while (this.#current && (this.#running || this.#copyLags)) {
        const { id, training, floor } = this.#current;
        if (this.#copyLags) {
          await this.#trainCopy();
          await this.#look();
          continue;
        }
        if (!training.done) await this.#train(burstMs);
        if (performance.now() >= this.#nextFrameMs) await this.#show();
        if (this.#lookDue) await this.#look();
        const { done, value } = await floor.next();
        if (done && value !== undefined) send({ kind: "floor", training: id, floor: value });
        if (done && training.done && this.#current.id === id) break;
        await yieldToEvents("task");
      }
      this.#busy = false;
      await this.#rest();
    } catch (error) {
      this.#busy = false;
      await this.#recover(error);
    }
  }

  async #train(milliseconds: number, maxSteps?: number): Promise<void> {
    if (!this.#current) return;
    const { training } = this.#current;
    const started = performance.now();
    const losses = await training.train(milliseconds, maxSteps);
    if (training !== this.#current?.training || losses.length === 0) return;
    this.#losses.push(...losses);
    this.#milliseconds = (performance.now() - started) / losses.length;
  }

  /** Creates the watched copy, or drops it; it trains for at most the steps of the settings. */
  #keepCopy(): void {
    const { copy } = this.#watched;
    if (!copy || !this.#current) {
      this.#copy = undefined;
      return;
    }
    const key = `${this.#current.id} ${copy.id}`;
    if (this.#copy?.key !== key) this.#copy = { key, ...this.#shown(this.#settings!) };
    this.#copy.training.continueTo(Math.min(copy.steps, this.#settings!.steps));
  }

  get #copyLags(): boolean {
    return this.#copy?.training.done === false;
  }

  /** Trains a step of the copy, slowly enough for the reader to follow; later, more and more steps at a time. */
  async #trainCopy(): Promise<void> {
    const { training } = this.#copy!;
    const end = training.step + Math.ceil(0.06 * training.step + 0.1);
    while (!training.done && training.step < end) {
      await training.train(burstMs, end - training.step);
      await yieldToEvents("task");
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }

  async #show(): Promise<void> {
    if (!this.#current || !this.#settings) return;
    const { id, training, views } = this.#current;
    const settings = this.#settings;
    const losses = Float32Array.from(this.#losses.splice(0));
    const { step } = training;
    const started = performance.now();
    const dots = await this.#dots(this.#current, settings);
    const arrows = await views.arrows();
    const planes = [];
    if (settings.step === "few") {
      for (const moves of fewSteps) {
        planes.push(moves === settings.moves ? dots : await views.dots({ ...settings, moves }));
      }
    }
    const kept = await training.state();
    const drops = [];
    for (const from of this.#watched.drops) drops.push(await views.drop(from));
    const ended = performance.now();
    this.#nextFrameMs = Math.max(started + frameMs, ended + 3 * (ended - started));
    if (training !== this.#current?.training) return;
    this.#kept = kept;
    const milliseconds = this.#milliseconds;
    const frame = { settings, step, losses, dots, planes, arrows, drops, milliseconds };
    send({ kind: "frame", training: id, frame });
    await this.#look();
  }

  /** The dots for a step of the story; guided ones follow the exact means, so training does not move them. */
  async #dots({ training, views }: Shown, settings: PlaygroundSettings): Promise<Trajectories> {
    const { step, seed, noise, data, drawn, path, label, scale } = settings;
    if (step === "random") return await views.dots({ ...settings, moves: noisySteps }, noise);
    if (step !== "classes") return await views.dots(settings);
    const key = JSON.stringify([seed, data, drawn, path, label, scale]);
    if (this.#guided?.key === key) return this.#guided.dots;
    const work = new GuidedField(training.points, settings).trajectories(
      await this.#library.noise(seed, [guidedDots, 2]).read(),
    );
    for (let part = work.next();; part = work.next()) {
      if (part.done) {
        this.#guided = { key, dots: part.value };
        return part.value;
      }
      await yieldToEvents("task");
    }
  }

  /** Sends the network's velocity at the watched place. */
  async #look(): Promise<void> {
    this.#lookDue = false;
    const { place, t } = this.#watched;
    if (!place || !this.#current) return;
    const { id } = this.#current;
    const { training: { step }, views } = this.#copy ?? this.#current;
    send({ kind: "look", training: id, look: { place, t, step, velocity: await views.look(place, t) } });
  }

  async #rest(): Promise<void> {
    await this.#show();
    if (!this.#current) return;
    const { id, training } = this.#current;
    const { step, done } = training;
    send({ kind: "rested", training: id, step, digest: await training.digest(), done });
    await this.#sendHeat();
  }

  /** Sends the likelihood of each place if the page shows it; gives up when training continues. */
  async #sendHeat(): Promise<void> {
    if (!this.#current || this.#settings?.behind !== "likelihood") return;
    const { id, training, views } = this.#current;
    const { step } = training;
    const logp = await views.likelihood(async () => {
      await yieldToEvents("task");
      if (this.#current?.id !== id || training.step !== step) throw new Overtaken();
    }).catch(Overtaken.ignore);
    if (logp) send({ kind: "heat", training: id, logp });
  }
}

/** What happened to a GPU, without the advice that is meant for programmers. */
function reasonOf(error: unknown): string {
  return messageOf(error).split(";")[0].replace(/\.$/, "");
}
