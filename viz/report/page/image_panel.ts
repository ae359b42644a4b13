/// <reference lib="dom" />
import type { ImageSize } from "../../image/image_shape.ts";
import type { Palettes } from "../page_data.ts";

/** A palette, u8[256, 3], and the values at its ends. */
export interface Colours {
  readonly palette: Uint8Array;
  readonly range: readonly [low: number, high: number];
}

/** The colours of a page. */
export interface PageColours {
  readonly image: Colours;
  /** Colours of values in [-max, max]: red above 0, blue below. */
  signed(max: number): Colours;
}

/** The colours that use a page's palettes. */
export function pageColours({ image, signed }: Palettes): PageColours {
  return {
    image: { palette: image, range: [0, 1] },
    signed: (max) => ({ palette: signed, range: [max, -max] }),
  };
}

/**
 * Draws an image with one canvas pixel per pixel; the style sheet enlarges it without smoothing.
 *
 * @param values f32[C, H, W]; three channels are drawn as red, green and blue without the palette
 */
export function drawImage(
  canvas: HTMLCanvasElement,
  values: Float32Array,
  size: ImageSize,
  colours: Colours,
): void {
  const [, H, W] = size;
  if (canvas.width !== W || canvas.height !== H) Object.assign(canvas, { width: W, height: H });
  canvas.getContext("2d")!.putImageData(new ImageData(imagePixels(values, size, colours), W, H), 0, 0);
}

/** The colours of an image's pixels, RGBA bytes [H, W, 4]; values as in {@linkcode drawImage}. */
export function imagePixels(
  values: Float32Array,
  [C, H, W]: ImageSize,
  { palette, range: [low, high] }: Colours,
): Uint8ClampedArray<ArrayBuffer> {
  const level = (value: number) => Math.round(255 * Math.min(1, Math.max(0, (value - low) / (high - low))));
  const pixels = new Uint8ClampedArray(4 * H * W).fill(255);
  for (let i = 0; i < H * W; i++) {
    for (let c = 0; c < 3; c++) {
      pixels[4 * i + c] = C === 3 ? level(values[c * H * W + i]) : palette[3 * level(values[i]) + c];
    }
  }
  return pixels;
}

/** Reserves space for images of this size, so that nothing shifts when they are drawn. */
export function reserve(place: HTMLElement, [, H, W]: ImageSize): void {
  for (const canvas of place.querySelectorAll("canvas")) Object.assign(canvas, { width: W, height: H });
}

export interface Pixel {
  readonly row: number;
  readonly column: number;
}

/** The pixel under the pointer, which may be outside the image. */
export function pixelAt(frame: HTMLElement, [, H, W]: ImageSize, { clientX, clientY }: MouseEvent): Pixel {
  const { left, top, width, height } = frame.getBoundingClientRect();
  return { row: Math.floor((clientY - top) / height * H), column: Math.floor((clientX - left) / width * W) };
}

export function channelsOf(image: Float32Array, [C, H, W]: ImageSize, { row, column }: Pixel): number[] {
  return Array.from({ length: C }, (_, c) => image[(c * H + row) * W + column]);
}

/**
 * Lets readers select pixels of an image: by pointing, by clicking to keep one, or with the arrow keys.
 *
 * @param current returns the selected pixel
 * @param onPoint called with a pixel, and whether to keep it
 */
export function pointAtPixels(
  frame: HTMLElement,
  size: ImageSize,
  current: () => Pixel,
  onPoint: (pixel: Pixel, hold: boolean) => void,
): void {
  const [, H, W] = size;
  const limited = ({ row, column }: Pixel) => ({
    row: Math.max(0, Math.min(H - 1, row)),
    column: Math.max(0, Math.min(W - 1, column)),
  });
  const at = (event: MouseEvent) => limited(pixelAt(frame, size, event));
  frame.addEventListener("pointermove", (event) => onPoint(at(event), false));
  frame.addEventListener("click", (event) => onPoint(at(event), true));
  frame.addEventListener("keydown", (event) => {
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!by) return;
    const { row, column } = current();
    onPoint(limited({ row: row + by[0], column: column + by[1] }), true);
    event.preventDefault();
  });
}
