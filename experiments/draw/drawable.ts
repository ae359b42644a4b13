import type { Asked } from "./asked.ts";
import type { Model, Normalization, SolverName } from "../../models/mod.ts";
import type { ImageSize } from "../../viz/mod.ts";
import type { Weaker } from "./weaker.ts";

/** A network to draw from, with what is known of its images; a loaded checkpoint says all of it. */
export interface Drawable {
  readonly model: Model;
  readonly normalization: Normalization;
  /** [C, H, W] of an image. */
  readonly shape: ImageSize;
  /** What its samples are guided away from where no classes are asked for; their flows are shown without. */
  readonly weaker?: Weaker;
}

/** How samples are drawn. */
export interface Drawing {
  /** Number of samples. */
  readonly count: number;
  /** Seed of the noise: sample n starts from the same noise in every model, however many samples there are. */
  readonly seed: number;
  /** Equal steps from t = 0 to t = 1. */
  readonly steps: number;
  readonly solver: SolverName;
  /** The classes that the samples are asked to be of; without, a network draws as if there were no classes. */
  readonly asked?: Asked;
  /** Columns of a grid of them; by default nearly square. */
  readonly columns?: number;
}

/** A network with the images that it is trained on. */
export function drawableOf(model: Model, { normalization, shape }: Omit<Drawable, "model">): Drawable {
  return { model, normalization, shape };
}
