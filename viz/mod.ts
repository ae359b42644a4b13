/**
 * Pictures of images and flows: host arrays in, bytes out. Needs no GPU and no permission.
 *
 * @module
 */
export { colormap, type ColormapName, type Palette } from "./colormap.ts";
export { flowGif, type FlowGifOptions } from "./flow_gif.ts";
export { checkEvolution, type Evolution } from "./evolution.ts";
export { encodeGif, type GifOptions } from "./gif.ts";
export { grid, type GridOptions, type ImagesShape } from "./grid.ts";
export { pace, type Pacing } from "./pacing.ts";
export type { Picture } from "./picture.ts";
export { encodePng } from "./png.ts";
