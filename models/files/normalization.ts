/** The affine map from a pixel in [0, 1] to what the network sees: `scale` pixel + `shift`. */
export interface Normalization {
  /** Not 0. */
  readonly scale: number;
  /** What the network sees of a black pixel. */
  readonly shift: number;
}

/** Whether a value, such as a field of a file, is a normalization. */
export function isNormalization(value: unknown): value is Normalization {
  const { scale, shift, ...others } = Object(value);
  return Number.isFinite(scale) && scale !== 0 && Number.isFinite(shift) && Object.keys(others).length === 0;
}

/**
 * Maps what the network sees to pixels: 0 is black, 1 is white; values beyond are kept.
 *
 * @param values of any shape
 * @returns pixels, a new array of the same length
 */
export function toPixels(values: Float32Array, { scale, shift }: Normalization): Float32Array {
  return values.map((value) => (value - shift) / scale);
}

/**
 * Maps pixels to what the network sees; the inverse of `toPixels`.
 *
 * @param pixels of any shape
 * @returns values, a new array of the same length
 */
export function fromPixels(pixels: Float32Array, { scale, shift }: Normalization): Float32Array {
  return pixels.map((pixel) => scale * pixel + shift);
}

/**
 * Rounds pixels to what a file of images holds: black, white and 254 greys between.
 *
 * @param pixels of any shape
 * @returns multiples of 1 / 255 from 0 to 1, a new array of the same length
 */
export function asBytes(pixels: Float32Array): Float32Array {
  return pixels.map((pixel) => Math.round(255 * Math.min(Math.max(pixel, 0), 1)) / 255);
}

/**
 * Maps velocities to pixels per unit of t: a shift has no velocity.
 *
 * @param velocity of any shape
 * @returns velocities, a new array of the same length
 */
export function velocityToPixels(velocity: Float32Array, { scale }: Normalization): Float32Array {
  return velocity.map((value) => value / scale);
}

/**
 * Maps a snapshot to pixels and pixels per unit of t.
 *
 * @returns a new snapshot at the same t; without velocity where the given one has none
 */
export function snapshotToPixels<
  S extends { readonly image: Float32Array; readonly velocity?: Float32Array },
>(snapshot: S, normalization: Normalization): S {
  const { image, velocity } = snapshot;
  return {
    ...snapshot,
    image: toPixels(image, normalization),
    ...velocity && { velocity: velocityToPixels(velocity, normalization) },
  };
}
