/**
 * Reports of training runs as one HTML file to explore: plain data in, text out. Kept apart from `viz/mod.ts`, as it
 * brings all of Plotly.
 *
 * @module
 */
export type {
  Comparison,
  Fact,
  Paths,
  ReportData,
  ReportRun,
  Series,
  Solved,
  StudyFindings,
  TimeBin,
} from "./data.ts";
export type { Examples, Live, LiveJudge, LiveWeaker } from "./live_data.ts";
export { reportHtml } from "./document.ts";
export { type FigurePage, figurePage } from "./figure_page.ts";
export type { Passage } from "./passages.ts";
export type { JudgedSamples, Quality, QualityFigure, SolverQuality } from "./quality.ts";
export type { Trajectory } from "../flow/trajectory.ts";
export type { Features, JudgingLibrary, Share, Verdict } from "./judging_library.ts";
export type { Library, LibrarySnapshot, PixelMap, TriedStep, Values } from "./library.ts";
