import type { Judgement, Points, VelocityField } from "../../models/mod.ts";
import type { JudgedSamples } from "../../viz/report/mod.ts";
import type { DataJudge } from "./data_judge.ts";
import { yieldToEvents } from "../../kernels/core/yield_to_events.ts";
import type { Cost, Evaluation, EvaluationFigure, EvaluationOptions } from "./evaluation.ts";
import type { ByFigure } from "./figures.ts";
import type { EvaluatedNetwork } from "./evaluated_network.ts";

/** The sets of images that are compared. */
type SetName = "samples" | "test" | "train" | "noise";

/** Equally many samples, test images, training images and noise: an image per row, 0 black to 1 white in steps of 1 / 255. */
export type ImageSets = Readonly<Record<SetName, Points>>;

/** A judge's verdicts on each set of images. */
export interface JudgedSets extends Readonly<Record<SetName, Judgement>> {
  readonly judge: DataJudge;
}

export interface MeasurementInput {
  readonly subject: EvaluatedNetwork;
  readonly options: EvaluationOptions;
  readonly sets: ImageSets;
  /** The sets by each judge; empty without judges. */
  readonly judged: readonly JudgedSets[];
  /** The field that draws the samples, with its guidance. */
  readonly field: VelocityField;
  /** Class of each sample, the field's condition; undefined without classes. */
  readonly labels: Uint32Array<ArrayBuffer> | undefined;
  readonly monitor: Monitor;
}

/** Results of a measurement. */
export interface Findings extends Pick<Evaluation, "course" | "lossByTime"> {
  readonly figures: ByFigure<Omit<EvaluationFigure, keyof Cost>>;
  readonly shown?: JudgedSamples | undefined;
}

/** A part of an evaluation: one or more figures that share work. */
export interface Measurement {
  /** Whether it needs judges. */
  readonly judged: boolean;
  /** Whether its figures come from the samples, whose cost they then include. */
  readonly sampled: boolean;
  /** Expected evaluations of the network, without those for drawing samples; the monitor counts the actual ones. */
  evaluations?(subject: EvaluatedNetwork, options: EvaluationOptions): number;
  measure(input: MeasurementInput): Promise<Findings>;
}

/** Callbacks and signal of long work. */
export interface Watch {
  /** Called with the number of network evaluations so far. */
  readonly onProgress?: (done: number) => void;
  /** Called with the number of image pairs compared so far, and an upper bound. */
  readonly onCompared?: (done: number, most: number) => void;
  /** Called with the number of steps so far of classifiers in training, and their total. */
  readonly onTrained?: (done: number, most: number) => void;
  /** Ends the work early. */
  readonly signal?: AbortSignal | undefined;
}

/** Counts network evaluations, reports progress, and ends the work on a signal. */
export class Monitor {
  /** Network evaluations, each of one image at one time. */
  evaluations = 0;

  constructor(readonly watch: Watch) {}

  /** Adds evaluations and lets signals in. @throws the signal's reason if it has fired */
  async advance(evaluations: number): Promise<void> {
    this.evaluations += evaluations;
    this.watch.onProgress?.(this.evaluations);
    await yieldToEvents();
    this.watch.signal?.throwIfAborted();
  }

  /** Reports compared image pairs. @throws the signal's reason if it has fired */
  compared(done: number, most: number): void {
    this.watch.onCompared?.(done, most);
    this.watch.signal?.throwIfAborted();
  }

  /** Runs work that the signal may end; undefined if it did. */
  async unlessStopped<T>(work: () => Promise<T>): Promise<T | undefined> {
    const { signal } = this.watch;
    try {
      return await work();
    } catch (error) {
      if (signal?.aborted && error === signal.reason) return undefined;
      throw error;
    }
  }
}
