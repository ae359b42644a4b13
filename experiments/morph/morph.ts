import { tensor } from "../../kernels/mod.ts";
import { drawFromNoise, type DrawnSamples, type OnSamples } from "../draw/samples.ts";
import type { End, FoundEnd, MorphNetwork, MorphOptions } from "./ends.ts";
import type { Start } from "./start.ts";

/** One way to lead images through noise to other ones, before anything is computed. */
export interface Morph {
  /** Where its rows begin and end. */
  readonly ends: readonly End[];
  /** Images that are drawn. */
  readonly count: number;
  /** What it makes, such as `5 rows of 9 images`. */
  readonly words: string;
  /** The noise of all images to draw, row by row. */
  starts(found: readonly FoundEnd[]): Start[];
  /** The images among the drawn that are to be test images again, each with that test image. */
  returned(found: readonly FoundEnd[], drawn: readonly Float32Array[]): Returned[];
  /** The bytes of its picture. */
  picture(found: readonly FoundEnd[], drawn: readonly Float32Array[]): Promise<Uint8Array>;
}

/** A test image, and what came back from its noise. */
export type Returned = readonly [image: Float32Array, back: Float32Array];

/** How pictures of a morph look. */
export interface Look {
  /** What a row or column is called that begins or ends there. */
  readonly nameOf: (end: End) => string;
  readonly className: (label: number) => string;
  /** The line below the picture. */
  readonly note: string;
}

/**
 * Draws an image from each noise.
 *
 * @returns the images, f32[C, H, W] each: 0 black, 1 white, not clipped
 * @throws {RunError} if the network gives values that are not finite
 * @throws {SolverError} if an adaptive solver cannot go on
 */
export async function drawStarts(
  { drawable }: MorphNetwork,
  starts: readonly Start[],
  { how, guidance }: MorphOptions,
  onProgress: OnSamples,
): Promise<{ readonly images: readonly Float32Array[]; readonly cost: Omit<DrawnSamples, "pixels"> }> {
  const P = starts[0].noise.length;
  const x0 = new Float32Array(starts.length * P);
  starts.forEach(({ noise }, n) => x0.set(noise, n * P));
  const labels = starts.flatMap(({ label }) => label ?? []);
  const asked = labels.length > 0 ? { labels: Uint32Array.from(labels), guidance } : undefined;
  const noises = tensor(x0, [starts.length, ...drawable.shape]);
  const { pixels, ...cost } = await drawFromNoise(drawable, noises, asked, how, onProgress);
  return { images: starts.map((_, n) => pixels.subarray(n * P, (n + 1) * P)), cost };
}

/** What a way to noise and back loses of test images: `root mean square error 0.0031 to 0.0052`, of pixels in [0, 1]. */
export function lossInWords(returned: readonly Returned[]): string {
  const errors = returned.map(([image, back]) => rootMeanSquare(image, back));
  const [least, most] = [Math.min(...errors), Math.max(...errors)].map((error) => error.toPrecision(2));
  return `root mean square error ${least === most ? least : `${least} to ${most}`} of pixels from 0 to 1`;
}

/** Root mean square of the differences of two images. */
export function rootMeanSquare(a: Float32Array, b: Float32Array): number {
  return Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0) / a.length);
}
