import { join } from "node:path";
import { yieldToEvents } from "../../kernels/devices/device.ts";
import {
  BatchOrder,
  type Coupling,
  type HostExamples,
  type NoiseDraw,
  type Pairing,
  stateOf,
  Trainer,
  type TransportCoupling,
} from "../../models/mod.ts";
import { formatTime, type ProgressBar } from "../cli/output.ts";
import { TrainingError } from "../cli/task.ts";
import { runFile } from "../run/files.ts";
import { objectiveOf } from "../settings/objective.ts";
import type { ResumedStart, RunConfig } from "../settings/run_config.ts";
import type { RunTracker } from "../tracking/run_tracker.ts";
import { isComplete, isMeasured, KeptWeights, restoreRun, saveRun, saveWeights } from "./checkpoint.ts";
import { LossLog, SampleGrids, Validation } from "./measures.ts";
import type { PreparedTraining } from "./prepare_training.ts";
import { RunSchedule } from "./schedule.ts";

/** Milliseconds of steps to queue before reading losses, updating the progress bar and handling signals. */
const burstMs = 300;
/** Minimum milliseconds between a checkpoint and another one at the end of an epoch. */
const freshMs = 10_000;

/** What a loop needs besides its network and data. */
export interface LoopOptions {
  readonly run: string;
  /** Steps after which averaged weights are kept. */
  readonly keepAt: readonly number[];
  /** Ends the loop early. */
  readonly signal: AbortSignal;
  readonly say: (message: string) => void;
  /** Called with the settings that repeat the run, when they change. */
  readonly onSettings: (settings: Partial<RunConfig>) => Promise<void>;
}

/** The steps of a run, with validation, sample grids and checkpoints between them. */
export class TrainingLoop implements Disposable {
  readonly kept: KeptWeights;
  readonly schedule: RunSchedule;
  readonly validation: Validation;
  /** Images that this session has trained on, and its seconds of training. */
  imagesSeen = 0;
  readonly #order: BatchOrder;
  readonly #pairs: PairedBatches;
  readonly #losses: LossLog;
  readonly #grids: SampleGrids;
  #tracker!: RunTracker;
  #elapsedBefore = 0;
  #startedMs = 0;
  #savedMs = 0;
  #savedStep = 0;

  constructor(readonly prepared: PreparedTraining, readonly options: LoopOptions) {
    const { config, images: { train }, source } = prepared;
    this.#order = new BatchOrder(train, config.batchSize, config.seed);
    const { host } = source.augmented(config);
    this.#pairs = new PairedBatches(this.#order, objectiveOf(config).coupling, host, config.logEvery);
    this.schedule = new RunSchedule(config, this.#order);
    this.validation = new Validation(prepared);
    this.#grids = new SampleGrids(prepared);
    const muonFactor = config.optimizer === "muon" ? config.muonLr / config.lr : undefined;
    this.#losses = new LossLog(this.#order, config.logEvery, () => this.#adviceOnDivergence(), muonFactor);
    this.kept = new KeptWeights(options.run, prepared, options.keepAt);
  }

  [Symbol.dispose](): void {
    this.#pairs[Symbol.dispose]();
  }

  get #trainer(): Trainer {
    return this.prepared.network.trainer;
  }

  /** Restores the last checkpoint of the run without writing anything, and returns its step. */
  async resume(start: ResumedStart): Promise<number> {
    const { run } = start;
    const progress = await restoreRun(run, this.#trainer, this.prepared.data);
    const { step, elapsedSeconds, bestValLoss, validatedStep, recentSteps } = progress;
    this.#elapsedBefore = elapsedSeconds;
    this.validation.lowest = bestValLoss ?? Infinity;
    this.validation.step = validatedStep;
    this.#losses.restore(recentSteps);
    this.#savedStep = step;
    const move = this.schedule.resume(start, progress);
    if (move) this.options.say(move);
    const { minutes } = this.prepared.config.length;
    if (minutes > 0) {
      const used = formatTime(elapsedSeconds);
      this.options.say(`${used} of ${minutes} minutes are over: --max-minutes counts all sessions of a run`);
    }
    const { totalSteps } = this.schedule;
    if (step > totalSteps) {
      throw new TrainingError(
        `Cannot resume ${run} for ${totalSteps} steps: it is at step ${step} (expected more; --max-steps ${step} only ` +
          "writes what a finished run has)",
      );
    }
    if (step < totalSteps || !await isComplete(run, step)) return step;
    throw new TrainingError(
      `Nothing left to do: the run is at step ${step} of ${totalSteps}, after ${
        (elapsedSeconds / 60).toFixed(1)
      } minutes; use a larger --epochs, --max-steps or --max-minutes`,
    );
  }

  /** The settings that repeat the length of the run, and its epochs between validations and grids. */
  get settings(): Partial<RunConfig> {
    const { length, plannedSteps } = this.schedule;
    return plannedSteps < Infinity ? { length, ...this.#cadence } : { length };
  }

  /** Epochs between validations and between grids; those that are `auto` follow from the length of the run. */
  get #cadence() {
    const { config: { valEpochs, sampleEpochs, batchSize }, images: { train } } = this.prepared;
    const { plannedSteps } = this.schedule;
    const epochs = (of: Validation | SampleGrids) =>
      Number((of.everySteps(plannedSteps) * batchSize / train.length).toPrecision(3));
    return {
      valEpochs: valEpochs === "auto" ? epochs(this.validation) : valEpochs,
      sampleEpochs: sampleEpochs === "auto" ? epochs(this.#grids) : sampleEpochs,
    };
  }

  /** Trains until the end or the signal, then saves. @throws {TrainingError} if a loss or weight is not finite */
  async run(tracker: RunTracker, bar?: ProgressBar): Promise<void> {
    const { config } = this.prepared;
    const { signal, say, onSettings } = this.options;
    const { schedule, kept } = this;
    const trainer = this.#trainer;
    const { minutes } = config.length;
    const burstLimitMs = minutes > 0 ? Math.min(burstMs, minutes * 600) : burstMs;
    this.#tracker = tracker;
    if (trainer.step === 0 && !await this.#isMeasured("image/samples")) await this.#logGrid();
    this.#startedMs = this.#savedMs = performance.now();
    schedule.follow(trainer.step, this.elapsedSeconds);
    let burst = 1;
    while (trainer.step < schedule.totalSteps && !signal.aborted) {
      this.#announceStage();
      const started = performance.now();
      const from = trainer.step;
      const losses = await this.#runSteps(burst);
      await yieldToEvents();
      bar?.update(trainer.step, losses.at(-1));
      const msPerStep = (performance.now() - started) / losses.length;
      burst = Math.min(Math.max(Math.floor(burstLimitMs / msPerStep), 1), Trainer.maxOpenLosses / 2);
      const { valEpochs, sampleEpochs } = this.#cadence;
      const isOver = (epochs: number) => this.#order.endsWithin(from, trainer.step, epochs);
      await kept.keep(trainer.step, schedule);
      if (isOver(valEpochs)) await this.#validate();
      if (isOver(sampleEpochs)) await this.#logGrid();
      if (schedule.follow(trainer.step, this.elapsedSeconds)) await onSettings(this.settings);
      const unsavedMs = performance.now() - this.#savedMs;
      if (unsavedMs > config.checkpointMinutes * 60e3 || isOver(1) && unsavedMs > freshMs) await this.save();
    }
    const validatedAt = this.validation.step;
    if (!signal.aborted) { // a stopped run continues its last line when resumed
      await this.#logLastSteps();
      await this.#validate();
      const missed = schedule.end(this.elapsedSeconds);
      if (missed) say(missed);
      if (minutes > 0) await onSettings(this.settings);
    }
    // A run that was cut off after its last step keeps its state, and with it the pictures that are newer.
    const isSaved = this.#savedStep === trainer.step && this.validation.step === validatedAt;
    if (!isSaved || this.imagesSeen > 0 || trainer.step === 0) await this.save();
    bar?.finish();
  }

  /**
   * Times steps from `step` on, after as many seconds of steps that are not timed, while kernels are optimised. Changes
   * the weights, so it is for dry runs.
   */
  async secondsPerStep(step: number, seconds: number): Promise<number> {
    const trainer = this.#trainer;
    trainer.restore({ ...await trainer.state(), step }, "a dry run");
    let [warmMs, fromMs, steps] = [0, performance.now(), 0];
    while (!this.options.signal.aborted) {
      const { step } = trainer;
      for (const examples of await this.#pairs.batches(step, step + 1)) {
        trainer.queueStep(examples, this.schedule.learningRate(step));
      }
      await trainer.losses();
      await yieldToEvents();
      steps++;
      const nowMs = performance.now();
      if (nowMs - fromMs < seconds * 1000) continue;
      if (warmMs > 0) return (nowMs - fromMs) / 1000 / steps;
      [warmMs, fromMs, steps] = [nowMs - fromMs, nowMs, 0];
    }
    return Infinity;
  }

  /** Announces the stage of a distillation that begins. */
  #announceStage(): void {
    const { stages = [] } = this.schedule;
    const at = stages.findIndex(({ from }) => from === this.#trainer.step);
    if (at < 0) return;
    const { name, steps } = stages[at];
    this.options.say(`Stage ${at + 1} of ${stages.length}: ${name}, ${steps} steps`);
  }

  /** Runs up to `count` steps, at most until the next event or the end of the run, and reads their losses. */
  async #runSteps(count: number): Promise<number[]> {
    const { config: { batchSize } } = this.prepared;
    const { totalSteps, stages = [] } = this.schedule;
    const trainer = this.#trainer;
    const from = trainer.step;
    const events = [
      ...Object.values(this.#cadence).map((epochs) => this.#order.endAfter(from, epochs)),
      ...stages.map((stage) => stage.from).filter((start) => start > from),
    ];
    const end = Math.min(from + count, ...events, this.kept.next(from, this.schedule), totalSteps);
    const rates: number[] = [];
    for (const examples of await this.#pairs.batches(from, end)) {
      rates.push(this.schedule.learningRate(trainer.step));
      trainer.queueStep(examples, rates.at(-1)!);
    }
    const { losses, gradientNorms } = await trainer.measures();
    this.imagesSeen += losses.length * batchSize;
    for (const [i, loss] of losses.entries()) {
      const line = this.#losses.add(from + i, { loss, gradientNorm: gradientNorms[i] }, rates[i]);
      if (line) this.#log({ ...line, ...await this.#pairs.costs(line.step) });
    }
    return losses;
  }

  /** Logs the last steps of a run, which do not fill a line. */
  async #logLastSteps(): Promise<void> {
    const { step } = this.#trainer;
    const line = this.#losses.end(step, this.schedule.learningRate(Math.max(step - 1, 0)));
    if (!line || await this.#isMeasured("train_loss")) return;
    this.#log({ ...line, ...await this.#pairs.costs(step) });
  }

  /** Measures the validation loss, at most once per step. */
  async #validate(): Promise<void> {
    const { step } = this.#trainer;
    const { validation } = this;
    if (validation.images.length === 0 || validation.step === step) return;
    const loss = await validation.measure();
    const isLowest = validation.note(step, loss);
    this.schedule.observe(loss);
    this.#log({ step, epoch: this.#order.epochsAfter(step), val_loss: loss });
    if (!isLowest) return;
    const weights = await stateOf(this.prepared.network.averaged);
    await saveWeights(this.options.run, runFile.best, this.prepared, weights);
  }

  async #logGrid(): Promise<void> {
    if (!this.#grids.enabled) return;
    const { step } = this.#trainer;
    const picture = await this.#grids.write(this.options.run, step);
    this.#tracker.log({ step, epoch: this.#order.epochsAfter(step), "image/samples": picture });
  }

  #log(metrics: Parameters<RunTracker["log"]>[0]): void {
    this.#tracker.log({ ...metrics, elapsed_seconds: Number(this.elapsedSeconds.toFixed(3)) });
  }

  /** Logs what the trained network measures, unless an earlier session did. */
  async logOnce(values: Readonly<Record<string, number>>): Promise<void> {
    if (await this.#isMeasured(Object.keys(values)[0])) return;
    const { step } = this.#trainer;
    this.#tracker.log({ step, epoch: this.#order.epochsAfter(step), ...values });
  }

  /** Whether the user has asked to stop. */
  async isStopped(): Promise<boolean> {
    await yieldToEvents();
    return this.options.signal.aborted;
  }

  #isMeasured(name: string): Promise<boolean> {
    return isMeasured(this.options.run, this.#trainer.step, name);
  }

  /** Seconds of training in all sessions of the run. */
  get elapsedSeconds(): number {
    const since = this.#startedMs > 0 ? performance.now() - this.#startedMs : 0;
    return this.#elapsedBefore + since / 1000;
  }

  /** Saves the state of the run, for `--resume`. */
  async save(): Promise<void> {
    const { step } = this.#trainer;
    const { lowest, step: validatedStep } = this.validation;
    const saved = await saveRun(this.options.run, this.prepared, {
      step,
      elapsedSeconds: this.elapsedSeconds,
      bestValLoss: Number.isFinite(lowest) ? lowest : null,
      validatedStep,
      schedule: this.schedule.state,
      recentSteps: this.#losses.recent,
    });
    if (!saved) {
      throw new TrainingError(
        `The weights are NaN or infinite after step ${step}: ${this.#adviceOnDivergence()}`,
      );
    }
    this.#savedMs = performance.now();
    this.#savedStep = step;
  }

  #adviceOnDivergence(): string {
    const last = join(this.options.run, runFile.last);
    const checkpoint = this.#savedStep > 0
      ? `the last good checkpoint is ${last}, step ${this.#savedStep}`
      : "no checkpoint has been saved";
    return `${checkpoint}; try a smaller --lr or --clip 1`;
  }
}

/** Steps whose pairings are kept after use, in addition to a line of metrics. */
const kept = 256;

/**
 * The batches of a run, paired with their noise. A slow coupling runs in a worker, ahead of the steps, so that training
 * does not wait. Each pairing depends only on seed and step.
 */
export class PairedBatches implements Disposable {
  readonly #pairings = new Map<number, Promise<Pairing>>();
  readonly #open = new Set<MessagePort>();
  readonly #failure = Promise.withResolvers<never>();
  #worker: Worker | undefined;

  /** @param logEvery steps of a line of metrics */
  constructor(
    readonly order: BatchOrder,
    readonly coupling: Coupling,
    readonly data: HostExamples | undefined,
    readonly logEvery: number,
  ) {
    this.#failure.promise.catch(() => {}); // the code that awaits a pairing gets the error
  }

  /** The examples of steps from `from` up to `to`, in the order of the noise. Pairs as many steps ahead. */
  async batches(from: number, to: number): Promise<Uint32Array<ArrayBuffer>[]> {
    const steps = Array.from({ length: to - from }, (_, i) => from + i);
    const coupling = this.coupling;
    if (!isTransport(coupling)) {
      return steps.map((step) => coupling.pair(this.order.batch(step), this.#draw(step), this.data));
    }
    for (let step = from; step < 2 * to - from; step++) this.#pairing(coupling, step);
    const pairings = await Promise.all(steps.map((step) => this.#pairing(coupling, step)));
    for (const step of this.#pairings.keys()) {
      if (step < from - this.logEvery - kept) this.#pairings.delete(step);
    }
    return pairings.map(({ order }, i) => {
      const examples = this.order.batch(steps[i]);
      return order.map((at) => examples[at]);
    });
  }

  /**
   * Mean squared distance between noise and data per pixel, with and without pairing, over the line of metrics that
   * ends before `step`; undefined without transport.
   */
  async costs(step: number): Promise<Record<"transport_cost" | "independent_cost", number> | undefined> {
    const coupling = this.coupling;
    if (!isTransport(coupling) || step === 0) return undefined;
    const steps = Array.from({ length: Math.min(this.logEvery, step) }, (_, i) => step - 1 - i);
    const pairings = await Promise.all(steps.map((step) => this.#pairing(coupling, step)));
    const mean = (name: "cost" | "independentCost") =>
      pairings.reduce((sum, pairing) => sum + pairing[name], 0) / pairings.length;
    return { transport_cost: mean("cost"), independent_cost: mean("independentCost") };
  }

  [Symbol.dispose](): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const port of this.#open) this.#close(port); // an open port keeps the program running
  }

  #close(port: MessagePort): void {
    port.close();
    this.#open.delete(port);
  }

  #draw(step: number): NoiseDraw {
    return { seed: this.order.seed, step };
  }

  #pairing(coupling: TransportCoupling, step: number): Promise<Pairing> {
    const begun = this.#pairings.get(step);
    if (begun) return begun;
    const batch = coupling.batch(this.order.batch(step), this.#draw(step), this.data);
    const { port1: here, port2: there } = new MessageChannel();
    this.#open.add(here);
    const answer = new Promise<Pairing>((resolve) =>
      here.onmessage = ({ data }) => {
        this.#close(here);
        resolve(data);
      }
    );
    this.#start().postMessage(batch, [there, batch.values.buffer]);
    const pairing = Promise.race([answer, this.#failure.promise]);
    pairing.catch(() => {}); // the code that awaits it gets the error
    this.#pairings.set(step, pairing);
    return pairing;
  }

  #start(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(new URL("./pair_worker.ts", import.meta.url), { type: "module" });
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#failure.reject(new TrainingError(`Cannot pair noise with images: ${event.message}`));
    });
    return this.#worker = worker;
  }
}

function isTransport(coupling: Coupling): coupling is TransportCoupling {
  return "batch" in coupling;
}
