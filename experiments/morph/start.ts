import { slerp } from "../../models/mod.ts";

/** Noise that an image is drawn from. */
export interface Start {
  /** f32[C, H, W]. */
  readonly noise: Float32Array;
  /** The class to draw; none in a network without classes. */
  readonly label?: number;
}

/**
 * The noises on the way from one end to another, on the arc between them. Each is drawn under the class of the nearer
 * end, in the middle that of the first: what lies between the embeddings of two classes is often a third one.
 *
 * @param frames at least 2; the first and the last are the ends themselves
 */
export function between(from: Start, to: Start, frames: number): Start[] {
  return shares(frames).map((share) => {
    const { label } = share <= 0.5 ? from : to;
    return { noise: slerp(from.noise, to.noise, share), ...label !== undefined && { label } };
  });
}

/** The shares of the way at which frames stand, from 0 to 1. */
export function shares(frames: number): number[] {
  return Array.from({ length: frames }, (_, k) => k / (frames - 1));
}
