import { idxHeader } from "../viz/image/idx.ts";
import { digitPixels, type LabelledDigits } from "./digits_parts.ts";
import { PlaygroundError } from "./settings.ts";

/** Side of the training images, in pixels. */
const side = 28;
/** Maximum number of images that a reader can add. */
export const maxImages = 20_000;

/** The content of an IDX file: images u8[N, H, W], or labels u8[N]. */
export interface IdxContent {
  readonly count: number;
  /** Absent for labels. */
  readonly size?: readonly [height: number, width: number];
  readonly values: Uint8Array;
}

/** Whether bytes start with the header of an IDX file of bytes. */
export function isIdx(bytes: Uint8Array): boolean {
  return idxHeader(bytes) !== undefined;
}

/**
 * Reads an IDX file of grey images or labels.
 *
 * @param name the file's name, for messages
 * @throws {PlaygroundError} if the file holds neither, is damaged, or is too large
 */
export function parseIdx(bytes: Uint8Array, name: string): IdxContent {
  const { shape, start, end } = idxHeader(bytes) ?? { shape: [], start: 0, end: 0 };
  if (shape.length !== 1 && shape.length !== 3) {
    throw new PlaygroundError(
      `Cannot use ${name}: its values have ${shape.length} axes (expected 3 for images or 1 for labels)`,
    );
  }
  if (start === end || bytes.length !== end) {
    throw new PlaygroundError(
      start === end
        ? `Cannot read ${name}: it is empty (expected at least one image or label)`
        : `Cannot read ${name}: it holds ${bytes.length - start} bytes of data (expected ${
          end - start
        }, by its header)`,
    );
  }
  const [all, height = 1, width = 1] = shape;
  const count = Math.min(all, maxImages);
  return {
    count,
    ...shape.length === 3 && { size: [height, width] as const },
    values: bytes.subarray(start, start + count * height * width),
  };
}

/** Scales images u8[N, H, W] to fit [N, 28, 28], centred on black. Each pixel is the mean of the area it covers. */
export function fitted(values: Uint8Array, [H, W]: readonly [number, number]): Uint8Array<ArrayBuffer> {
  const count = values.length / (H * W);
  if (H === side && W === side) return Uint8Array.from(values);
  const scale = side / Math.max(H, W);
  const [top, left] = [(side - H * scale) / 2, (side - W * scale) / 2];
  const covered = (at: number, before: number, length: number): readonly [number, number] => {
    const from = Math.max(0, Math.floor((at - before) / scale + 1e-9));
    const to = Math.min(length, Math.max(from + 1, Math.round((at + 1 - before) / scale)));
    return at + 0.5 < before || at + 0.5 > side - before ? [0, 0] : [Math.min(from, length - 1), to];
  };
  const out = new Uint8Array(count * digitPixels);
  for (let i = 0; i < out.length; i++) {
    const [n, y, x] = [Math.floor(i / digitPixels), Math.floor(i / side) % side, i % side];
    const [y0, y1] = covered(y, top, H);
    const [x0, x1] = covered(x, left, W);
    let sum = 0;
    for (let row = y0; row < y1; row++) {
      for (let column = x0; column < x1; column++) sum += values[(n * H + row) * W + column];
    }
    out[i] = sum / Math.max(1, (y1 - y0) * (x1 - x0));
  }
  return out;
}

/** The label that means "no class" to the page's networks. */
export const noLabel = 10;

/**
 * Splits the reader's images: nine tenths to train on, the last tenth to measure the loss on.
 *
 * @param images u8[N, 28, 28]
 * @param labels u8[N], each below 10; if absent, the images have no class
 * @throws {PlaygroundError} if there are too few images, or the labels do not match them
 */
export function holdOut(
  images: Uint8Array,
  labels: Uint8Array | undefined,
): { readonly train: LabelledDigits; readonly heldOut: LabelledDigits } {
  const count = images.length / digitPixels;
  if (count < 2) throw new PlaygroundError(`Cannot train on ${count} images (expected at least 2)`);
  if (labels && (labels.length < count || labels.some((label) => label >= noLabel))) {
    throw new PlaygroundError(
      `Cannot use the labels: there are ${labels.length}, the highest is ${
        labels.reduce((a, b) => Math.max(a, b), 0)
      } (expected ${count}, from 0 to 9)`,
    );
  }
  const all = labels ?? new Uint8Array(count).fill(noLabel);
  const kept = count - Math.max(1, Math.floor(count / 10));
  const part = (from: number, to: number): LabelledDigits => ({
    images: images.subarray(from * digitPixels, to * digitPixels),
    labels: all.subarray(from, to),
  });
  return { train: part(0, kept), heldOut: part(kept, count) };
}
