/// <reference lib="dom" />
import { proxy } from "npm:comlink@4.4.2";
import { byId } from "../../viz/report/page/dom.ts";
import { type RemoteObject, startWorker } from "../../viz/report/page/remote_worker.ts";
import { ExactField } from "../exact_field.ts";
import {
  addressOf,
  needsTraining,
  type PlaygroundSettings,
  possibleSettings,
  settings as table,
  settingsOf,
} from "../settings.ts";
import { strokesOf } from "../plane_data.ts";
import { Controls, offerCopies, TimeControl } from "./controls.ts";
import { DigitsSession } from "./digits.ts";
import { Experiment } from "./experiment.ts";
import { LossChart, LossCurve } from "./loss_chart.ts";
import type { FromTrainer, RestingWeights, ToTrainer } from "./messages.ts";
import { PlaneCanvas } from "./plane_canvas.ts";
import { PlanePointer } from "./plane_pointer.ts";
import { probeTime } from "./plane_pen.ts";
import { formatDigest, keepDistances, statusOf } from "./readings.ts";
import { Story, storySteps } from "./story.ts";
import type { TrainingService } from "./worker.ts";

/** The page. Its address holds the settings, and everything else follows from them. */
export class App {
  readonly #plane: PlaneCanvas;
  readonly #pointer: PlanePointer;
  readonly #chart = new LossChart(byId<HTMLCanvasElement>("loss"));
  readonly #story = new Story((lit) => {
    this.#plane.state.lit = lit;
    this.#plane.changed();
  });
  readonly #controls: Controls;
  readonly #experiment: Experiment;
  readonly #clock: TimeControl;
  /** Absent if the page embeds no digits. */
  readonly #digits: DigitsSession | undefined;
  #settings: PlaygroundSettings;
  /** The worker that trains; it runs the program of the page. */
  #worker: RemoteObject<TrainingService>;
  #device = "";
  /** The losses of the training in the plane. */
  #curve = new LossCurve();
  #floor: number | undefined;
  /** The number of the current training; messages from earlier ones are dropped. */
  #training = 0;
  /** Whether the reader wants it to train. */
  #running = true;
  /** The weights while the training is paused or done. */
  #rest: RestingWeights | undefined;
  #failed = false;

  /** @param program the source of this program, which the worker also runs */
  constructor(private readonly program: string, still: boolean) {
    this.#plane = new PlaneCanvas(byId<HTMLCanvasElement>("plane"), still);
    this.#controls = new Controls((change) => this.change(change));
    this.#clock = new TimeControl(
      still,
      () => this.#settings.step === "watch",
      (t, settled) => settled ? this.change({ t }) : this.#showTime(t),
    );
    this.#pointer = new PlanePointer(this.#plane, () => this.#watch(), (drawn) => this.change({ drawn }));
    this.#experiment = new Experiment(this.#plane, () => this.#settings.steps, () => this.#watch());
    offerCopies(() => this.#settings);
    this.#digits = document.getElementById("digits-data")
      ? new DigitsSession((command) => this.#send({ kind: "digits", command }))
      : undefined;
    this.#settings = this.#readAddress();
    this.#worker = this.#newWorker();
    this.#show();
    this.#begin();
    if (this.#showsDigits) this.#digits?.enter(this.#settings);
    this.#watch();
    this.#listen(still);
  }

  /** Changes settings and the address. */
  change(change: Partial<PlaygroundSettings>): void {
    const { settings, problem } = possibleSettings({ ...this.#settings, ...change });
    this.tell(problem === undefined ? "" : `${problem[0].toUpperCase()}${problem.slice(1)}.`);
    history.replaceState(null, "", addressOf(settings));
    this.#apply(settings);
  }

  /** Shows a line to the reader; an empty one hides it. */
  tell(line: string): void {
    byId("message").textContent = line;
    byId("message").hidden = line === "";
  }

  #listen(still: boolean): void {
    addEventListener("hashchange", () => this.#apply(this.#readAddress()));
    document.addEventListener("visibilitychange", () => this.#sendRunning());
    byId("run").addEventListener("click", () => this.#run());
    byId("one-step").addEventListener("click", () => {
      this.#running = false;
      this.#sendRunning();
      this.#send({ kind: "step" });
      this.#showButtons();
    });
    byId("reset").addEventListener("click", () => {
      if (this.#failed) this.#worker = this.#newWorker();
      this.tell("");
      if (this.#showsDigits) this.#digits?.begin(this.#settings);
      else {
        this.#running = true;
        this.#begin();
      }
      this.#showButtons();
    });
    byId("clear").addEventListener("click", () => this.change({ drawn: "" }));
    if (!still && this.#settings.step === "watch" && this.#settings.t === 1) this.#clock.play();
  }

  get #showsDigits(): boolean {
    return this.#settings.step === "digits";
  }

  /** Whether the reader has yet to draw the data; nothing trains in the plane before. */
  get #awaitsData(): boolean {
    return this.#settings.data === "drawn" && strokesOf(this.#settings.drawn).length === 0;
  }

  #run(): void {
    const { steps, digit_steps } = this.#settings;
    if (this.#showsDigits && this.#digits) {
      const done = this.#digits.rest?.done ?? false;
      if (done) this.change({ digit_steps: digit_steps + table.digit_steps.default });
      this.#digits.run(done || !this.#digits.running);
    } else {
      this.#running = this.#rest?.done || !this.#running;
      if (this.#rest?.done) this.change({ steps: steps + table.steps.default });
      this.#sendRunning();
    }
    this.#showButtons();
  }

  /** @throws {Error} if the browser cannot start a worker from this page */
  #newWorker(): RemoteObject<TrainingService> {
    this.#failed = false;
    this.#digits?.forget();
    const worker = startWorker<TrainingService>(this.program, "trains");
    worker.failed.catch(({ message }) => this.#take({ kind: "failed", message }));
    const take = proxy((message: FromTrainer) => this.#take(message));
    worker.remote.open(byId("library").textContent!, this.#settings, take);
    return worker;
  }

  #send(message: ToTrainer): void {
    this.#worker.remote.take(message);
  }

  #apply(settings: PlaygroundSettings): void {
    const before = this.#settings;
    this.#settings = settings;
    if (settings.step !== before.step) {
      this.#clock.stop();
      this.#experiment.forget();
    }
    this.#show();
    if (settings.threads !== before.threads || settings.device !== before.device) {
      this.#worker.close();
      this.#worker = this.#newWorker();
      this.#begin();
    } else if (needsTraining(before, settings)) this.#begin();
    else if (!this.#awaitsData) {
      if (settings.steps > before.steps) this.#rest = undefined;
      this.#send({ kind: "change", training: this.#training, settings });
    }
    if (this.#showsDigits) this.#digits?.enter(settings);
    if (this.#showsDigits !== (before.step === "digits")) this.#sendRunning();
    this.#watch();
    this.#showButtons();
  }

  /** Starts a new training in place of the last one, once there is data if the reader draws it. */
  #begin(): void {
    this.#training++;
    this.#rest = undefined;
    this.#curve = new LossCurve();
    this.#floor = undefined;
    this.#experiment.forget();
    if (this.#awaitsData) this.#plane.forget();
    else this.#send({ kind: "train", training: this.#training, settings: this.#settings });
    this.#sendRunning();
    this.#showButtons();
  }

  #sendRunning(): void {
    const visible = !document.hidden;
    const running = this.#running && visible && !this.#showsDigits && !this.#awaitsData;
    this.#send({ kind: "run", running });
    this.#digits?.sendRunning(visible && this.#showsDigits);
  }

  #watch(): void {
    const { step, t } = this.#settings;
    const { state } = this.#plane;
    const { pointer } = storySteps[step];
    const place = step === "average" ? state.probe : undefined; // other steps do not show the network's arrow
    const drops = pointer === "drops" ? this.#pointer.drops : [];
    const copy = place && this.#experiment.copy;
    this.#send({ kind: "watch", watched: { place, copy, t: probeTime(state.t ?? t), drops } });
    this.#experiment.show();
    this.#story.showReading(this.#plane.state);
  }

  #take(message: FromTrainer): void {
    if ("training" in message && message.training !== this.#training) return;
    const { state } = this.#plane;
    switch (message.kind) {
      case "opened":
        this.#device = message.description;
        if (message.device !== this.#settings.device) {
          this.#settings = { ...this.#settings, device: message.device };
          history.replaceState(null, "", addressOf(this.#settings));
          this.#controls.show(this.#settings);
        }
        if (message.reason) this.tell(message.reason);
        return;
      case "lesson":
        if (state.lesson?.points.join() !== message.lesson.points.join()) state.kept.clear();
        state.lesson = message.lesson;
        state.exact = new ExactField(message.lesson.points, this.#settings.path);
        state.pair = 0;
        return this.#plane.changed();
      case "frame":
        state.frame = message.frame;
        keepDistances(state);
        this.#curve.add(message.frame.losses);
        this.#showLosses();
        this.#plane.changed();
        document.documentElement.dataset.step = String(message.frame.step); // for tests
        return this.#story.showReading(state);
      case "look":
        state.look = message.look;
        this.#experiment.record();
        return this.#story.showReading(state);
      case "heat":
        if (this.#settings.behind === "nothing") return; // turned off while the worker computed it
        state.likelihood = Float64Array.from(message.logp, Math.exp);
        return this.#plane.changed();
      case "floor":
        this.#floor = message.floor;
        return this.#showLosses();
      case "digits":
        this.#digits?.take(message.report);
        return this.#showButtons();
      case "rested":
        this.#rest = message;
        return this.#showButtons();
      case "failed":
        this.#failed = true;
        this.#running = false;
        this.tell(`${message.message}. Press Reset to start over.`);
        return this.#showButtons();
    }
  }

  /** Shows the losses and steps of the training on stage. */
  #showLosses(): void {
    const digits = this.#showsDigits;
    this.#chart.curve = digits && this.#digits ? this.#digits.curve : this.#curve;
    this.#chart.floor = digits ? undefined : this.#floor;
    this.#chart.changed();
    const { step, milliseconds } = this.#plane.state.frame ?? { step: 0, milliseconds: 0 };
    const { steps } = this.#settings;
    const loss = this.#curve.latest();
    const device = this.#settings.device === "webgpu" ? "GPU" : this.#device.split(",")[0];
    byId("status").textContent = digits && this.#digits
      ? this.#digits.status(device)
      : statusOf({ step, steps, loss, digits: 3, milliseconds, device });
  }

  #showTime(t: number): void {
    this.#plane.state.t = t;
    this.#clock.show(t);
    this.#digits?.showTime(t);
    this.#watch();
  }

  #show(): void {
    const { step, data, t } = this.#settings;
    const { state } = this.#plane;
    this.#controls.show(this.#settings);
    this.#story.show(this.#settings);
    this.#clock.show(t);
    state.settings = this.#settings;
    if (this.#settings.behind === "nothing") state.likelihood = undefined;
    state.t = t;
    const digits = step === "digits";
    const { pointer } = storySteps[step]; // where the pointer has another use, it draws only while there is no data
    const drawing = data === "drawn" && !digits && (this.#awaitsData || !pointer);
    this.#pointer.show(drawing);
    byId("drawing").hidden = data !== "drawn" || digits;
    byId("drawing-text").hidden = !drawing;
    for (const id of ["digits-stage", "paint-stage"]) byId(id).hidden = !digits;
    for (const id of ["plane-stage", "data-label"]) byId(id).hidden = digits;
    this.#plane.changed();
  }

  #showButtons(): void {
    const digits = this.#showsDigits;
    const rest = digits ? this.#digits?.rest : this.#rest;
    const waits = this.#awaitsData && !digits;
    const running = !rest?.done && !waits && (digits ? this.#digits?.running : this.#running);
    const start = digits || rest?.done ? "Train on" : "Train";
    byId("run").textContent = running ? "Pause" : start;
    const disable = (id: string, is = false) => byId<HTMLButtonElement>(id).disabled = is;
    for (const id of ["run", "copy-code"]) disable(id, waits);
    disable("one-step", digits || waits || this.#rest?.done);
    this.#showLosses();
    const setting = digits ? "digit_steps" : "steps";
    const isReproducible = this.#settings.device === "cpu";
    byId("more-text").textContent = rest ? formatDigest(rest, isReproducible ? setting : undefined) : "";
    document.documentElement.dataset.digest = rest?.done ? rest.digest : ""; // for tests
  }

  /** Reads the settings from the address, and reports those that it ignores. */
  #readAddress(): PlaygroundSettings {
    const { settings, problems } = settingsOf(location.hash);
    const ignored = problems.length > 0;
    this.tell(ignored ? `Some settings in this link were ignored: ${problems.join("; ")}.` : "");
    return settings;
  }
}
