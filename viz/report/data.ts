import type { Evolution } from "../flow/evolution.ts";

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

/** Ways of many samples in the plane of two principal components of real images. */
export interface Paths {
  /** Times, rising from 0 to 1, f32[M]. */
  readonly t: Float32Array;
  /** Coordinates, f32[M, N, 2]. */
  readonly position: Float32Array;
  /** Velocity in the plane, f32[M - 1, N, 2]. */
  readonly velocity: Float32Array;
  /** Root of the mean square of the velocity over all pixels, f32[M - 1, N]. */
  readonly speed: Float32Array;
  /** Cosine between velocity and the straight way from noise to sample, f32[M - 1, N]. */
  readonly straightness: Float32Array;
  /** The samples at the end, pixels in [0, 1], f32[N, H, W]. */
  readonly image: Float32Array;
  /** Class of each sample as a small classifier sees it, u8[N]. */
  readonly classes: Uint8Array;
  /** Real images: coordinates f32[D, 2] and classes u8[D]. */
  readonly real: { readonly position: Float32Array; readonly classes: Uint8Array };
  /** Share of the variance of real images along the two components. */
  readonly share: readonly [number, number];
  /** How many held-out images the classifier got right. */
  readonly classifier: { readonly right: number; readonly tried: number };
  /** Number of times and of samples, height and width. */
  readonly shape: readonly [M: number, N: number, H: number, W: number];
}

/** How flows were solved from noise to data, in the terms of the library that a page samples with. */
export interface Solved {
  /** Seed of the noise: sample k starts from the k-th noise of it. */
  readonly seed: number;
  /** Name of the solver. */
  readonly solver: string;
  /** Equal steps from t = 0 to t = 1. */
  readonly steps: number;
}

/** What a page samples with by itself. */
export interface Live {
  /** Text of an ES module without imports that offers a `Library` as in `library.ts`, such as `web/flow.js`. */
  readonly library: string;
  /** For each run the bytes of its checkpoint, or why there are none, as the end of a sentence. */
  readonly checkpoints: readonly (Uint8Array | string)[];
}

/** A training run as a report tells of it. Any text may be a user's and is shown as it is. */
export interface ReportRun {
  /** What to call it; different from those of the other runs. */
  readonly name: string;
  /** One sentence that sums it up. */
  readonly summary: string;
  /** The user's words on it. */
  readonly note?: string;
  /** The numbers to compare runs by, in one order for all runs. */
  readonly results: readonly Fact[];
  /** Settings, each of which the run may be repeated with. */
  readonly settings: readonly Fact[];
  /** The machine and the code. */
  readonly environment: readonly Fact[];
  /** Loss of the batches trained on. */
  readonly trainLoss: Series;
  /** Loss of held-out images. */
  readonly valLoss: Series;
  /** Learning rate of each step. */
  readonly learningRate: Series;
  /** Loss of held-out images by the time at which the network errs. */
  readonly lossByTime?: readonly TimeBin[];
  /** A picture of samples, bytes of a PNG. */
  readonly samplesPng?: Uint8Array;
  /** How some samples came to be, all of one size [H, W] and with the same times. */
  readonly evolutions: readonly Evolution[];
  /** How their flows were solved, if it is known; the page continues them in the same way. */
  readonly solved?: Solved;
  /** Ways of many samples, if they were kept. */
  readonly paths?: Paths;
}

/** Velocities of several models at the same points. */
export interface Comparison {
  /** Times of the points, in [0, 1), f32[T]. */
  readonly t: Float32Array;
  /** Number of samples and of times, height and width. */
  readonly shape: readonly [S: number, T: number, H: number, W: number];
  /** For each run the points on its own paths, all from the same noise, f32[S, T, H, W]. */
  readonly points: readonly Float32Array[];
  /** `velocities[p][r]`: of run r at the points of run p, f32[S, T, H, W]. */
  readonly velocities: readonly (readonly Float32Array[])[];
}

/** All that a report shows. */
export interface ReportData {
  /** One or more, each with a name of its own. */
  readonly runs: readonly ReportRun[];
  /** For two runs or more. */
  readonly comparison?: Comparison;
  /** With it readers may draw samples of runs that have evolutions, paint in them and see the flow go on. */
  readonly live?: Live;
}
