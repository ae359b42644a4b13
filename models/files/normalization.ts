/** Affine map from pixels in [0, 1] to the network's units: `scale` pixel + `shift`. */
export interface Normalization {
  /** Not 0. */
  readonly scale: number;
  /** Value of a black pixel in the network's units. */
  readonly shift: number;
}

/** Whether an unknown value, such as a field of a file, is a normalization. */
export function isNormalization(value: unknown): value is Normalization {
  const { scale, shift, ...rest } = Object(value);
  return Number.isFinite(scale) && scale !== 0 && Number.isFinite(shift) && Object.keys(rest).length === 0;
}

/** Maps values in the network's units to pixels, a new array: 0 is black, 1 is white. Does not clip. */
export function toPixels(values: Float32Array, { scale, shift }: Normalization): Float32Array {
  return values.map((value) => (value - shift) / scale);
}

/** Maps pixels to the network's units, a new array; the inverse of `toPixels`. */
export function fromPixels(pixels: Float32Array, { scale, shift }: Normalization): Float32Array {
  return pixels.map((pixel) => scale * pixel + shift);
}

/** Rounds pixels to the 256 grey levels of an image file: multiples of 1 / 255 from 0 to 1, a new array. */
export function asBytes(pixels: Float32Array): Float32Array {
  return pixels.map((pixel) => Math.round(255 * Math.min(Math.max(pixel, 0), 1)) / 255);
}

/** Maps velocities to pixels per unit of t, a new array. Only the scale matters. */
export function velocityToPixels(velocity: Float32Array, { scale }: Normalization): Float32Array {
  return velocity.map((value) => value / scale);
}

/** Maps a snapshot to pixels, and its velocity, if it has one, to pixels per unit of t. */
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
