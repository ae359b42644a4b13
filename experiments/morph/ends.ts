import { noise } from "../../models/mod.ts";
import type { FlowSolver } from "../../models/mod.ts";
import type { Guidance } from "../draw/asked.ts";
import type { Drawable } from "../draw/drawable.ts";
import { type FoundNoise, noiseOfImages, type OnSamples } from "../draw/samples.ts";
import { type LabelledImages, pixelsOf } from "../data/dataset.ts";
import type { Start } from "./start.ts";

/** What a row begins or ends with: a test image, by its index in the data set, or noise that a seed gives. */
export type End = { readonly image: number } | { readonly drawn: number };

/** The noise of an end. */
export interface FoundEnd extends Start {
  /** The image that it comes from, f32[C, H, W]: 0 black, 1 white; none where it is drawn. */
  readonly image?: Float32Array;
}

/** How ends are found, and images drawn from them. */
export interface MorphOptions {
  /** Of the drawn noise, and of that with which images enter the flow. */
  readonly seed: number;
  /** The time at which test images enter the flow, in (0, 1]. */
  readonly entry: number;
  readonly how: FlowSolver;
  /** Of a network with classes, there and back. */
  readonly guidance: Guidance;
}

/** The network to lead images through. */
export interface MorphNetwork {
  readonly drawable: Drawable;
  /** 0 without. */
  readonly classes: number;
}

/**
 * Finds the noise of ends. A network with classes takes each test image under its own class; noise n is drawn for class
 * n, counted round.
 *
 * @param images the test images, with labels if the network has classes; none need be there where all noise is drawn
 * @returns the ends in order, and what the way to noise cost, if there is an image
 * @throws {RunError} if the network gives values that are not finite
 * @throws {SolverError} if an adaptive solver cannot go on
 */
export async function findEnds(
  { drawable, classes }: MorphNetwork,
  ends: readonly End[],
  images: Omit<LabelledImages, "count">,
  { guidance, ...options }: MorphOptions,
  onProgress: OnSamples,
): Promise<{ readonly found: readonly FoundEnd[]; readonly cost?: Omit<FoundNoise, "noise"> }> {
  const P = drawable.shape.reduce((product, length) => product * length, 1);
  const drawn = ends.flatMap((end) => "drawn" in end ? [end.drawn] : []);
  const x0 = drawn.length > 0
    ? await noise(options.seed, [Math.max(...drawn) + 1, ...drawable.shape]).read()
    : new Float32Array();
  const numbers = ends.flatMap((end) => "image" in end ? [end.image] : []);
  const chosen = imagesOf(images, numbers, P);
  const asked = classes > 0 ? { labels: chosen.labels, guidance } : undefined;
  const { noise: back, ...cost } = numbers.length > 0
    ? await noiseOfImages(drawable, chosen.pixels, { ...options, asked }, onProgress)
    : { noise: new Float32Array() };
  let next = 0;
  const found = ends.map((end): FoundEnd => {
    const isImage = "image" in end;
    const n = isImage ? next++ : end.drawn;
    const row = (values: Float32Array) => values.slice(n * P, (n + 1) * P);
    return {
      noise: row(isImage ? back : x0),
      ...isImage && { image: row(chosen.pixels) },
      ...classes > 0 && { label: isImage ? chosen.labels[n] : n % classes },
    };
  });
  return { found, ..."evaluations" in cost && { cost } };
}

/** Some test images, f32[N, P] with 0 black and 1 white, and their labels. */
function imagesOf(
  { images, labels }: Omit<LabelledImages, "count">,
  numbers: readonly number[],
  P: number,
): { readonly pixels: Float32Array; readonly labels: Uint32Array<ArrayBuffer> } {
  return {
    pixels: pixelsOf(images, numbers, P),
    labels: Uint32Array.from(numbers, (image) => labels?.[image] ?? 0),
  };
}
