import type { Points, VelocityField } from "../../models/mod.ts";
import type { JudgedSamples } from "../../viz/report/mod.ts";
import type { DataJudge } from "../judge/data_judge.ts";
import { pause } from "../../models/pause.ts";
import type { Cost, Evaluation, EvaluationFigure, EvaluationOptions } from "./evaluation.ts";
import type { FigureName } from "./figures.ts";
import type { EvaluatedNetwork } from "./evaluated_network.ts";

/** Images, and what the judge sees in them. */
export interface JudgedImages {
  /** 0 black to 1 white in steps of 1 / 255, as in a file of images, one a row. */
  readonly pixels: Points;
  /** Of each class, f32[N, classes]; empty without a judge. */
  readonly probabilities: Float32Array;
  /** f32[N, F]; empty without a judge. */
  readonly features: Points;
}

/** Equally many samples, test images, training images and noise. */
export type ImageSets = Readonly<Record<"samples" | "test" | "train" | "noise", JudgedImages>>;

/** All that a measurement may use. */
export interface MeasurementInput {
  readonly subject: EvaluatedNetwork;
  readonly options: EvaluationOptions;
  readonly judge: DataJudge | undefined;
  readonly sets: ImageSets;
  /** What draws the samples: the network, guided if it is. */
  readonly field: VelocityField;
  /** The class of each sample, which is the field's condition; none in a network without classes. */
  readonly labels: Uint32Array<ArrayBuffer> | undefined;
  readonly monitor: Monitor;
}

/** What a measurement found. */
export interface Findings extends Pick<Evaluation, "course" | "lossByTime"> {
  readonly figures: Readonly<Partial<Record<FigureName, Omit<EvaluationFigure, keyof Cost>>>>;
  readonly judged?: JudgedSamples | undefined;
  /** Samples of each class, as the judge sees them. */
  readonly classes?: readonly number[] | undefined;
}

/** A part of an evaluation: one or several figures that share their work. */
export interface Measurement {
  /** Whether it needs the judge. */
  readonly judged: boolean;
  /** Whether its figures come from the samples, whose cost is then part of theirs. */
  readonly sampled: boolean;
  /** Expected evaluations of the network besides those of the samples; actual counts are reported by the monitor. */
  evaluations?(subject: EvaluatedNetwork, options: EvaluationOptions): number;
  measure(input: MeasurementInput): Promise<Findings>;
}

/** How work is watched and stopped. */
export interface Watch {
  /** Called with the evaluations of the network done so far. */
  readonly onProgress?: (done: number) => void;
  /** Called with the pairs of images compared so far, which takes no evaluations, and an upper bound of them. */
  readonly onCompared?: (done: number, most: number) => void;
  /** Ends the work early. */
  readonly signal?: AbortSignal | undefined;
}

/** Counts the evaluations of some work, reports its progress, and ends it on a signal. */
export class Monitor {
  /** Evaluations of the network, each of one image at one time. */
  evaluations = 0;

  constructor(readonly watch: Watch) {}

  /** Adds evaluations and lets signals in. @throws the signal's reason once the work is to end */
  async advance(evaluations: number): Promise<void> {
    this.evaluations += evaluations;
    this.watch.onProgress?.(this.evaluations);
    await pause();
    this.watch.signal?.throwIfAborted();
  }

  /** Reports compared pairs of images. @throws the signal's reason once the work is to end */
  compared(done: number, most: number): void {
    this.watch.onCompared?.(done, most);
    this.watch.signal?.throwIfAborted();
  }

  /** Does work that the signal may end; undefined if it did. */
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
