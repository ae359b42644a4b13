/**
 * Pictures of images and flows: host arrays in, bytes out. Needs no GPU and no permission.
 *
 * @module
 */
export { encodeApng } from "./apng.ts";
export { colormap, type ColormapName, colormapNames, type Palette } from "./colormap.ts";
export { type Figure, figure, type FigureFrame, type FigureLayout, type Trace } from "./figure.ts";
export { checkEvolution, type Evolution } from "./evolution.ts";
export { type FlowField, flowFields } from "./flow_cell.ts";
export {
  filmstrip,
  type FlowFrames,
  flowFrames,
  type FlowFramesOptions,
  type FlowRow,
} from "./flow_frames.ts";
export { flowGif } from "./flow_gif.ts";
export { encodeGif, type GifOptions, type Timing } from "./gif.ts";
export { grid, type GridOptions, type ImagesShape } from "./grid.ts";
export { lossFigure, type LossFigureOptions } from "./loss_figure.ts";
export {
  type Displayable,
  type ImageFile,
  type Json,
  type MediaBundle,
  notebookDisplay,
  showAs,
} from "./notebook.ts";
export { pace, type Pacing, pacings } from "./pacing.ts";
export type { Picture } from "./picture.ts";
export { arrowsFigure, pathsFigure, type PlaneFigureOptions, type PlaneSnapshot } from "./plane_figures.ts";
export { encodePng, encodeRasterPng } from "./png.ts";
export type { PlotlyFigure } from "./plotly_figure.ts";
export { type Arrow, quiver } from "./quiver.ts";
export { type Raster, type Rasterizer, rasterizer } from "./raster.ts";
