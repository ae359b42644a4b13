import { join } from "node:path";
import { BatchOrder } from "../../models/train/batches.ts";
import type { Schedule } from "../../models/mod.ts";
import type { ImageSplit } from "../data/split.ts";
import { hearSignals, TrainingError } from "../program/command.ts";
import type { TrainingConfig } from "../settings/config.ts";
import type { Dataset } from "../data/dataset.ts";
import { Evaluation } from "./evaluation.ts";
import { finishRun } from "./finish_run.ts";
import type { ImageSource } from "../data/image_source.ts";
import { readMetrics } from "../run/metrics_log.ts";
import { writeSampleGrid } from "../draw/sample_grid.ts";
import type { ProgressBar } from "../program/progress.ts";
import { reportName, writeReport } from "../report/write_report.ts";
import { scheduleOf } from "./schedule_of.ts";
import { restoreRunState, saveRun, saveWeights } from "../run/run_state.ts";
import type { Tracker } from "../tracking/tracker.ts";
import { maxOpenLosses, type Trainer } from "./trainer.ts";

/** Milliseconds of work to queue before the host looks up: reads losses, draws the bar, hears Ctrl-C. */
const burstMs = 300;
/** Most images of a grid that is drawn while training. */
const gridSamples = 16;

/** How a session of training ended. */
export interface TrainingResult {
  readonly step: number;
  /** Whether it was stopped before its end. */
  readonly interrupted: boolean;
  readonly valLoss: number | undefined;
  readonly testLoss: number | undefined;
  readonly imagesPerSecond: number;
}

/** What a session of training works with. */
export interface TrainingSession {
  readonly config: TrainingConfig;
  /** The run's folder. */
  readonly run: string;
  readonly data: Dataset;
  readonly images: ImageSplit;
  readonly trainer: Trainer;
  readonly source: ImageSource;
  readonly stop: { readonly stopped: boolean };
  /** Shows a line to the user. */
  readonly say: (message: string) => void;
  /** Makes the bar once it is known how much there is to do. */
  readonly progressBar: (work: { totalSteps: number; startStep: number; maxMinutes: number }) => ProgressBar;
}

/** Trains a network and leaves weights, metrics and pictures in the run's folder. */
export class Training {
  readonly #session: TrainingSession;
  readonly #order: BatchOrder;
  readonly #validation: Uint32Array;
  readonly #schedule: Schedule;
  readonly #totalSteps: number;
  readonly #metrics: string;
  #tracker!: Tracker;
  #evaluation: Evaluation | undefined;
  #valLoss: number | undefined;
  #bestValLoss = Infinity;
  #openLosses: number[] = [];
  #elapsedBefore = 0;
  #startedMs = 0;
  #savedMs = 0;
  #imagesSeen = 0;
  #lastGoodStep = 0;
  #validatedStep = 0;

  constructor(session: TrainingSession) {
    const { config, images: { train, validation }, run } = session;
    this.#session = session;
    this.#order = new BatchOrder(train, config.batchSize, config.seed);
    const most = config.valBatches > 0 ? config.valBatches * config.batchSize : validation.length;
    this.#validation = validation.slice(0, most);
    this.#schedule = scheduleOf(config);
    const byEpochs = config.epochs > 0 ? this.#order.stepsFor(config.epochs) : Infinity;
    this.#totalSteps = Math.min(byEpochs, config.maxSteps > 0 ? config.maxSteps : Infinity);
    this.#metrics = join(run, "metrics.jsonl");
  }

  /**
   * Goes on from where the run stopped. Writes nothing yet.
   *
   * @returns the step of its last checkpoint
   * @throws {TrainingError} if nothing is left to do
   */
  async resume(): Promise<number> {
    const { run, trainer, data } = this.#session;
    const progress = await restoreRunState(run, trainer, data.digest);
    this.#elapsedBefore = progress.elapsedSeconds;
    this.#bestValLoss = progress.bestValLoss ?? Infinity;
    this.#openLosses = [...progress.openLosses];
    this.#schedule.restore?.(progress.schedule);
    this.#lastGoodStep = progress.step;
    this.#validatedStep = progress.validatedStep;
    if (this.#over() && await this.#finished()) {
      const minutes = (this.#elapsedBefore / 60).toFixed(1);
      throw new TrainingError(
        `Nothing is left to do: the run is at step ${progress.step} of ${this.#totalSteps}, ` +
          `${minutes} minutes in; give a larger --epochs, --max-steps or --max-minutes`,
      );
    }
    return progress.step;
  }

  /**
   * Trains until the configured end or a stop signal, then saves; at the end also measures the test loss and draws,
   * which a stop signal leaves to the next session.
   *
   * @param tracker is told what is measured
   * @throws {TrainingError} if the loss stops being a number
   */
  async run(tracker: Tracker): Promise<TrainingResult> {
    const { config, stop, trainer, progressBar } = this.#session;
    this.#tracker = tracker;
    if (trainer.step === 0) await this.#drawSamples();
    this.#startedMs = this.#savedMs = performance.now();
    using bar = progressBar({
      totalSteps: Number.isFinite(this.#totalSteps) ? this.#totalSteps : 0,
      startStep: trainer.step,
      maxMinutes: config.maxMinutes > 0 ? config.maxMinutes - this.#elapsedBefore / 60 : 0,
    });
    let burst = 1;
    while (!this.#over() && !stop.stopped) {
      const started = performance.now();
      const from = trainer.step;
      const losses = await this.#steps(burst);
      await hearSignals();
      bar.update(trainer.step, losses[losses.length - 1]);
      const msPerStep = (performance.now() - started) / losses.length;
      burst = Math.min(Math.max(Math.floor(burstMs / msPerStep), 1), maxOpenLosses / 2);
      if (this.#isOver(config.valEpochs, from)) await this.#validate();
      if (this.#isOver(config.sampleEpochs, from)) await this.#drawSamples();
      if (this.#isOver(1, from) || performance.now() - this.#savedMs > config.checkpointMinutes * 60e3) {
        await this.#save();
      }
    }
    const trainSeconds = (performance.now() - this.#startedMs) / 1000;
    if (!stop.stopped) await this.#validate();
    await this.#save();
    bar.finish();
    const testLoss = await this.#finish();
    return {
      step: trainer.step,
      interrupted: testLoss === undefined,
      valLoss: this.#valLoss,
      testLoss,
      imagesPerSecond: this.#imagesSeen / trainSeconds,
    };
  }

  get #elapsedSeconds(): number {
    return this.#elapsedBefore + (performance.now() - this.#startedMs) / 1000;
  }

  /** Share of the run that is done, by steps or by time, whichever ends it first. */
  get #progress(): number {
    const { config, trainer } = this.#session;
    const bySteps = trainer.step / Math.max(this.#totalSteps - 1, 1);
    const byTime = config.maxMinutes > 0 && this.#startedMs > 0
      ? this.#elapsedSeconds / (config.maxMinutes * 60)
      : 0;
    return Math.min(Math.max(bySteps, byTime), 1);
  }

  #over(): boolean {
    const { config, trainer } = this.#session;
    const seconds = this.#startedMs > 0 ? this.#elapsedSeconds : this.#elapsedBefore;
    return trainer.step >= this.#totalSteps || (config.maxMinutes > 0 && seconds >= config.maxMinutes * 60);
  }

  /** Whether an interval of so many epochs has ended since a step. */
  #isOver(epochs: number, since: number): boolean {
    if (epochs === 0) return false;
    const { step } = this.#session.trainer;
    return this.#order.intervalsAfter(step, epochs) > this.#order.intervalsAfter(since, epochs);
  }

  /** The step with which an interval of so many epochs ends. */
  #endOf(epochs: number): number {
    if (epochs === 0) return Infinity;
    return this.#order.stepsFor(this.#order.intervalsAfter(this.#session.trainer.step, epochs) + 1, epochs);
  }

  /** Runs up to `count` steps, none beyond the next event or the end of the run, and reads their losses. */
  async #steps(count: number): Promise<number[]> {
    const { config, trainer } = this.#session;
    const from = trainer.step;
    const events = [1, config.valEpochs, config.sampleEpochs].map((epochs) => this.#endOf(epochs));
    const end = Math.min(from + count, this.#totalSteps, ...events);
    const learningRates: number[] = [];
    while (trainer.step < end) {
      const learningRate = this.#schedule.learningRate(this.#progress);
      learningRates.push(learningRate);
      trainer.queueStep(this.#order.batch(trainer.step), learningRate);
    }
    const losses = await trainer.losses();
    this.#imagesSeen += losses.length * config.batchSize;
    losses.forEach((loss, i) => this.#note(from + i, loss, learningRates[i]));
    return losses;
  }

  /** Takes note of a step's loss; every `logEvery` steps their mean becomes a line of the metrics. */
  #note(step: number, loss: number, learningRate: number): void {
    const { config } = this.#session;
    if (!Number.isFinite(loss)) {
      const images = Array.from(this.#order.batch(step));
      throw new TrainingError(
        `The loss is ${loss} at step ${step + 1} (epoch ${this.#order.epochsAfter(step) + 1}, images ` +
          `${images.slice(0, 8).join(", ")}${
            images.length > 8 ? ", ..." : ""
          }): ${this.#adviceOnDivergence()}`,
      );
    }
    this.#openLosses.push(loss);
    if ((step + 1) % config.logEvery !== 0) return;
    this.#tracker.log({
      step: step + 1,
      epoch: this.#order.epochsAfter(step + 1),
      train_loss: this.#openLosses.reduce((sum, value) => sum + value, 0) / this.#openLosses.length,
      learning_rate: learningRate,
      elapsed_seconds: Number(this.#elapsedSeconds.toFixed(3)),
    });
    this.#openLosses = [];
  }

  #adviceOnDivergence(): string {
    const checkpoint = this.#lastGoodStep > 0
      ? `the last good checkpoint is ${
        join(this.#session.run, "last.safetensors")
      } of step ${this.#lastGoodStep}`
      : "no checkpoint was saved before";
    return `${checkpoint}; try a smaller --lr or --clip 1`;
  }

  /** Measures the validation loss, once at a step. */
  async #validate(): Promise<void> {
    const { config, trainer, source, run } = this.#session;
    if (this.#validation.length === 0 || this.#validatedStep === trainer.step) return;
    this.#validatedStep = trainer.step;
    this.#evaluation ??= trainer.withBestWeights(() =>
      new Evaluation(trainer.model, source, config.batchSize, config.seed)
    );
    this.#valLoss = await this.#evaluation.loss(this.#validation);
    this.#schedule.observe?.(this.#valLoss);
    this.#tracker.log({
      step: trainer.step,
      epoch: this.#order.epochsAfter(trainer.step),
      val_loss: this.#valLoss,
      elapsed_seconds: Number(this.#elapsedSeconds.toFixed(3)),
    });
    if (!(this.#valLoss < this.#bestValLoss)) return;
    this.#bestValLoss = this.#valLoss;
    await saveWeights(run, "best", trainer, source, await trainer.bestWeights.state());
  }

  /** Draws samples of the same noise each time, so that they can be compared over the epochs. */
  async #drawSamples(): Promise<void> {
    const { config, run, trainer, source } = this.#session;
    if (config.sampleEpochs === 0 || config.samples === 0) return;
    const picture = await writeSampleGrid(run, trainer.step, {
      model: trainer.model,
      normalization: source.normalization,
      shape: source.shape,
    }, {
      count: Math.min(config.samples, gridSamples),
      seed: config.seed,
      steps: config.sampleSteps,
      solver: config.solver,
    }, (draw) => trainer.withBestWeights(draw));
    const epoch = this.#order.epochsAfter(trainer.step);
    this.#tracker.log({ step: trainer.step, epoch, "image/samples": picture });
  }

  async #save(): Promise<void> {
    const { run, trainer, source, data } = this.#session;
    const saved = await saveRun(run, trainer, source, {
      step: trainer.step,
      elapsedSeconds: this.#elapsedSeconds,
      bestValLoss: Number.isFinite(this.#bestValLoss) ? this.#bestValLoss : null,
      validatedStep: this.#validatedStep,
      schedule: this.#schedule.state?.() ?? {},
      openLosses: this.#openLosses,
      dataDigest: data.digest,
    });
    if (!saved) {
      throw new TrainingError(
        `The weights are no finite numbers after step ${trainer.step}: ${this.#adviceOnDivergence()}`,
      );
    }
    this.#savedMs = performance.now();
    this.#lastGoodStep = trainer.step;
  }

  /** Whether this step was also the last one of an earlier session, which left all that a run leaves. */
  async #finished(): Promise<boolean> {
    const { run } = this.#session;
    return await this.#tested() && await Deno.stat(join(run, reportName)).then(() => true, () => false);
  }

  /** Whether the test loss of this step is noted. */
  async #tested(): Promise<boolean> {
    const metrics = await readMetrics(this.#metrics);
    return metrics.some((line) => line.step === this.#session.trainer.step && "test_loss" in line);
  }

  /** Draws the pictures, notes the test loss and reports. @returns the test loss, unless stopped on the way */
  async #finish(): Promise<number | undefined> {
    const { run, trainer, stop } = this.#session;
    const testLoss = await finishRun(this.#session, async () => {
      await hearSignals();
      return stop.stopped;
    });
    if (testLoss === undefined) return;
    if (!await this.#tested()) {
      const epoch = this.#order.epochsAfter(trainer.step);
      this.#tracker.log({ step: trainer.step, epoch, test_loss: testLoss });
    }
    await writeReport([run], join(run, reportName));
    return testLoss;
  }
}
