import type { PlotlyFigure } from "../figure/figure.ts";
import { checkTrajectory, imageSizeOf } from "../flow/trajectory.ts";
import { checkShape, formatSize, type ImageSize, sizeWithChannels } from "../image/image_shape.ts";
import { contents, flowViews } from "./flow_views.ts";
import {
  chart,
  deflated,
  details,
  htmlFile,
  inScript,
  type Markup,
  markup,
  paragraphs,
  table,
} from "./markup.ts";
import { packed } from "./packing.ts";
import { program, style } from "./page.js";
import { plotly } from "./plotly.js";
import { pageData } from "./page_data.ts";
import { qualitySection, solversSection } from "./quality_section.ts";
import type { Passage, PlaneTrajectories, ReportData, ReportRun, TextTable } from "./report_data.ts";
import { resultSection } from "./result_section.ts";
import { fewStepsSection, settingsSection, trainingSection } from "./run_section.ts";

/**
 * Makes a report on training runs: one self-contained HTML file that needs no network, storage or other file.
 *
 * @param data the data of one or more runs
 * @returns the text of a `.html` file
 * @throws {RangeError} if there is no run, two runs have the same name, images have a number of channels other than one
 * or three or differ in size, trajectories of a run have different times or do not fill their shapes, a run has a network
 * but there is no library, or a number to draw is not finite
 */
export function reportHtml(data: ReportData): string {
  checkReport(data);
  const { runs } = data;
  const { data: packedData, files } = packed(pageData(data));
  const isLive = runs.some(samplesInPage);
  const named = runs.map(({ name }) => name).join(" and ");
  const titles = new Set(runs.map(({ title, name }) => title ?? name));
  const title = titles.size === 1 ? [...titles][0] : [...titles].join(" and ");
  return htmlFile(
    `${title}: flow matching report`,
    style,
    markup`<header>
<p class="kicker">Flow matching report${named === title ? undefined : `: ${named}`}</p>
<h1>${title}</h1>
${firstSentence(data)}
${resultSection(data)}
</header>
<main>
${contents(data)}
${flowViews(data)}
${fewStepsSection(data)}
${qualitySection(data)}
${solversSection(runs)}
${trainingSection(data)}
${settingsSection(data)}
</main>
<footer>${footer}</footer>
${deflated("data", packedData)}
${deflated("files", files)}
${
      isLive && data.library !== undefined
        ? deflated("library", new TextEncoder().encode(data.library))
        : undefined
    }
${charts}`,
  );
}

/** Checks that runs can share a report: one slider, one image size; {@linkcode reportHtml} says what it throws. */
function checkReport({ runs, library }: Pick<ReportData, "runs" | "library">): void {
  const refuse = (why: string, expected: string): never => {
    throw new RangeError(`Cannot report: ${why} (expected ${expected})`);
  };
  if (runs.length === 0) refuse("there are no runs", "at least 1");
  let first: { readonly name: string; readonly size: ImageSize } | undefined;
  for (const [i, { name, trajectories, plane, live }] of runs.entries()) {
    const quoted = JSON.stringify(name);
    if (runs.findIndex((other) => other.name === name) < i) {
      refuse(`two runs are named ${quoted}`, "unique names");
    }
    if (typeof live === "object" && library === undefined) {
      refuse(`${quoted} has a network`, "a library to sample with");
    }
    const sizes = trajectories.map((trajectory) => {
      checkTrajectory("report", trajectory);
      const { t } = trajectory;
      if (t.length < 2) refuse(`a trajectory of ${quoted} has one snapshot`, "2 or more");
      if (`${t}` !== `${trajectories[0].t}`) {
        refuse(`trajectories of ${quoted} differ in their times`, "the same times");
      }
      return imageSizeOf(trajectory);
    });
    for (const size of plane ? [...sizes, sizeOfPlane(plane)] : sizes) {
      first ??= { name, size };
      if (`${size}` === `${first.size}`) continue;
      const sizesOf = `images of ${JSON.stringify(first.name)} are ${formatSize(first.size)}`;
      refuse(`${sizesOf}, but those of ${quoted} are ${formatSize(size)}`, "one size");
    }
  }
}

function sizeOfPlane({ shape: [, N, ...axes] }: PlaneTrajectories): ImageSize {
  const [, ...size] = checkShape("report the plane", [N, ...sizeWithChannels(axes)]);
  return size;
}

/** Plotly, deflated, and the page's program, which starts it. */
const charts = markup`<script type="text/plain" id="plotly">${plotly}</script>
<script>${inScript(program)}</script>`;

/** Whether the page can sample from a run. */
function samplesInPage({ live, trajectories }: ReportRun): boolean {
  return typeof live === "object" && trajectories.length > 0;
}

/** An introduction for readers who have never heard of flow matching. */
function firstSentence({ runs }: ReportData): Markup | undefined {
  if (!runs.some(({ trajectories }) => trajectories.length > 0)) return undefined;
  const [network, turns] = runs.length > 1 ? ["These networks", "turn"] : ["This network", "turns"];
  const words = new Set(runs.map(({ subject = "images" }) => subject));
  const subject = words.size === 1 ? [...words][0] : "images";
  const isLive = runs.some(samplesInPage) ? ", draw new noise, or paint on an image" : "";
  return markup`<p class="dek">${network} ${turns} noise into ${subject}.${
    runs.length === 1 ? markup`<span class="screen"> Press Play${isLive}.</span>` : undefined
  }</p>`;
}

const footer =
  `To keep this file small, numbers in pictures are rounded: images and velocities in the explorer and the plane to 1/32767
  of their largest magnitude, those in the comparison to 1/127, and final samples in the plane to 1/255 of white.
  Charts and tables of training use the full numbers; losses of long runs are averaged to 1,000 points.
  New to flow matching? The task "playground" serves a page that trains a flow in the plane and explains why it works.`;

/** Content of a page of figures. */
export interface FigurePage {
  /** Title and heading of the page. */
  readonly title: string;
  /** Text above the figures. */
  readonly passages?: readonly Passage[];
  /** Interactive figures, stacked vertically. */
  readonly figures: readonly PlotlyFigure[];
  /** Tables below the figures; only the first is open. */
  readonly tables?: readonly TextTable[];
  /** Text below them. */
  readonly details?: readonly Passage[];
  /** Small text at the end. */
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
 * @returns the text of a `.html` file
 */
export function figurePage(
  { title, passages = [], figures, tables = [], details: below = [], note }: FigurePage,
): string {
  const [first, ...rest] = tables;
  const drawn = figures.map((figure, i) => {
    const { title, height = 400 } = figure.layout;
    const text = Object(title).text ?? `Figure ${i + 1}`;
    return chart(`figure-${i + 1}`, text, figure, { height: Number(height), hasTable: tables.length > 0 });
  });
  return htmlFile(
    title,
    style,
    markup`<header><h1>${title}</h1></header>
<main>
<section class="findings">
${paragraphs(passages)}
${drawn}
${first && markup`<h2>${first.title}</h2>${table(first.head, first.rows)}`}
${rest.map(({ title, head, rows }) => details(title, table(head, rows)))}
${paragraphs(below)}
${note && markup`<p class="small">${note}</p>`}
</section>
</main>
${charts}`,
  );
}
