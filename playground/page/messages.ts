import type { DrawnDigits } from "../digits_training.ts";
import type { Point } from "../plane_data.ts";
import type { Trajectories } from "../plane_views.ts";
import type { PlaygroundSettings } from "../settings.ts";

/** The numbers of solver steps to compare. */
export const fewSteps = [1, 2, 4, 8, 16, 32] as const;

/** What the worker should send besides the dots. */
export interface Watched {
  /** A place whose velocity the page shows. */
  readonly place?: Point | undefined;
  /** The untrained copy to ask, a new one for each id, after so many steps; by default the network itself. */
  readonly copy?: { readonly id: number; readonly steps: number } | undefined;
  readonly t: number;
  /** The places of dropped dots at t = 0. */
  readonly drops: readonly Point[];
}

/** A message to the worker. `train` starts a training; `change` keeps it if the settings allow. */
export type ToTrainer =
  | { readonly kind: "train" | "change"; readonly training: number; readonly settings: PlaygroundSettings }
  | { readonly kind: "run"; readonly running: boolean }
  | { readonly kind: "step" }
  | { readonly kind: "watch"; readonly watched: Watched }
  | { readonly kind: "digits"; readonly command: DigitsCommand };

/** A network's velocity at a watched place, after a training step. */
export interface ProbedVelocity {
  readonly step: number;
  readonly place: Point;
  readonly t: number;
  readonly velocity: Point;
}

/** What the page shows of a training at a step. */
export interface Frame {
  /** The settings used to compute its dots. */
  readonly settings: PlaygroundSettings;
  readonly step: number;
  /** The losses since the last frame. */
  readonly losses: Float32Array<ArrayBuffer>;
  readonly dots: Trajectories;
  /** The dots for each number of steps in `fewSteps`; empty unless the story compares them. */
  readonly planes: readonly Trajectories[];
  /** f32[times, side, side, 2] */
  readonly arrows: Float32Array;
  readonly drops: readonly Trajectories[];
  /** Milliseconds per training step, over the latest ones. */
  readonly milliseconds: number;
}

/** The data and first pairs of a new training. */
export interface TrainingPairs {
  /** f32[M, 2] */
  readonly points: Float32Array<ArrayBuffer>;
  /** The pairs of its first step, f32[N, 2] each. */
  readonly x0: Float32Array<ArrayBuffer>;
  readonly x1: Float32Array<ArrayBuffer>;
  /** Whether the lines through a place have a closed form: noise and data are paired at random. */
  readonly closed: boolean;
}

/** The weights of a training that is paused or done. */
export interface RestingWeights {
  readonly step: number;
  readonly digest: string;
  /** Whether all steps are done. */
  readonly done: boolean;
}

/** A message from the worker; those about a training carry its number. */
export type FromTrainer =
  /** A device was opened: at the start, or in place of another one, with the reason as a line for the reader. */
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
  | { readonly kind: "digits"; readonly report: DigitsReport }
  | { readonly kind: "failed"; readonly message: string };

/** A message about digits to the worker. The first `begin` carries the embedded data, as text. */
export type DigitsCommand =
  | {
    readonly act: "begin";
    readonly settings: PlaygroundSettings;
    readonly parts?: readonly string[] | undefined;
    readonly running: boolean;
  }
  | { readonly act: "change"; readonly steps: number }
  | { readonly act: "run"; readonly running: boolean }
  | { readonly act: "paint"; readonly pixels: Float32Array; readonly t: number; readonly label: number };

/** The loss on held-out images: at the start, and the latest. */
export type HeldOut = readonly [first: number, now: number];

/** What the page shows of a training on digits. */
export interface DigitsFrame {
  readonly step: number;
  /** The losses since the last frame. */
  readonly losses: Float32Array<ArrayBuffer>;
  readonly drawn: DrawnDigits;
  readonly milliseconds: number;
  readonly heldOut: HeldOut | undefined;
}

/** The weights of a training on digits that is paused or done. */
export interface RestingDigits extends RestingWeights {
  readonly heldOut: HeldOut;
  /** Bits per dimension of held-out images, and their standard error; these arrive later. */
  readonly bits?: readonly [mean: number, error: number];
}

/** A message about digits from the worker. */
export type DigitsReport =
  | { readonly about: "frame"; readonly frame: DigitsFrame }
  | { readonly about: "rested"; readonly rest: RestingDigits }
  | { readonly about: "led"; readonly pixels: Float32Array<ArrayBuffer> };
