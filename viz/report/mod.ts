/**
 * Reports of training runs as one HTML file to explore: plain data in, text out. Kept apart from `viz/mod.ts`, as it
 * brings all of Plotly.
 *
 * @module
 */
export type {
  Comparison,
  Fact,
  Live,
  Paths,
  ReportData,
  ReportRun,
  Series,
  Solved,
  TimeBin,
} from "./data.ts";
export { reportHtml } from "./document.ts";
export type { JudgedSamples, Quality, QualityFigure, SolverQuality } from "./quality.ts";
export type { Evolution } from "../flow/evolution.ts";
export type { Library, LibrarySnapshot, PixelMap, Values } from "./library.ts";
