/**
 * Reports of training runs as one HTML file to explore: plain data in, text out. Kept apart from `viz/mod.ts`, as it
 * brings all of Plotly.
 *
 * @module
 */
export type { Passage } from "./markup.ts";
export type {
  Comparison,
  Fact,
  JudgedSamples,
  LiveJudge,
  LiveNetwork,
  PlaneTrajectories,
  Quality,
  QualityFigure,
  ReportData,
  ReportRun,
  Series,
  Solved,
  SolverQuality,
  StudyFindings,
  TestImages,
  TimeBin,
} from "./report_data.ts";
export { type FigurePage, figurePage, reportHtml } from "./report_html.ts";
export type { Trajectory } from "../flow/trajectory.ts";
