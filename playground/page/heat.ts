/// <reference lib="dom" />

/** A picture of densities; `colour` as `#rrggbb`. */
export function heatPicture(logp: Float32Array, colour: string): HTMLCanvasElement {
  const side = Math.sqrt(logp.length);
  const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
  const rgb = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  canvas.getContext("2d")!.putImageData(new ImageData(heatPixels(logp, rgb), side, side), 0, 0);
  return canvas;
}

/**
 * The pixels of a picture of densities: the denser a place, the less transparent.
 *
 * @param logp f32[side, side], rows upwards
 * @returns RGBA, rows downwards
 */
export function heatPixels(logp: Float32Array, rgb: readonly number[]): Uint8ClampedArray<ArrayBuffer> {
  const side = Math.sqrt(logp.length);
  const pixels = new Uint8ClampedArray(4 * logp.length);
  const highest = logp.reduce((max, value) => Math.max(max, value), -Infinity);
  for (let i = 0; i < logp.length; i++) {
    const [x, y] = [i % side, side - 1 - Math.floor(i / side)];
    const share = Math.sqrt(Math.exp(logp[i] - highest)); // so that thin places are seen, too
    pixels.set([...rgb, Math.round(200 * share)], 4 * (y * side + x));
  }
  return pixels;
}
