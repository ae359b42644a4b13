import { deflateSync } from "npm:fflate@0.8.3";
import type { LegendEntry } from "../figure/figure_row.ts";
import type { Figure } from "../figure/figure.ts";
import { checkReport } from "./check_report.ts";
import { contents, flowViews } from "./flow_views.ts";
import { htmlFile, inJsonScript, inScript, legendList, type Markup, markup, paragraphs } from "./markup.ts";
import { base64 } from "../image/base64.ts";
import { packed } from "./packing.ts";
import { program, style } from "./page.js";
import { pageData } from "./page_data.ts";
import { qualitySection, solversSection } from "./quality_section.ts";
import type { Passage, ReportData, ReportRun } from "./report_data.ts";
import { resultSection } from "./result_section.ts";
import { fewStepsSection, settingsSection, studySection, trainingSection } from "./run_section.ts";

/**
 * Makes a report of training runs: one self-contained HTML file that needs no network, storage or other file.
 *
 * @param data data of one run or more
 * @returns text of a `.html` file
 * @throws {RangeError} if there is no run, two runs have the same name, images do not have one or three channels or have
 * different sizes, arrays do not fill their shapes, trajectories of a run have different times, or a number to draw is
 * not finite
 */
export function reportHtml(data: ReportData): string {
  checkReport(data);
  const { runs } = data;
  const { data: packedData, files } = packed(pageData(data));
  const isLive = runs.some(samplesInPage);
  const named = runs.map(({ name }) => name).join(" and ");
  const title = data.study?.title ?? (runs.length === 1 ? runs[0].title : undefined) ?? named;
  return htmlFile(
    `${title}: flow matching report`,
    style,
    markup`<header>
<p class="kicker">Flow matching report${named === title ? undefined : `: ${named}`}</p>
<h1>${title}</h1>
${firstSentence(data)}
${data.study ? undefined : resultSection(runs)}
</header>
<main>
${contents(data)}
${data.study && studySection(data.study)}
${flowViews(data)}
${fewStepsSection(data)}
${qualitySection(data)}
${solversSection(runs)}
${trainingSection(data)}
${settingsSection(data)}
</main>
<footer>${footer}</footer>
${deflated("data", packedData)}
${bytesScript("files", files)}
${isLive && data.library !== undefined ? deflatedProgram("library", data.library) : undefined}
<script>${inScript(program)}</script>`,
  );
}

/**
 * Adds a link to the playground to the contents of a report.
 *
 * @param report what {@linkcode reportHtml} made
 * @param address of the playground from there, such as `../playground.html`
 * @returns the report with the link; a report without contents as it is
 */
export function linkPlayground(report: string, address: string): string {
  const link = markup`<a href="${address}">Playground</a>`.text;
  return report.replace(/<nav class="contents".*?(?=<\/nav>)/s, (contents) => contents + link);
}

/** Whether the page can sample from a run. */
function samplesInPage({ live, trajectories }: ReportRun): boolean {
  return typeof live === "object" && trajectories.length > 0;
}

/** What the page shows, for readers who have never heard of flow matching. */
function firstSentence({ runs, study }: ReportData): Markup | undefined {
  if (study || !runs.some(({ trajectories }) => trajectories.length > 0)) return undefined;
  const [network, turns] = runs.length > 1 ? ["These networks", "turn"] : ["This network", "turns"];
  const words = new Set(runs.map(({ subject = "images" }) => subject));
  const subject = words.size === 1 ? [...words][0] : "images";
  return markup`<p class="dek">${network} ${turns} noise into ${subject}.<span class="screen"> Press Play${
    runs.some(samplesInPage) ? ", draw new noise, or paint into an image" : ""
  }.</span></p>`;
}

/** Bytes for the page's program, as text that browsers do not parse. */
function bytesScript(id: string, bytes: Uint8Array): Markup {
  return markup`<script type="text/plain" id="${id}">${base64(bytes)}</script>\n`;
}

/** Bytes that the page inflates. */
function deflated(id: string, bytes: Uint8Array): Markup {
  return bytesScript(id, deflateSync(bytes));
}

/** Programs deflated before, by id: all reports hold the same ones, and deflating them takes a tenth of a second. */
const programs = new Map<string, { readonly text: string; readonly script: Markup }>();

function deflatedProgram(id: string, text: string): Markup {
  const known = programs.get(id);
  if (known?.text === text) return known.script;
  const script = deflated(id, new TextEncoder().encode(text));
  programs.set(id, { text, script });
  return script;
}

const footer =
  `Numbers in pictures are rounded to keep this file small: images and velocities of the explorer and the plane
to 1/32767 of their largest magnitude, those of the comparison to 1/127, and final samples of the plane to 1/255 of white.
Charts and tables of training use the full numbers; losses of long runs are averaged to 1,000 points.
New to flow matching? The task "playground" serves a page that trains a flow in the plane and shows why it works.`;

/** Content of a page of figures. */
export interface FigurePage {
  /** Title and heading of the page. */
  readonly title: string;
  /** Text above the figures. */
  readonly passages?: readonly Passage[];
  /** Interactive figures, one below the other. */
  readonly figures: readonly Figure[];
  /** Text below them, smaller. */
  readonly note?: string;
}

/**
 * Makes a page of interactive figures: one self-contained HTML file that needs no network or other file.
 *
 * @example
 * ```ts
 * import { lossFigure } from "../mod.ts";
 * import { figurePage } from "./mod.ts";
 * import assert from "node:assert/strict";
 *
 * const html = figurePage({ title: "Loss", figures: [lossFigure([4, 2, 1])] });
 * assert.match(html, /<title>Loss/);
 * ```
 *
 * @returns text of a `.html` file
 */
export function figurePage({ title, passages = [], figures, note }: FigurePage): string {
  return htmlFile(
    title,
    style,
    markup`<header><h1>${title}</h1></header>
<main>
${paragraphs(passages)}
${legendList(legendOf(figures))}
${figures.map((_, i) => markup`<div id="figure-${i}"></div>`)}
${note && markup`<p class="small">${note}</p>`}
</main>
<script type="application/json" id="figures">${inJsonScript(figuresJson(figures))}</script>
<script>${inScript(program)}</script>`,
  );
}

/** The figures as the page's program reads them: arrays as lists, and null for what is not finite. */
function figuresJson(figures: readonly Figure[]): string {
  const plain = (_: string, value: unknown) =>
    ArrayBuffer.isView(value) ? Array.from(value as Float32Array) : value;
  return JSON.stringify(figures.map(({ parts }) => parts), plain);
}

/** The named traces of figures, each name once. */
function legendOf(figures: readonly Figure[]): LegendEntry[] {
  const entries = figures.flatMap(({ parts }) => parts.traces).flatMap(({ name, color = "", mark }) =>
    name === undefined ? [] : [{ name, color, ...mark && { mark } }]
  );
  return [...new Map(entries.map((entry) => [entry.name, entry])).values()];
}
