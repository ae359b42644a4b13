/**
 * Draws pictures of images and flows: takes host arrays and returns bytes. Needs no GPU and no permissions.
 *
 * @module
 */
export { encodeApng } from "./image/apng.ts";
export { captionedGrid, type CaptionedGridOptions } from "./image/captioned_grid.ts";
export { colormap, type ColormapName, colormapNames, type Palette } from "./image/colormap.ts";
export {
  type ChartColors,
  chartTemplate,
  type Figure,
  figure,
  logAxis,
  panelNumber,
  type PlotlyFigure,
  type PlotlyFrame,
  type PlotlyLayout,
  type PlotlyTrace,
  seriesColors,
  seriesMarks,
} from "./figure/figure.ts";
export { checkTrajectory, evenTimes, imageSizeOf, type Trajectory } from "./flow/trajectory.ts";
export { type FlowField, flowFields } from "./flow/flow_cell.ts";
export {
  filmstrip,
  type FlowFrames,
  flowFrames,
  type FlowFramesOptions,
  type FlowRow,
} from "./flow/flow_frames.ts";
export { flowGif } from "./flow/flow_gif.ts";
export { encodeGif, type GifOptions, type Timing } from "./image/gif.ts";
export { type GridOptions, imageGrid, type Tiled } from "./image/grid.ts";
export {
  type ChannelsShape,
  formatSize,
  type GreyShape,
  type ImageSize,
  type ImagesShape,
  sizeWithChannels,
} from "./image/image_shape.ts";
export { lossFigure, type LossFigureOptions } from "./figure/loss_figure.ts";
export {
  type Displayable,
  type ImageFile,
  type Json,
  type MediaBundle,
  notebookDisplay,
  showAs,
} from "./image/notebook.ts";
export { pace, type Pacing, pacings } from "./flow/pacing.ts";
export type { Picture, Raster } from "./image/picture.ts";
export {
  arrowsFigure,
  pathsFigure,
  type PlaneFigureOptions,
  type PlaneSnapshot,
} from "./figure/plane_figures.ts";
export { encodePng, encodeRasterPng } from "./image/png.ts";
export { type Arrow, quiver } from "./flow/quiver.ts";
export { type Rasterizer, rasterizer } from "./image/raster.ts";
export type { Captions } from "./image/sheet.ts";
