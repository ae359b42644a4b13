/**
 * Reports on training runs as one interactive HTML file: takes plain data and returns text. Separate from `viz/mod.ts`
 * because it includes the page's program.
 *
 * @module
 */
export type * from "./report_data.ts";
export { type FigurePage, figurePage, reportHtml } from "./report_html.ts";
export type { Trajectory } from "../flow/trajectory.ts";
