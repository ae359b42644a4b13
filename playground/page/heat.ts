/// <reference lib="dom" />

/**
 * A picture of densities: the denser a place, the less transparent.
 *
 * @param logp f32[side, side], rows upwards
 * @param colour as `#rrggbb`
 */
export function heatPicture(logp: Float32Array, colour: string): HTMLCanvasElement {
  const side = Math.sqrt(logp.length);
  const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(side, side);
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  const highest = logp.reduce((most, value) => Math.max(most, value), -Infinity);
  for (let i = 0; i < logp.length; i++) {
    const [x, y] = [i % side, side - 1 - Math.floor(i / side)];
    const share = Math.sqrt(Math.exp(logp[i] - highest)); // so that thin places are seen, too
    image.data.set([r, g, b, Math.round(200 * share)], 4 * (y * side + x));
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
