import type { SolverOptions, VelocityField } from "../../models/mod.ts";
import type { DataJudge } from "../judge/data_judge.ts";
import type { Points } from "../../models/measures/points.ts";
import type { JudgedSamples } from "../../viz/report/mod.ts";
import type { Asked, Cost, Evaluation, Figure } from "./evaluation.ts";
import type { FigureName } from "./figures.ts";
import type { Subject } from "./subject.ts";
import type { Advance, Compared } from "./watch.ts";

/** What is measured, on how much, and how it is drawn. */
export interface EvaluationOptions extends Asked {
  readonly how: SolverOptions;
}

/** Images, and what the judge says of them. */
export interface JudgedImages {
  /** 0 black to 1 white in steps of 1 / 255, as in a file of images, one a row. */
  readonly pixels: Points;
  /** Of each class, f32[N, classes]. */
  readonly probabilities: Float32Array;
  /** f32[N, F]. */
  readonly features: Points;
}

/** Equally many samples, test images, training images and noise. */
export type ImageSets = Readonly<Record<"samples" | "test" | "train" | "noise", JudgedImages>>;

/** All that a measurement may use. */
export interface Trial {
  readonly subject: Subject;
  readonly options: EvaluationOptions;
  readonly judge?: DataJudge | undefined;
  /** Without a judge, probabilities and features are empty. */
  readonly sets: ImageSets;
  /** What draws the samples: the network, guided if it is. */
  readonly field: VelocityField;
  /** The class asked of each sample, which is the field's condition, if the network takes one. */
  readonly asked?: Uint32Array<ArrayBuffer> | undefined;
  /** Counts evaluations, for the progress bar and as what a figure cost, and lets signals in. */
  readonly advance: Advance;
  /** Says how many pairs of images have been compared, and how many will be at most. */
  readonly compared: Compared;
}

/** What a measurement found. */
export interface Measured extends Pick<Evaluation, "course" | "lossByTime"> {
  readonly figures: Readonly<Partial<Record<FigureName, Omit<Figure, keyof Cost>>>>;
  readonly judged?: JudgedSamples | undefined;
  /** Samples of each class, as the judge sees them. */
  readonly classes?: readonly number[] | undefined;
}

/** A part of an evaluation: one or several figures that share their work. */
export interface Measurement {
  /** Whether it needs the judge. */
  readonly judged: boolean;
  /** Whether its figures come from the samples, whose cost is then theirs, too. */
  readonly sampled: boolean;
  /** Evaluations of the network that it takes, besides those of the samples; 0 if there is nothing to do. It may guess. */
  evaluations(subject: Subject, options: EvaluationOptions): number;
  measure(trial: Trial): Promise<Measured>;
}
