/** Images in host memory: selecting some, and preparing them: crop, antialiased scaling, grey or colour. */

/** Maximum pixels of an image, such as 8192 x 4096. */
export const maxPixels: number = 2 ** 25;

/**
 * Selected images.
 *
 * @param images u8[M, P]
 * @param indices of the images, N of them
 * @param P bytes of an image
 * @returns u8[N, P]
 */
export function rowsOf(images: Uint8Array, indices: ArrayLike<number>, P: number): Uint8Array<ArrayBuffer> {
  const rows = new Uint8Array(indices.length * P);
  for (let n = 0; n < indices.length; n++) {
    rows.set(images.subarray(indices[n] * P, (indices[n] + 1) * P), n * P);
  }
  return rows;
}

/**
 * Selects images and scales their bytes.
 *
 * @param images u8[M, P], 0 black to 255 white
 * @param indices of the images, N of them
 * @param P values of an image
 * @returns f32[N, P], 0 black to 1 white
 */
export function pixelsOf(
  images: Uint8Array,
  indices: ArrayLike<number>,
  P: number,
): Float32Array<ArrayBuffer> {
  const bytes = rowsOf(images, indices, P);
  const pixels = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) pixels[i] = bytes[i] / 255;
  return pixels;
}

/** How images are prepared; by default they stay unchanged. */
export interface ImagePreparation {
  /** Height and width to scale to. */
  readonly resize?: readonly [height: number, width: number] | null;
  /**
   * What is scaled: the whole image, which may change its proportions, or its largest central part with the target
   * proportions.
   */
  readonly crop?: "none" | "center";
  /** 1 turns colours into grey, and 3 grey into colours. */
  readonly channels?: 1 | 3 | null;
}

/** An image; the value of channel c at row y and column x is at `c * planeStep + (y * width + x) * pixelStep`. */
export interface ImageView {
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
  readonly bytes: Uint8Array;
  readonly planeStep: number;
  readonly pixelStep: number;
}

/** An image u8[C, H, W]. */
export interface PreparedImage extends Pick<ImageView, "channels" | "height" | "width"> {
  readonly planes: Uint8Array;
}

/** Weights of red, green and blue in grey. Source: ITU-R BT.601 */
const luma = [0.299, 0.587, 0.114];

/** Prepares an image. */
export function prepareImage(image: ImageView, { resize, crop, channels }: ImagePreparation): PreparedImage {
  const [height, width] = resize ?? [image.height, image.width];
  const C = channels ?? image.channels;
  const size = height * width;
  const planes = new Uint8Array(C * size);
  const channel = resize ? scaler(image, resize, crop === "center") : (c: number) => plain(image, c);
  if (C === 1 && image.channels === 3) {
    const colours = luma.map((_, c) => channel(c));
    for (let i = 0; i < size; i++) {
      planes[i] = Math.round(luma[0] * colours[0][i] + luma[1] * colours[1][i] + luma[2] * colours[2][i]);
    }
  } else {
    for (let c = 0; c < C; c++) {
      const values = channel(image.channels === 1 ? 0 : c);
      for (let i = 0; i < size; i++) planes[c * size + i] = Math.round(values[i]);
    }
  }
  return { channels: C, height, width, planes };
}

/** A channel of an image as it is, u8[H * W]. */
function plain({ bytes, height, width, planeStep, pixelStep }: ImageView, c: number): Uint8Array {
  const values = new Uint8Array(height * width);
  for (let i = 0; i < values.length; i++) values[i] = bytes[c * planeStep + i * pixelStep];
  return values;
}

/** The channels of an image, scaled, f32[H * W] each. */
function scaler(
  { bytes, height, width, planeStep, pixelStep }: ImageView,
  [H, W]: readonly [number, number],
  crops: boolean,
) {
  const scale = Math.min(height / H, width / W);
  const [inside, across] = crops ? [H * scale, W * scale] : [height, width];
  const [rows, columns] = [taps(height, inside, H), taps(width, across, W)];
  return (c: number) => {
    const between = new Float32Array(height * W);
    for (let y = rows.first; y < rows.end; y++) {
      const from = c * planeStep + y * width * pixelStep;
      for (let x = 0; x < W; x++) {
        const { at, weights } = columns.all[x];
        let sum = 0;
        for (let i = 0; i < weights.length; i++) sum += weights[i] * bytes[from + (at + i) * pixelStep];
        between[y * W + x] = sum;
      }
    }
    const scaled = new Float32Array(H * W);
    for (let y = 0; y < H; y++) {
      const { at, weights } = rows.all[y];
      for (let x = 0; x < W; x++) {
        let sum = 0;
        for (let i = 0; i < weights.length; i++) sum += weights[i] * between[(at + i) * W + x];
        scaled[y * W + x] = sum;
      }
    }
    return scaled;
  };
}

/**
 * The neighbours that each pixel of a scaled line is computed from, with their weights: a triangle that is as wide as a
 * new pixel, so that nothing is skipped when an image shrinks, and that interpolates when it grows.
 *
 * @param length of the line
 * @param part of the line in its middle that is scaled
 * @param count of new pixels
 */
function taps(length: number, part: number, count: number) {
  const scale = part / count;
  const reach = Math.max(scale, 1);
  const all = Array.from({ length: count }, (_, i) => {
    const centre = (length - part) / 2 + (i + 0.5) * scale;
    const at = Math.max(0, Math.floor(centre - reach + 0.5));
    const end = Math.min(length, Math.floor(centre + reach + 0.5));
    const raw = Float64Array.from(
      { length: end - at },
      (_, j) => Math.max(0, 1 - Math.abs(at + j + 0.5 - centre) / reach),
    );
    const total = raw.reduce((sum, weight) => sum + weight, 0);
    return { at, weights: raw.map((weight) => weight / total) };
  });
  return { all, first: all[0].at, end: all[count - 1].at + all[count - 1].weights.length };
}
