import type { defaultMaps } from "../image/colormap.ts";
import type { Series, Solved, TimeBin } from "./data.ts";
import type { Quality, SolverQuality } from "./quality.ts";
import type { Quantised } from "./quantise.ts";

/** What a page computes with, as JSON. */
export interface Payload {
  readonly runs: readonly RunPayload[];
  readonly comparison?: ComparisonPayload;
  readonly palettes: Palettes;
  /** For each pacing the positions of the slider, in [0, 100], that a player visits. */
  readonly pacings: Readonly<Record<string, readonly number[]>>;
}

/** Palettes of images of one channel and of signed values, u8[256, 3] in base64. */
export type Palettes = Readonly<Record<keyof typeof defaultMaps, string>>;

/** The drawn part of a run. */
export interface RunPayload {
  readonly name: string;
  readonly trainLoss: Series;
  readonly trainSmoothed: Series;
  readonly valLoss: Series;
  readonly learningRate: Series;
  readonly lossByTime: readonly TimeBin[];
  readonly course?: Quality["course"];
  readonly solvers?: readonly SolverQuality[];
  readonly flow?: FlowPayload;
  readonly paths?: PathsPayload;
  /** Only of runs with flow and live data. */
  readonly live?: LivePayload;
}

/** What a page holds for a live run, besides its weights. */
export interface LivePayload {
  /** Why the page cannot sample from it. */
  readonly notLive?: string;
  /** The guidance away from its early self that is offered first; without it, the page does not hold that. */
  readonly awayFromEarly?: number;
  readonly examples?: ExamplesPayload;
  readonly judge?: JudgePayload;
}

/** {@linkcode Examples} as the page holds them. */
export interface ExamplesPayload {
  readonly shape: readonly [N: number, C: number, H: number, W: number];
  /** u8[N, C, H, W] in base64. */
  readonly image: string;
  readonly labels?: readonly number[];
  readonly classNames?: readonly string[];
}

/** {@linkcode LiveJudge} as the page holds it. */
export interface JudgePayload {
  /** The judge's weights are in the script `judge-N` of this number. */
  readonly script: number;
  /** Features of test images, f32[rows, width]. */
  readonly reference: Quantised;
  readonly rows: number;
  readonly width: number;
}

/** Snapshots of samples, thinned to what the page can hold. */
export interface FlowPayload {
  readonly shape: readonly [S: number, M: number, C: number, H: number, W: number];
  readonly t: readonly number[];
  /** [S, M, C, H, W] */
  readonly image: Quantised;
  /** [S, M, C, H, W]; the end has no velocity and repeats the last one. */
  readonly velocity: Quantised;
  /** Time of the velocity at each snapshot. */
  readonly velocityT: readonly number[];
  readonly solved?: Solved;
}

/** {@linkcode Paths} as the page holds it. */
export interface PathsPayload {
  readonly shape: readonly [M: number, N: number, C: number, H: number, W: number];
  readonly t: readonly number[];
  readonly position: Quantised;
  readonly velocity: Quantised;
  readonly image: Quantised;
  readonly classes?: readonly number[];
  readonly classNames?: readonly string[];
  /** The class that each sample was asked to be of. */
  readonly asked?: readonly number[];
  readonly real: { readonly position: Quantised; readonly classes?: readonly number[] };
  /** Quantiles of the samples at each time but the last: 10 %, 50 % and 90 %. */
  readonly speed: Quantiles;
  readonly straightness: Quantiles;
}

/** The 10 %, 50 % and 90 % quantiles at each time. */
export type Quantiles = Record<"low" | "median" | "high", readonly number[]>;

/** {@linkcode Comparison} as the page holds it. */
export interface ComparisonPayload {
  /** Places of the compared runs in the report. */
  readonly runs: readonly number[];
  readonly shape: readonly [S: number, T: number, C: number, H: number, W: number];
  readonly t: readonly number[];
  readonly points: readonly Quantised[];
  readonly velocities: readonly (readonly Quantised[])[];
  /** `difference[p][a][b][i]`: root mean square of v_a - v_b over the points of run p at time i. */
  readonly difference: readonly (readonly (readonly (readonly number[])[])[])[];
}
