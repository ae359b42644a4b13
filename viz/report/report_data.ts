import type { Estimate, Points } from "../../models/mod.ts";
import type { Trajectory } from "../flow/trajectory.ts";

/** The data of a report. Text may come from users and is shown verbatim. */
export interface ReportData {
  /** One or more, with unique names. */
  readonly runs: readonly ReportRun[];
  /** One sentence above the losses if they cannot be compared between the runs. */
  readonly lossWarning?: string;
  /** One sentence above the quality figures: why they cannot be compared between the runs, or how judges rank the runs. */
  readonly qualityNote?: string;
  /** For two runs or more. */
  readonly comparison?: Comparison;
  /**
   * Source of an ES module without imports, such as `web/flow.js`, for sampling from `live` networks. It exports the names
   * of `models/mod.ts`, `init()` and `tensor()`.
   */
  readonly library?: string;
}

/** A training run in a report. */
export interface ReportRun {
  /** Unique among the runs. */
  readonly name: string;
  /** A title, such as `Residual U-Net on MNIST`; by default the name. */
  readonly title?: string;
  /** One sentence about the run. */
  readonly summary: string;
  /** One sentence on why it ended, if it was stopped or failed. */
  readonly ending?: string;
  /** The subject of the images, such as `digits`; by default `images`. */
  readonly subject?: string;
  /** Names of classes; classes without a name are shown as numbers. */
  readonly classNames?: readonly string[];
  /** The numbers to compare runs by, in the same order for all runs. */
  readonly results: readonly Fact[];
  /** The settings that reproduce the run. */
  readonly settings: readonly Fact[];
  /** Machine and code version. */
  readonly environment: readonly Fact[];
  /** Loss of training batches. */
  readonly trainLoss: Series;
  /** Norm of the gradient of training batches, before clipping. */
  readonly gradientNorm?: Series;
  /** Stages of a distillation, each with its own loss: names, and the number of steps before each. */
  readonly stages?: readonly { readonly name: string; readonly from: number }[];
  /** Loss of held-out images. */
  readonly valLoss: Series;
  /** Loss of the test images at the end, if it was measured. */
  readonly testLoss?: number;
  /** Learning rate of each step. */
  readonly learningRate: Series;
  /** Loss of held-out images by t. */
  readonly lossByTime?: readonly TimeBin[];
  /** Quality of the network, if it was evaluated. */
  readonly quality?: Quality;
  /** Straightness of its trajectories over time, if it was evaluated: means at times in [0, 1). */
  readonly overTime?: {
    readonly t: readonly number[];
    readonly straightness: readonly number[];
    readonly curvature: readonly number[];
  };
  /** Quality of samples by solver, if solvers were compared. */
  readonly solvers?: readonly SolverQuality[];
  /** A picture of samples, as the bytes of a PNG file. */
  readonly samplesPng?: Uint8Array;
  /** How they were drawn, such as `one class per column, guidance 1.5`. */
  readonly samplesText?: string;
  /** The title of each of its columns, such as the name of a class. */
  readonly samplesColumns?: readonly string[];
  /** A picture of samples from the same noise, one row per number of evaluations, as the bytes of a PNG file. */
  readonly fewStepsPng?: Uint8Array;
  /** Whether the network is a flow map, distilled to need few evaluations. */
  readonly isFlowMap?: boolean;
  /** Largest guidance, if the network is a flow map that takes guidance as an input. */
  readonly maxGuidance?: number;
  /** Trajectories of some samples, all with the same image size and times. */
  readonly trajectories: readonly Trajectory[];
  /** How they were solved, if known; the page continues them with the same solver. */
  readonly solved?: Solved;
  /** Trajectories of many samples in a plane, if they were kept. */
  readonly plane?: PlaneTrajectories;
  /** The network for sampling in the page, which needs trajectories; or why there is none, as the end of a sentence. */
  readonly live?: LiveNetwork | string;
}

/** Numbers at training steps. */
export interface Series {
  /** Steps, increasing from 0. */
  readonly step: readonly number[];
  /** The number at each step. */
  readonly value: readonly number[];
}

/** Mean loss of the held-out images with t in [from, to). */
export interface TimeBin {
  /** Lower end, included. */
  readonly from: number;
  /** Upper end, excluded. */
  readonly to: number;
  /** Number of images. */
  readonly images: number;
  /** Mean loss; null if there are no images. */
  readonly loss: number | null;
}

/** A paragraph, or a list with a heading. */
export type Passage = string | { readonly heading: string; readonly items: readonly string[] };

/** A row of a table: name and value. */
export type Fact = readonly [name: string, value: string];

/** How trajectories were solved from noise to data, in terms of the library. */
export interface Solved {
  /** Seed of the noise: sample k starts from the k-th noise. */
  readonly seed: number;
  /** Name of the solver. */
  readonly solver: string;
  /** Steps from t = 0 to t = 1. */
  readonly steps: number;
  /** The ends of the steps, `steps` + 1 times increasing from 0 to 1; by default steps are equal. */
  readonly times?: readonly number[];
  /** The class that each sample was conditioned on, if any. */
  readonly labels?: readonly number[];
  /** Classifier-free guidance; 1 means none. */
  readonly guidance?: number;
  /** Network evaluations per sample; undefined if the library does not have the solver. */
  readonly evaluations?: number;
}

/** Trajectories of many samples in the plane of two principal components of real images. */
export interface PlaneTrajectories {
  /** Times, increasing from 0 to 1, f32[M]. */
  readonly t: Float32Array;
  /** Coordinates, f32[M, N, 2]. */
  readonly position: Float32Array;
  /** Velocity in the plane, f32[M - 1, N, 2]. */
  readonly velocity: Float32Array;
  /** Root mean square of the velocity over all pixels and channels, f32[M - 1, N]. */
  readonly speed: Float32Array;
  /** Cosine between velocity and the straight line from noise to sample, f32[M - 1, N]. */
  readonly straightness: Float32Array;
  /** The finished samples, pixels in [0, 1], f32[N, H, W] or f32[N, C, H, W] with C 1 or 3. */
  readonly image: Float32Array;
  /** Conditioning of the samples: the class of each, [N], and the guidance. */
  readonly conditioning?: { readonly labels: ArrayLike<number>; readonly guidance: number };
  /** Real images: coordinates f32[D, 2] and, if known, classes [D]. */
  readonly real: { readonly position: Float32Array; readonly classes?: ArrayLike<number> };
  /** Share of the variance of real images along each of the two components. */
  readonly share: readonly [number, number];
  /** What a judge sees: the class of each sample, [N], and the share of test images that it labels correctly. */
  readonly judged?: { readonly classes: ArrayLike<number>; readonly accuracy: number };
  /** Number of times and of samples, channels if they have an axis, height and width. */
  readonly shape:
    | readonly [M: number, N: number, H: number, W: number]
    | readonly [M: number, N: number, C: number, H: number, W: number];
}

/** Velocities of two or more models at the same points. */
export interface Comparison {
  /** Indices of the compared runs in the report. */
  readonly runs: readonly number[];
  /** Times of the points, in [0, 1), f32[T]. */
  readonly t: Float32Array;
  /** Number of samples and of times, channels, height and width. */
  readonly shape: readonly [S: number, T: number, C: number, H: number, W: number];
  /** The class that each sample was conditioned on, [S], in runs with classes. */
  readonly labels?: readonly number[];
  /** For each compared run: points on its own trajectories, all from the same noise, f32[S, T, C, H, W]. */
  readonly points: readonly Float32Array[];
  /** `velocities[p][r]`: of run r at the points of run p, shaped like the points. */
  readonly velocities: readonly (readonly Float32Array[])[];
  /** `difference[p][a][b][i]`: root mean square of v_a - v_b over the points of run p at time i. */
  readonly difference: readonly (readonly (readonly (readonly number[])[])[])[];
}

/** A table of text. */
export interface TextTable {
  /** Heading above it. */
  readonly title: string;
  /** Headings of the columns. */
  readonly head: readonly string[];
  /** Cells, row by row. */
  readonly rows: readonly (readonly string[])[];
}

/** A network that a page samples with. */
export interface LiveNetwork {
  /** Bytes of its checkpoint. */
  readonly checkpoint: Uint8Array;
  /** For autoguidance: the bytes of an early checkpoint, and the initial guidance. */
  readonly early?: { readonly checkpoint: Uint8Array; readonly guidance: number };
  /** Judges fresh samples. */
  readonly judge?: LiveJudge;
}

/** A judge with its features of test images. */
export interface LiveJudge {
  /** Bytes of its file, for `loadJudge()`. */
  readonly weights: Uint8Array;
  /** Features of test images. */
  readonly reference: Points;
}

/** The questions that figures of quality answer: do samples show the right class, look real, or are they copies? */
export type Question = "class" | "real" | "copied";

/** A measured value of a run with its 95 % interval and its meaning. */
export interface QualityFigure extends Estimate {
  /** Name of the measure. */
  readonly title: string;
  /** Name of the judge, if it depends on one. */
  readonly judge?: string;
  /** One sentence on what it measures. */
  readonly meaning: string;
  /** The question that it answers; figures without one come last. */
  readonly question?: Question;
  /** Which values are better: higher, lower, or closer to the value of real images. */
  readonly better: "higher" | "lower" | "real";
  /** Whether it is a share, shown in per cent. */
  readonly share?: boolean;
  /** The value for real images. */
  readonly real?: number;
  /** The number of real images, if it differs from the number of samples. */
  readonly realCount?: number;
  /** The value for noise. */
  readonly noise?: number;
  /** The value of guessing. */
  readonly chance?: number;
  /** Ends of its axis; by default 0 and 1 for shares, and ends that fit the values otherwise. */
  readonly ends?: readonly [worst: number, best: number];
  /** Cost as text. */
  readonly cost: string;
}

/** Samples with the judges' predictions and nearest training images, those of which a judge is least certain first. */
export interface JudgedSamples {
  /** Number of samples and of nearest training images per sample, channels, height and width. */
  readonly shape: readonly [N: number, K: number, C: number, H: number, W: number];
  /** Pixels, 0 black to 1 white, f32[N, C, H, W]. */
  readonly image: Float32Array;
  /** The nearest training images, nearest first, f32[N, K, C, H, W]. */
  readonly nearest: Float32Array;
  /** Probability of the most likely class, f32[N]. */
  readonly confidence: Float32Array;
  /** The most likely class, integers [N]. */
  readonly classes: ArrayLike<number>;
  /** The class that each sample was conditioned on, if any, integers [N]. */
  readonly labels?: ArrayLike<number>;
  /** The same by a second judge. */
  readonly second?: Pick<JudgedSamples, "confidence" | "classes">;
  /** Share of all samples with lower confidence than each, in [0, 1], f32[N]. */
  readonly rank: Float32Array;
}

/** Quality of samples by one solver. */
export interface SolverQuality {
  /** Name of the solver, without settings. */
  readonly solver: string;
  /** Solver and settings. */
  readonly words: string;
  /** Network evaluations per sample. */
  readonly evaluations: number;
  /** Title of the distance, by default the Fréchet distance. */
  readonly distance?: string;
  /** The distance with its 95 % interval. */
  readonly frechet: Estimate;
  /** Share of samples whose class the judge is confident of. */
  readonly confident: number;
  /** The same by a second judge. */
  readonly second?: { readonly frechet: Estimate; readonly confident: number };
  /** Whether it is the cheapest solver with a distance within the interval of the lowest, by every judge. */
  readonly chosen: boolean;
}

/** Quality of a network. */
export interface Quality {
  /** A few sentences on what was measured and how. */
  readonly how: string;
  /** Number of measured samples. */
  readonly count?: number;
  /** In display order; figures with the same title, by several judges, are adjacent. */
  readonly figures: readonly QualityFigure[];
  /** Some samples to look at. */
  readonly samples?: JudgedSamples;
}
