import { join } from "node:path";
import { BatchOrder, progressAt, type Schedule, stateOf, Trainer } from "../../models/mod.ts";
import type { Measured, TrainedRun } from "./artifact.ts";
import { writeArtifacts } from "./artifacts.ts";
import { TrainingError } from "../cli/task.ts";
import { yieldToEvents } from "../../kernels/core/yield_to_events.ts";
import { type ProgressBar, stageProgress } from "../cli/progress.ts";
import { runFile } from "../run/files.ts";
import { objectiveOf } from "../cli/training_config.ts";
import type { RunTracker } from "../tracking/run_tracker.ts";
import { type Cadence, KeptWeights, SampleGrids, Validation } from "./between_steps.ts";
import {
  isComplete,
  isMeasured,
  lengthOf,
  resumeSchedule,
  scheduleOf,
  type TrainingOutcome,
  type TrainingSession,
} from "./session.ts";
import { LossLog } from "./loss_log.ts";
import { type PlannedStage, stageAt, stagesOf } from "../cli/stages.ts";
import { PairedBatches } from "./paired_batches.ts";
import { restoreRunState, saveRun, saveWeights } from "./run_state.ts";
import { type Interlude, stepsWithin, type Trial } from "./trial.ts";

/** Milliseconds of steps to queue before reading losses, updating the progress bar and handling signals. */
const burstMs = 300;

/** Minimum milliseconds between a checkpoint and another one at the end of an epoch. */
const freshMs = 10_000;

/** The training loop: steps, with validation, sample grids and checkpoints between them. */
export class TrainingLoop implements Disposable {
  readonly #session: TrainingSession;
  readonly #order: BatchOrder;
  readonly #pairs: PairedBatches;
  readonly #schedule: Schedule;
  readonly #losses: LossLog;
  readonly #validation: Validation;
  readonly #grids: SampleGrids;
  readonly #kept: KeptWeights;
  readonly #stages: readonly PlannedStage[] | undefined;
  #totalSteps: number;
  #tracker!: RunTracker;
  #elapsedBefore = 0;
  #startedMs = 0;
  #savedMs = 0;
  #imagesSeen = 0;
  #savedStep = 0;

  constructor(session: TrainingSession) {
    const { config, images: { train }, source } = session;
    this.#session = session;
    this.#order = new BatchOrder(train, config.batchSize, config.seed);
    const { coupling } = objectiveOf(config);
    const { host } = source.augmented(config);
    this.#pairs = new PairedBatches(this.#order, coupling, host, config);
    this.#schedule = scheduleOf(config);
    this.#losses = new LossLog(this.#order, config.logEvery, () => this.#adviceOnDivergence());
    this.#validation = new Validation(session);
    this.#grids = new SampleGrids(session);
    this.#kept = new KeptWeights(session);
    this.#stages = stagesOf(config);
    this.#totalSteps = lengthOf(config, this.#order);
  }

  /** Stops the worker that pairs batches. */
  [Symbol.dispose](): void {
    this.#pairs[Symbol.dispose]();
  }

  /** Steps of the run; Infinity while only minutes limit it. */
  get totalSteps(): number {
    return this.#totalSteps;
  }

  /** Epochs between validations and between grids; those that are `auto` follow from the length of the run. */
  get cadence(): Cadence {
    return this.#cadenceIn(this.#totalSteps);
  }

  #cadenceIn(totalSteps: number) {
    const { config: { valEpochs, sampleEpochs, batchSize }, images: { train } } = this.#session;
    const epochs = (steps: number) => Number((steps * batchSize / train.length).toPrecision(3));
    return {
      valEpochs: valEpochs === "auto" ? epochs(this.#validation.everySteps(totalSteps)) : valEpochs,
      sampleEpochs: sampleEpochs === "auto" ? epochs(this.#grids.everySteps(totalSteps)) : sampleEpochs,
    };
  }

  get #trainer(): Trainer {
    return this.#session.network.trainer;
  }

  /**
   * Restores the last checkpoint of the run without writing anything.
   *
   * @returns the step of the checkpoint
   * @throws {RunError} if there is no checkpoint, or it was trained on other data
   * @throws {SafetensorsError} if the checkpoint is damaged
   * @throws {StateError} if the checkpoint belongs to another network
   * @throws {TrainingError} if nothing is left to do, or another length would move the learning rate
   */
  async resume(): Promise<number> {
    const { run, data, config } = this.#session;
    const progress = await restoreRunState(run, this.#trainer, data);
    this.#elapsedBefore = progress.elapsedSeconds;
    this.#validation.lowest = progress.bestValLoss ?? Infinity;
    this.#validation.step = progress.validatedStep;
    this.#losses.restore(progress.recentSteps);
    this.#savedStep = progress.step;
    const spent = config.maxMinutes > 0 && this.#elapsedBefore >= config.maxMinutes * 60;
    if (spent) this.#totalSteps = Math.min(this.#totalSteps, progress.step);
    if (progress.step >= this.#totalSteps && await isComplete(run, progress.step)) {
      const minutes = (this.#elapsedBefore / 60).toFixed(1);
      throw new TrainingError(
        `Nothing left to do: the run is at step ${progress.step} of ${this.#totalSteps}, after ` +
          `${minutes} minutes; use a larger --epochs, --max-steps or --max-minutes`,
      );
    }
    resumeSchedule(this.#session, this.#schedule, this.#order, progress, this.#totalSteps);
    return progress.step;
  }

  /**
   * Turns a limit in minutes into a number of steps, using a few trial steps. From then on, the run depends only on
   * steps.
   *
   * @returns false if stopped first
   */
  async fixSteps(): Promise<boolean> {
    const { config } = this.#session;
    const left = config.maxMinutes * 60 - this.#elapsedBefore;
    if (config.maxMinutes === 0 || left <= 0 || this.#trainer.step >= this.#totalSteps) return true;
    const steps = await stepsWithin(left, this.#trainer, this.trial);
    if (steps === undefined) return false;
    this.#totalSteps = Math.min(this.#totalSteps, this.#trainer.step + steps);
    return true;
  }

  /** Steps, validations and grids to time; they do not change what is stored. */
  get trial(): Trial & { readonly interludes: readonly (Interlude & { readonly name: keyof Cadence })[] } {
    const { signal } = this.#session;
    const interlude = (name: keyof Cadence, run: () => Promise<unknown>) => ({
      name,
      everySteps: (totalSteps: number) => this.#order.stepsFor(1, this.#cadenceIn(totalSteps)[name]),
      run,
    });
    return {
      batches: (from, to) => this.#pairs.batches(from, to),
      learningRate: this.#schedule.learningRate(0),
      interludes: [
        ...this.#validation.images.length > 0
          ? [interlude("valEpochs", () => this.#validation.measure())]
          : [],
        ...this.#grids.enabled ? [interlude("sampleEpochs", () => this.#grids.draw())] : [],
      ],
      stopped: () => signal.aborted,
    };
  }

  /**
   * Trains until the end or the signal, then saves. At the end it also writes the run's artifacts; after a signal the
   * next session writes what is missing.
   *
   * @param tracker records metrics
   * @param bar shows progress
   * @throws {TrainingError} if a loss or weight becomes NaN or infinite
   */
  async run(tracker: RunTracker, bar?: ProgressBar): Promise<TrainingOutcome> {
    const { config, signal, source, ...session } = this.#session;
    const trainer = this.#trainer;
    this.#tracker = tracker;
    if (trainer.step === 0 && !await this.#isMeasured("image/samples")) await this.#logGrid();
    this.#startedMs = this.#savedMs = performance.now();
    const { valEpochs, sampleEpochs } = this.cadence;
    let burst = 1;
    while (trainer.step < this.#totalSteps && !signal.aborted) {
      this.#announceStage(bar);
      const started = performance.now();
      const from = trainer.step;
      const losses = await this.#runSteps(burst);
      await yieldToEvents();
      bar?.update(trainer.step, losses[losses.length - 1]);
      const msPerStep = (performance.now() - started) / losses.length;
      burst = Math.min(Math.max(Math.floor(burstMs / msPerStep), 1), Trainer.maxOpenLosses / 2);
      const isOver = (epochs: number) => this.#order.endsWithin(from, trainer.step, epochs);
      await this.#kept.keep(trainer.step, this.#totalSteps);
      if (isOver(valEpochs)) await this.#validate();
      if (isOver(sampleEpochs)) await this.#logGrid();
      const unsavedMs = performance.now() - this.#savedMs;
      if (unsavedMs > config.checkpointMinutes * 60e3 || isOver(1) && unsavedMs > freshMs) await this.save();
    }
    const trainSeconds = (performance.now() - this.#startedMs) / 1000;
    if (!signal.aborted) await this.#logLastSteps(); // a stopped run continues this line when resumed
    if (!signal.aborted) await this.#validate();
    await this.save();
    bar?.finish();
    const trained = { ...session, config, source, drawable: await this.#kept.drawable() };
    const { done, testLoss } = await this.#writeArtifacts(trained);
    return {
      step: trainer.step,
      interrupted: !done,
      valLoss: this.#validation.loss,
      testLoss,
      imagesPerSecond: this.#imagesSeen / trainSeconds,
    };
  }

  /** Announces the stage of a distillation that begins. */
  #announceStage(bar: ProgressBar | undefined): void {
    const { say } = this.#session;
    const { step } = this.#trainer;
    const at = this.#stages?.findIndex(({ from }) => from === step) ?? -1;
    if (at < 0) return;
    const { name, steps } = this.#stages![at];
    bar?.clear();
    say(`Stage ${at + 1} of ${this.#stages!.length}: ${name}, ${steps} steps`);
  }

  get #elapsedSeconds(): number {
    const since = this.#startedMs > 0 ? performance.now() - this.#startedMs : 0;
    return this.#elapsedBefore + since / 1000;
  }

  /** Runs up to `count` steps, at most until the next event or the end of the run, and reads their losses. */
  async #runSteps(count: number): Promise<number[]> {
    const { config } = this.#session;
    const trainer = this.#trainer;
    const from = trainer.step;
    const events = [
      ...Object.values(this.cadence).map((epochs) => this.#order.endAfter(from, epochs)),
      ...(this.#stages ?? []).map((stage) => stage.from).filter((start) => start > from),
    ];
    const end = Math.min(from + count, ...events, this.#kept.next(from, this.#totalSteps), this.#totalSteps);
    const learningRates: number[] = [];
    for (const examples of await this.#pairs.batches(from, end)) {
      const learningRate = this.#learningRate(trainer.step);
      learningRates.push(learningRate);
      trainer.queueStep(examples, learningRate);
    }
    const { losses, gradientNorms } = await trainer.measures();
    this.#imagesSeen += losses.length * config.batchSize;
    for (const [i, loss] of losses.entries()) {
      const measured = { loss, gradientNorm: gradientNorms[i] };
      const line = this.#losses.add(from + i, measured, learningRates[i]);
      if (line) this.#tracker.log({ ...line, ...await this.#pairs.costs(line.step), ...this.#elapsed });
    }
    return losses;
  }

  /** Logs the last steps of a run, which do not fill a line. */
  async #logLastSteps(): Promise<void> {
    const { step } = this.#trainer;
    const line = this.#losses.end(step, this.#learningRate(Math.max(step - 1, 0)));
    if (!line || await this.#isMeasured("train_loss")) return;
    this.#tracker.log({ ...line, ...await this.#pairs.costs(step), ...this.#elapsed });
  }

  /** The learning rate of a step; each stage of a distillation has the whole schedule. */
  #learningRate(step: number): number {
    if (!this.#stages) return this.#schedule.learningRate(progressAt(step, this.#totalSteps));
    const { from, steps, settings } = stageAt(this.#stages, step);
    return this.#schedule.learningRate(progressAt(step - from, steps)) * settings.rate;
  }

  get #elapsed() {
    return { elapsed_seconds: Number(this.#elapsedSeconds.toFixed(3)) };
  }

  #adviceOnDivergence(): string {
    const last = join(this.#session.run, runFile.last);
    const checkpoint = this.#savedStep > 0
      ? `the last good checkpoint is ${last}, step ${this.#savedStep}`
      : "no checkpoint has been saved";
    return `${checkpoint}; try a smaller --lr or --clip 1`;
  }

  /** Measures the validation loss, at most once per step. */
  async #validate(): Promise<void> {
    const { step } = this.#trainer;
    if (this.#validation.images.length === 0 || this.#validation.step === step) return;
    const lowest = await this.#validation.run(step);
    const loss = this.#validation.loss!;
    this.#schedule.observe?.(loss);
    this.#tracker.log({ step, epoch: this.#order.epochsAfter(step), val_loss: loss, ...this.#elapsed });
    if (!lowest) return;
    const { run, network, source } = this.#session;
    await saveWeights(run, runFile.best, network, source, await stateOf(network.averaged));
  }

  async #logGrid(): Promise<void> {
    if (!this.#grids.enabled) return;
    const { step } = this.#trainer;
    const picture = await this.#grids.write(step);
    this.#tracker.log({ step, epoch: this.#order.epochsAfter(step), "image/samples": picture });
  }

  /** Saves the state of the run, for `--resume`. @throws {TrainingError} if weights are not finite */
  async save(): Promise<void> {
    const { run, network, source, data } = this.#session;
    const { step } = this.#trainer;
    const { lowest } = this.#validation;
    const saved = await saveRun(run, network, source, {
      step,
      elapsedSeconds: this.#elapsedSeconds,
      bestValLoss: Number.isFinite(lowest) ? lowest : null,
      validatedStep: this.#validation.step,
      schedule: this.#schedule.state?.() ?? {},
      recentSteps: this.#losses.recent,
      dataDigest: data.digest,
      ...network.options.classes && data.labelDigest && { labelDigest: data.labelDigest },
    });
    if (!saved) {
      throw new TrainingError(
        `The weights are NaN or infinite after step ${step}: ${this.#adviceOnDivergence()}`,
      );
    }
    this.#savedMs = performance.now();
    this.#savedStep = step;
  }

  #isMeasured(name: string): Promise<boolean> {
    return isMeasured(this.#session.run, this.#trainer.step, name);
  }

  async #writeArtifacts(trained: TrainedRun): Promise<{ done: boolean; testLoss: number | undefined }> {
    const { signal, say, terminal } = this.#session;
    const { step } = this.#trainer;
    let measured: Measured = {};
    const stopped = async () => {
      await yieldToEvents();
      return signal.aborted;
    };
    if (!await stopped()) say("Measuring the test loss and drawing pictures");
    const progress = stageProgress("network evaluations", terminal);
    const done = await writeArtifacts(
      trained,
      async (values) => {
        measured = { ...measured, ...values };
        if (await this.#isMeasured(Object.keys(values)[0])) return;
        this.#tracker.log({ step, epoch: this.#order.epochsAfter(step), ...values });
      },
      stopped,
      progress.update,
    ).finally(progress.end);
    return { done, testLoss: measured.test_loss };
  }
}
