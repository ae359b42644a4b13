import { tensor } from "../../kernels/mod.ts";
import { noise, slerp, type SolvedFlow, type SolverOptions } from "../../models/mod.ts";
import type { LabelledImages } from "../data/dataset.ts";
import { pixelsOf } from "../data/images.ts";
import type { Guidance } from "./conditioning.ts";
import { type Drawable, drawFromNoise, noiseOfImages, type OnSamples } from "./samples.ts";

/** An end of a row: a test image, by its index in the data set, or the noise number `drawn` of the seed. */
export type End = { readonly image: number } | { readonly drawn: number };

/** Noise to draw an image from. */
export interface Start {
  /** f32[C, H, W]. */
  readonly noise: Float32Array;
  /** The class to draw; undefined without classes. */
  readonly label?: number;
}

/** An end with its noise. */
export interface EndNoise extends Start {
  /** The image that the noise was inverted from, f32[C, H, W]: 0 black, 1 white; undefined for drawn noise. */
  readonly image?: Float32Array;
}

/** A test image and its reconstruction. */
export type Returned = readonly [image: Float32Array, back: Float32Array];

/** Options for inverting images and drawing new ones. */
export interface MorphOptions {
  /** Seed of the drawn noise, and of the noise to mix images with. */
  readonly seed: number;
  /** The time at which test images enter the flow, in (0, 1]. */
  readonly entry: number;
  readonly how: SolverOptions;
  /** Guidance in both directions, for a network with classes. */
  readonly guidance: Guidance;
}

type FlowCost = Omit<SolvedFlow, "samples">;

/**
 * Finds the noise of ends. In a network with classes, each test image keeps its class, and noise n gets class n modulo
 * the number of classes.
 *
 * @param network the network, with its number of classes (0 without labels)
 * @param images the test images, with labels if the network has classes; may be empty if all noise is drawn
 * @returns the ends in order, and the cost of finding noise if an end is an image
 */
export async function findEnds(
  { drawable, classes }: { readonly drawable: Drawable; readonly classes: number },
  ends: readonly End[],
  { images, labels }: Omit<LabelledImages, "count">,
  { guidance, ...options }: MorphOptions,
  onProgress: OnSamples,
): Promise<{ readonly found: readonly EndNoise[]; readonly cost?: FlowCost }> {
  const P = drawable.shape.reduce((product, length) => product * length, 1);
  const drawn = ends.flatMap((end) => "drawn" in end ? [end.drawn] : []);
  const x0 = drawn.length > 0
    ? await noise(options.seed, [Math.max(...drawn) + 1, ...drawable.shape]).read()
    : new Float32Array();
  const numbers = ends.flatMap((end) => "image" in end ? [end.image] : []);
  const pixels = pixelsOf(images, numbers, P);
  const own = Uint32Array.from(numbers, (image) => labels?.[image] ?? 0);
  const conditioning = classes > 0 ? { labels: own, guidance } : undefined;
  const { noise: back, ...cost } = numbers.length > 0
    ? await noiseOfImages(drawable, pixels, { ...options, conditioning }, onProgress)
    : { noise: new Float32Array() };
  let next = 0;
  const found = ends.map((end): EndNoise => {
    const isImage = "image" in end;
    const n = isImage ? next++ : end.drawn;
    const row = (values: Float32Array) => values.slice(n * P, (n + 1) * P);
    return {
      noise: row(isImage ? back : x0),
      ...isImage && { image: row(pixels) },
      ...classes > 0 && { label: isImage ? own[n] : n % classes },
    };
  });
  return { found, ..."evaluations" in cost && { cost } };
}

/**
 * Interpolates the noise along the arc from one end to another. Each step gets the class of its nearer end, and the middle
 * one the class of the first: between the embeddings of two classes there is often a third one.
 *
 * @param frames at least 2; the first and the last are the ends themselves
 */
export function between(from: Start, to: Start, frames: number): Start[] {
  return shares(frames).map((share) => {
    const { label } = share <= 0.5 ? from : to;
    return { noise: slerp(from.noise, to.noise, share), ...label !== undefined && { label } };
  });
}

/** Equally spaced numbers from 0 to 1, one per frame. */
export function shares(frames: number): number[] {
  return Array.from({ length: frames }, (_, k) => k / (frames - 1));
}

/**
 * Draws an image from each noise.
 *
 * @returns the images, f32[C, H, W] each: 0 black, 1 white, not clipped
 */
export async function drawStarts(
  drawable: Drawable,
  starts: readonly Start[],
  { how, guidance }: MorphOptions,
  onProgress: OnSamples,
): Promise<{ readonly images: readonly Float32Array[]; readonly cost: FlowCost }> {
  const P = starts[0].noise.length;
  const x0 = new Float32Array(starts.length * P);
  starts.forEach(({ noise }, n) => x0.set(noise, n * P));
  const labels = starts.flatMap(({ label }) => label ?? []);
  const conditioning = labels.length > 0 ? { labels: Uint32Array.from(labels), guidance } : undefined;
  const noises = tensor(x0, [starts.length, ...drawable.shape]);
  const { pixels, ...cost } = await drawFromNoise(drawable, noises, conditioning, how, onProgress);
  return { images: starts.map((_, n) => pixels.subarray(n * P, (n + 1) * P)), cost };
}

/** Formats reconstruction errors: `root mean square error 0.0031 to 0.0052 of pixels from 0 to 1`. */
export function formatLoss(returned: readonly Returned[]): string {
  const errors = returned.map(([image, back]) => rootMeanSquare(image, back));
  const [smallest, largest] = [Math.min(...errors), Math.max(...errors)].map((error) => error.toPrecision(2));
  return `root mean square error ${
    smallest === largest ? smallest : `${smallest} to ${largest}`
  } of pixels from 0 to 1`;
}

/** Root mean square difference between two images. */
function rootMeanSquare(a: Float32Array, b: Float32Array): number {
  return Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0) / a.length);
}
