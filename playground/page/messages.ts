import type { DrawnDigits } from "../digits_training.ts";
import type { Point } from "../strokes.ts";
import type { OwnFile } from "./own_files.ts";
import type { Trajectories } from "../plane_views.ts";
import type { PlaygroundSettings } from "../settings.ts";

/** Numbers of solver steps that are compared. */
export const fewSteps = [1, 2, 4, 8, 16, 32] as const;

/** What the reader looks at besides the dots. */
export interface Watched {
  /** A place whose velocity is shown. */
  readonly place?: Point | undefined;
  /** Whose velocity: that of an untrained copy, a new one for each number, after steps; by default that of the network. */
  readonly copy?: { readonly id: number; readonly steps: number } | undefined;
  readonly t: number;
  /** Where dots were dropped, at t = 0. */
  readonly drops: readonly Point[];
}

/** What the worker computes on. */
export type Computing = Pick<PlaygroundSettings, "device" | "threads">;

/** A message to the worker. `train` begins a training; those that change only what is shown keep it. */
export type ToTrainer =
  | { readonly kind: "train" | "change"; readonly training: number; readonly settings: PlaygroundSettings }
  | { readonly kind: "run"; readonly running: boolean }
  | { readonly kind: "step" }
  | { readonly kind: "watch"; readonly watched: Watched }
  | { readonly kind: "weights" }
  | { readonly kind: "digits"; readonly command: DigitsCommand }
  | { readonly kind: "gif"; readonly side: number; readonly frames: readonly Uint8ClampedArray[] };

/** The network's velocity at a watched place, after a training step. */
export interface ProbedVelocity {
  readonly step: number;
  readonly place: Point;
  readonly t: number;
  readonly velocity: Point;
}

/** What is seen of a training at a step. */
export interface Frame {
  /** The settings that its dots are drawn with. */
  readonly settings: PlaygroundSettings;
  readonly step: number;
  /** The losses since the last frame. */
  readonly losses: Float32Array<ArrayBuffer>;
  readonly dots: Trajectories;
  /** The dots with each number of steps of `fewSteps`, where the story compares them. */
  readonly planes: readonly Trajectories[];
  /** f32[times, side, side, 2] */
  readonly arrows: Float32Array;
  readonly drops: readonly Trajectories[];
  /** Milliseconds of a training step, from the latest ones. */
  readonly milliseconds: number;
}

/** Data and pairs of a new training. */
export interface TrainingPairs {
  /** f32[M, 2] */
  readonly points: Float32Array<ArrayBuffer>;
  /** Pairs of its first step, f32[N, 2] each. */
  readonly x0: Float32Array<ArrayBuffer>;
  readonly x1: Float32Array<ArrayBuffer>;
  /** Whether a formula gives all lines through a place: noise and data are paired by chance. */
  readonly closed: boolean;
}

/** Weights of a training that rests. */
export interface RestingWeights {
  readonly step: number;
  readonly digest: string;
  /** Whether all steps are taken. */
  readonly done: boolean;
}

/** A message from the worker; those of a training carry its number. */
export type FromTrainer =
  /** The device is open: at the start, and when another one takes over, with the reason as a line for the reader. */
  | {
    readonly kind: "opened";
    readonly device: PlaygroundSettings["device"];
    readonly description: string;
    readonly reason?: string;
  }
  | { readonly kind: "lesson"; readonly training: number; readonly lesson: TrainingPairs }
  | { readonly kind: "frame"; readonly training: number; readonly frame: Frame }
  | { readonly kind: "look"; readonly training: number; readonly look: ProbedVelocity }
  | { readonly kind: "heat"; readonly training: number; readonly logp: Float32Array<ArrayBuffer> }
  | { readonly kind: "floor"; readonly training: number; readonly floor: number }
  | ({ readonly kind: "rested"; readonly training: number } & RestingWeights)
  | { readonly kind: "file"; readonly name: string; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "digits"; readonly report: DigitsReport }
  | { readonly kind: "failed"; readonly message: string };

/** A message about digits to the worker. The first `begin` brings what the page holds, as text. */
export type DigitsCommand =
  | {
    readonly act: "begin";
    readonly settings: PlaygroundSettings;
    readonly parts?: Readonly<Record<string, string>> | undefined;
    readonly running: boolean;
  }
  /** From the next `begin` on, it trains on images of the reader. */
  | { readonly act: "own"; readonly files: readonly OwnFile[] }
  /** Answers the report of the same name. */
  | { readonly act: "picture"; readonly pixels: Uint8Array | undefined }
  | { readonly act: "change"; readonly steps: number }
  | { readonly act: "run"; readonly running: boolean }
  | { readonly act: "paint"; readonly pixels: Float32Array; readonly t: number; readonly label: number }
  | { readonly act: "save" };

/** What is seen of a training on digits. */
export interface DigitsFrame {
  readonly step: number;
  /** The losses since the last frame. */
  readonly losses: Float32Array<ArrayBuffer>;
  readonly drawn: DrawnDigits;
  readonly milliseconds: number;
  readonly heldOut: HeldOut | undefined;
}

/** The loss on images that are not trained on: at the start, and the latest. */
export interface HeldOut {
  readonly first: number;
  readonly now: number;
}

/** Weights of a training on digits that rests. */
export interface RestingDigits extends RestingWeights {
  readonly heldOut: HeldOut;
  /** Bits per dimension of images that are not trained on, and their standard error; these take longer to find. */
  readonly bits?: readonly [mean: number, error: number];
}

/** A message about digits from the worker. */
export type DigitsReport =
  | { readonly about: "frame"; readonly frame: DigitsFrame }
  | { readonly about: "rested"; readonly rest: RestingDigits }
  | { readonly about: "own"; readonly count: number; readonly labelled: boolean }
  | { readonly about: "picture"; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly about: "refused"; readonly message: string }
  | { readonly about: "led"; readonly pixels: Float32Array<ArrayBuffer> }
  | { readonly about: "file"; readonly bytes: Uint8Array<ArrayBuffer> };
