/// <reference lib="dom" />
import type { ImageSize } from "../../image/image_shape.ts";

/** Values as colours: a palette u8[256, 3], and the values at its ends. */
export interface Colours {
  readonly palette: Uint8Array;
  readonly range: readonly [low: number, high: number];
}

/**
 * Draws an image, one canvas pixel for each of its own; style sheets enlarge it without smoothing.
 *
 * @param values f32[C, H, W]; three channels are red, green and blue between the ends of the range, without palette
 */
export function drawImage(
  canvas: HTMLCanvasElement,
  values: Float32Array,
  [C, H, W]: ImageSize,
  { palette, range: [low, high] }: Colours,
): void {
  const level = (value: number) => Math.round(255 * Math.min(1, Math.max(0, (value - low) / (high - low))));
  if (canvas.width !== W || canvas.height !== H) Object.assign(canvas, { width: W, height: H });
  const context = canvas.getContext("2d")!;
  const picture = context.createImageData(W, H);
  for (let i = 0; i < H * W; i++) {
    for (let c = 0; c < 3; c++) {
      picture.data[4 * i + c] = C === 3 ? level(values[c * H * W + i]) : palette[3 * level(values[i]) + c];
    }
    picture.data[4 * i + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
}

/** Gives the canvases of a place the shape of the images to come, so that nothing moves when they are drawn. */
export function reserve(place: HTMLElement, [, H, W]: ImageSize): void {
  for (const canvas of place.querySelectorAll("canvas")) Object.assign(canvas, { width: W, height: H });
}

/** A pixel of an image. */
export interface Pixel {
  readonly row: number;
  readonly column: number;
}

/** The values of a pixel's channels. */
export function channelsOf(image: Float32Array, [C, H, W]: ImageSize, { row, column }: Pixel): number[] {
  return Array.from({ length: C }, (_, c) => image[(c * H + row) * W + column]);
}

/**
 * Lets a reader point at pixels of an image: the mouse points, a click holds, arrow keys move when it has the focus.
 *
 * @param current the pixel that is pointed at
 * @param onPoint called with a pixel, and whether it is to be held
 */
export function pointAtPixels(
  frame: HTMLElement,
  [, H, W]: ImageSize,
  current: () => Pixel,
  onPoint: (pixel: Pixel, hold: boolean) => void,
): void {
  const limited = (row: number, column: number) => ({
    row: Math.max(0, Math.min(H - 1, row)),
    column: Math.max(0, Math.min(W - 1, column)),
  });
  const at = ({ clientX, clientY }: MouseEvent) => {
    const { left, top, width, height } = frame.getBoundingClientRect();
    return limited(Math.floor((clientY - top) / height * H), Math.floor((clientX - left) / width * W));
  };
  frame.addEventListener("pointermove", (event) => onPoint(at(event), false));
  frame.addEventListener("click", (event) => onPoint(at(event), true));
  frame.addEventListener("keydown", (event) => {
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!by) return;
    const { row, column } = current();
    onPoint(limited(row + by[0], column + by[1]), true);
    event.preventDefault();
  });
}
