/**
 * The library for web pages: all of `kernels` and `models`, and the small parts of `viz`. `deno task build web` bundles it
 * as `flow.js`, one ES module without imports.
 *
 * @module
 */
export * from "../kernels/mod.ts";
export * from "../models/mod.ts";
export { colormap, type ColormapName, colormapNames, type Palette } from "../viz/image/colormap.ts";
export { encodeGif, type GifOptions, type Timing } from "../viz/image/gif.ts";
export { type GridOptions, imageGrid, type Tiled } from "../viz/image/grid.ts";
export type { ChannelsShape, GreyShape, ImagesShape } from "../viz/image/image_shape.ts";
export type { Displayable, ImageFile, ImageType, Json, MediaBundle } from "../viz/image/notebook.ts";
export { notebookDisplay, showAs } from "../viz/image/notebook.ts";
export { pace, type Pacing, pacings } from "../viz/flow/pacing.ts";
export type { Picture, Raster } from "../viz/image/picture.ts";
export { encodePng } from "../viz/image/png.ts";
export { type Arrow, quiver } from "../viz/flow/quiver.ts";
