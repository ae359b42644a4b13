import type { Points } from "../../models/mod.ts";
import type { Trajectory } from "../flow/trajectory.ts";
import type { Passage } from "./markup.ts";

/** What a report shows. Any text may be a user's and is shown as it is. */
export interface ReportData {
  /** One or more, each with a name of its own. */
  readonly runs: readonly ReportRun[];
  /** One sentence above the losses if they cannot be compared between the runs. */
  readonly lossWarning?: string;
  /** One sentence above the quality figures if they cannot be compared between the runs. */
  readonly qualityWarning?: string;
  /** For two runs or more. */
  readonly comparison?: Comparison;
  /** What a study of these runs found; it comes first. */
  readonly study?: StudyFindings;
  /**
   * Text of an ES module without imports that runs with `live` networks sample with, such as `web/flow.js`: it exports
   * what `models/mod.ts` does, `init()` and `tensor()`.
   */
  readonly library?: string;
}

/** A training run in a report. */
export interface ReportRun {
  /** Unique among the runs. */
  readonly name: string;
  /** One sentence that sums it up. */
  readonly summary: string;
  /** How and why it ended, in one sentence, if it was stopped or failed. */
  readonly ending?: string;
  /** The user's note. */
  readonly note?: string;
  /** The numbers to compare runs by, in the same order for all runs. */
  readonly results: readonly Fact[];
  /** The settings that reproduce the run. */
  readonly settings: readonly Fact[];
  /** The machine and the code. */
  readonly environment: readonly Fact[];
  /** Loss of the batches trained on. */
  readonly trainLoss: Series;
  /** Loss of held-out images. */
  readonly valLoss: Series;
  /** Learning rate of each step. */
  readonly learningRate: Series;
  /** Loss of held-out images by t. */
  readonly lossByTime?: readonly TimeBin[];
  /** How good the network is, if it was evaluated. */
  readonly quality?: Quality;
  /** Quality of samples by solver, if solvers were compared. */
  readonly solvers?: readonly SolverQuality[];
  /** A picture of samples, bytes of a PNG. */
  readonly samplesPng?: Uint8Array;
  /** How they were drawn, such as `one column per class, guidance 1.5`. */
  readonly samplesText?: string;
  /** Trajectories of some samples, all of one image size and with the same times. */
  readonly trajectories: readonly Trajectory[];
  /** How they were solved, if it is known; the page continues them in the same way. */
  readonly solved?: Solved;
  /** Trajectories of many samples in a plane, if they were kept. */
  readonly plane?: PlaneTrajectories;
  /** The network, to sample with in the page if there are trajectories; or why the page has none, as the end of a sentence. */
  readonly live?: LiveNetwork | string;
}

/** Numbers at training steps. */
export interface Series {
  /** Steps, rising from 0. */
  readonly step: readonly number[];
  /** The number at each of them. */
  readonly value: readonly number[];
}

/** Mean loss of the held-out images whose t was in [from, to). */
export interface TimeBin {
  /** Lower end, included. */
  readonly from: number;
  /** Upper end, excluded. */
  readonly to: number;
  /** How many images. */
  readonly images: number;
  /** Their mean loss; null without images. */
  readonly loss: number | null;
}

/** A row of a table: name and value in words. */
export type Fact = readonly [name: string, value: string];

/** How trajectories were solved from noise to data, in the terms of the library that a page samples with. */
export interface Solved {
  /** Seed of the noise: sample k starts from the k-th noise. */
  readonly seed: number;
  /** Name of the solver. */
  readonly solver: string;
  /** Steps from t = 0 to t = 1. */
  readonly steps: number;
  /** The ends of the steps, `steps` + 1 times that rise from 0 to 1; without them the steps are equal. */
  readonly times?: readonly number[];
  /** The class that each sample was conditioned on, if any. */
  readonly labels?: readonly number[];
  /** Guidance by these classes; 1 is none. */
  readonly guidance?: number;
  /** Evaluations of the network for a sample, if known. */
  readonly evaluations?: number;
}

/** Trajectories of many samples in the plane of two principal components of real images. */
export interface PlaneTrajectories {
  /** Times, rising from 0 to 1, f32[M]. */
  readonly t: Float32Array;
  /** Coordinates, f32[M, N, 2]. */
  readonly position: Float32Array;
  /** Velocity in the plane, f32[M - 1, N, 2]. */
  readonly velocity: Float32Array;
  /** Root mean square of the velocity over all pixels and channels, f32[M - 1, N]. */
  readonly speed: Float32Array;
  /** Cosine between velocity and the straight line from noise to sample, f32[M - 1, N]. */
  readonly straightness: Float32Array;
  /** The samples at the end, pixels in [0, 1], f32[N, H, W] or f32[N, C, H, W] with C 1 or 3. */
  readonly image: Float32Array;
  /** Class of each sample as the classifier sees it, integers [N]; absent without classifier. */
  readonly classes?: ArrayLike<number>;
  /** What the classes are called, by class; the others go by their numbers. */
  readonly classNames?: readonly string[];
  /** What the samples were conditioned on: a class each, [N], and the guidance. */
  readonly conditioning?: { readonly labels: ArrayLike<number>; readonly guidance: number };
  /** Real images: coordinates f32[D, 2] and, if known, classes [D]. */
  readonly real: { readonly position: Float32Array; readonly classes?: ArrayLike<number> };
  /** Share of the variance of real images along the two components. */
  readonly share: readonly [number, number];
  /** What named the classes: the nearest real images, with how many of the held-out ones they named right, or a judge. */
  readonly classifier?:
    | { readonly right: number; readonly tried: number }
    | { readonly judgeAccuracy: number };
  /** Number of times and of samples, channels if they have an axis, height and width. */
  readonly shape:
    | readonly [M: number, N: number, H: number, W: number]
    | readonly [M: number, N: number, C: number, H: number, W: number];
}

/** Velocities of several models at the same points. */
export interface Comparison {
  /** Which runs of the report are compared, by their places in it. */
  readonly runs: readonly number[];
  /** Times of the points, in [0, 1), f32[T]. */
  readonly t: Float32Array;
  /** Number of samples and of times, channels, height and width. */
  readonly shape: readonly [S: number, T: number, C: number, H: number, W: number];
  /** The class that each sample was conditioned on, [S], in the runs that know classes. */
  readonly labels?: readonly number[];
  /** For each compared run the points on its own trajectories, all from the same noise, f32[S, T, C, H, W]. */
  readonly points: readonly Float32Array[];
  /** `velocities[p][r]`: of run r at the points of run p, shaped like the points. */
  readonly velocities: readonly (readonly Float32Array[])[];
  /** `difference[p][a][b][i]`: root mean square of v_a - v_b over the points of run p at time i. */
  readonly difference: readonly (readonly (readonly (readonly number[])[])[])[];
}

/** What a study found. */
export interface StudyFindings {
  /** The title of the report. */
  readonly title: string;
  /** The conclusion. */
  readonly passages: readonly Passage[];
  /** A figure, an SVG, and its caption. */
  readonly figure?: { readonly svg: string; readonly text: string };
  /** Tables of text. */
  readonly tables: readonly {
    readonly title: string;
    readonly head: readonly string[];
    readonly rows: readonly (readonly string[])[];
  }[];
}

/** A network that a page samples with. */
export interface LiveNetwork {
  /** Bytes of its checkpoint. */
  readonly checkpoint: Uint8Array;
  /** For autoguidance: the bytes of an early checkpoint, and the guidance that a reader is offered first. */
  readonly early?: { readonly checkpoint: Uint8Array; readonly guidance: number };
  /** Test images whose bits per dimension a reader can compute. */
  readonly tests?: TestImages;
  /** Judges fresh samples. */
  readonly judge?: LiveJudge;
}

/** Real images that a reader can choose from. */
export interface TestImages {
  /** How many, channels, height and width. */
  readonly shape: readonly [N: number, C: number, H: number, W: number];
  /** Pixels as a file of images holds them, 0 black to 1 white in steps of 1 / 255, f32[N, C, H, W]. */
  readonly image: Float32Array;
  /** The class of each, if known. */
  readonly labels?: ArrayLike<number>;
  /** What the classes are called, by class; the others go by their numbers. */
  readonly classNames?: readonly string[];
}

/** A judge, and what it sees in test images. */
export interface LiveJudge {
  /** Bytes of its file, for `loadJudge()`. */
  readonly weights: Uint8Array;
  /** Features of test images by this judge. */
  readonly reference: Points;
}

/** A measured number of a run, with what it means. */
export interface QualityFigure {
  /** What is measured, in a few words. */
  readonly title: string;
  /** One sentence that explains it. */
  readonly meaning: string;
  /** Which values are better: high ones, low ones, or those near what real images give. */
  readonly better: "higher" | "lower" | "real";
  /** Whether it is a share, shown in per cent. */
  readonly share?: boolean;
  /** What was measured. */
  readonly value: number;
  /** Lower end of its 95 % interval. */
  readonly low: number;
  /** Upper end of it. */
  readonly high: number;
  /** Its value for real images. */
  readonly real?: number;
  /** Its value for noise. */
  readonly noise?: number;
  /** What it cost, in words. */
  readonly cost: string;
}

/** Samples as a judge sees them, the least certain first, each beside real images. */
export interface JudgedSamples {
  /** Samples, nearest training images of each, channels, height and width. */
  readonly shape: readonly [N: number, K: number, C: number, H: number, W: number];
  /** Pixels, 0 black to 1 white, f32[N, C, H, W]. */
  readonly image: Float32Array;
  /** The nearest training images, nearest first, f32[N, K, C, H, W]. */
  readonly nearest: Float32Array;
  /** Probability of the most likely class, f32[N]. */
  readonly confidence: Float32Array;
  /** The most likely class, integers [N]. */
  readonly classes: ArrayLike<number>;
  /** Share of all samples below each in confidence, in [0, 1], f32[N]. */
  readonly rank: Float32Array;
}

/** Samples by one solver. */
export interface SolverQuality {
  /** Its name; results with other settings have the same. */
  readonly solver: string;
  /** Solver and settings. */
  readonly words: string;
  /** Evaluations of the network for a sample. */
  readonly evaluations: number;
  /** Fréchet distance, and the ends of its 95 % interval. */
  readonly frechet: { readonly value: number; readonly low: number; readonly high: number };
  /** Share of samples whose class the judge is certain of. */
  readonly confident: number;
  /** Whether it is the cheapest that may be as good as the best. */
  readonly chosen: boolean;
}

/** How good a network is. */
export interface Quality {
  /** What was measured and how, some sentences. */
  readonly how: string;
  /** In the order in which they are shown. */
  readonly figures: readonly QualityFigure[];
  /** Some samples to look at. */
  readonly samples?: JudgedSamples;
  /** Means over trajectories: times in [0, 1), and figures at them. */
  readonly overTime?: {
    readonly t: readonly number[];
    readonly straightness: readonly number[];
    readonly curvature: readonly number[];
  };
}
