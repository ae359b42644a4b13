import type { Trajectory } from "../flow/trajectory.ts";
import type { Live } from "./live_data.ts";
import type { Passage } from "./passages.ts";
import type { Quality, SolverQuality } from "./quality.ts";

/** Numbers at training steps. */
export interface Series {
  /** Steps, rising from 0. */
  readonly step: readonly number[];
  /** What was measured at each of them. */
  readonly value: readonly number[];
}

/** Mean loss of the held-out images whose time fell into [from, to); null where none did. */
export interface TimeBin {
  /** Lower end, included. */
  readonly from: number;
  /** Upper end, excluded. */
  readonly to: number;
  /** How many images fell into it. */
  readonly images: number;
  /** Mean over them. */
  readonly loss: number | null;
}

/** A line of a table: what, and its value in words. */
export type Fact = readonly [name: string, value: string];

/** Paths of many samples in the plane of two principal components of real images. */
export interface Paths {
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
  /** Class of each sample as a small classifier sees it, integers [N]; none where the data set has no labels. */
  readonly classes?: ArrayLike<number>;
  /** What the classes are called, by class; the others go by their numbers. */
  readonly classNames?: readonly string[];
  /** The class that each sample was asked to be of, and the guidance by it, if they were asked. */
  readonly asked?: { readonly labels: ArrayLike<number>; readonly guidance: number };
  /** Real images: coordinates f32[D, 2] and, where there are labels, classes [D]. */
  readonly real: { readonly position: Float32Array; readonly classes?: ArrayLike<number> };
  /** Share of the variance of real images along the two components. */
  readonly share: readonly [number, number];
  /** How many held-out images the classifier got right, where there are labels. */
  readonly classifier?: { readonly right: number; readonly tried: number };
  /** Number of times and of samples, channels if they have an axis, height and width. */
  readonly shape:
    | readonly [M: number, N: number, H: number, W: number]
    | readonly [M: number, N: number, C: number, H: number, W: number];
}

/** How flows were solved from noise to data, in the terms of the library that a page samples with. */
export interface Solved {
  /** Seed of the noise: sample k starts from the k-th noise of it. */
  readonly seed: number;
  /** Name of the solver. */
  readonly solver: string;
  /** Steps from t = 0 to t = 1. */
  readonly steps: number;
  /** The ends of the steps, `steps` + 1 times that rise from 0 to 1; without them the steps are equal. */
  readonly times?: readonly number[];
  /** The class that each sample was asked to be of, if they were. */
  readonly labels?: readonly number[];
  /** Guidance by these classes; 1 is none. */
  readonly guidance?: number;
  /** How often the network was asked for velocities, if it is known. */
  readonly evaluations?: number;
}

/** A training run in a report. Any text may be a user's and is shown as it is. */
export interface ReportRun {
  /** Unique among the runs. */
  readonly name: string;
  /** One sentence that sums it up. */
  readonly summary: string;
  /** How it ended and why, in one sentence, if it was stopped or failed. */
  readonly ending?: string;
  /** The user's note. */
  readonly note?: string;
  /** The numbers to compare runs by, in one order for all runs. */
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
  /** Quality of samples by solvers, if they were compared. */
  readonly solvers?: readonly SolverQuality[];
  /** A picture of samples, bytes of a PNG. */
  readonly samplesPng?: Uint8Array;
  /** What else to say of it, such as `one column a class, guidance 1.5`. */
  readonly samplesText?: string;
  /** How some samples came to be, all of one image size and with the same times. */
  readonly trajectories: readonly Trajectory[];
  /** How their flows were solved, if it is known; the page continues them in the same way. */
  readonly solved?: Solved;
  /** Paths of many samples, if they were kept. */
  readonly paths?: Paths;
}

/** Velocities of several models at the same points. */
export interface Comparison {
  /** Which runs of the report are compared, by their places in it; all of them by default. */
  readonly runs?: readonly number[];
  /** Times of the points, in [0, 1), f32[T]. */
  readonly t: Float32Array;
  /** Number of samples and of times, channels if they have an axis, height and width. */
  readonly shape:
    | readonly [S: number, T: number, H: number, W: number]
    | readonly [S: number, T: number, C: number, H: number, W: number];
  /** The class that each sample was asked to be of, [S], in the runs that know classes. */
  readonly labels?: readonly number[];
  /**
   * For each compared run the points on its own paths, all from the same noise, f32[S, T, H, W] or f32[S, T, C, H, W].
   */
  readonly points: readonly Float32Array[];
  /** `velocities[p][r]`: of run r at the points of run p, shaped like the points. */
  readonly velocities: readonly (readonly Float32Array[])[];
}

/** What a study found. */
export interface StudyFindings {
  /** The title of the report. */
  readonly title: string;
  /** The conclusion. */
  readonly passages: readonly Passage[];
  /** A figure, an SVG, and what it shows in words. */
  readonly figure?: { readonly svg: string; readonly text: string };
  /** Tables, of text. */
  readonly tables: readonly {
    readonly title: string;
    readonly head: readonly string[];
    readonly rows: readonly (readonly string[])[];
  }[];
}

/** All that a report shows. */
export interface ReportData {
  /** One or more, each with a name of its own. */
  readonly runs: readonly ReportRun[];
  /** What keeps the losses of the runs from being compared, one sentence; it stands above them. */
  readonly lossWarning?: string;
  /** What keeps figures of their quality from being compared, one sentence. */
  readonly qualityWarning?: string;
  /** For two runs or more. */
  readonly comparison?: Comparison;
  /** What a study of these runs found; it stands above all. */
  readonly study?: StudyFindings;
  /** With it readers can draw new samples of runs that have trajectories, and paint in them. */
  readonly live?: Live;
}
