import plotly from "npm:plotly.js-basic-dist-min@4.1.1/plotly-basic.min.js" with { type: "text" };
import { clockBar } from "./clock_bar.ts";
import { comparisonSection } from "./comparison_section.ts";
import type { ReportData } from "./data.ts";
import { flowSection } from "./flow_section.ts";
import { liveScripts } from "./live_section.ts";
import { inScript, Markup, markup, scriptJson } from "./markup.ts";
import page from "./page.js" with { type: "text" };
import { pathsSection } from "./paths_section.ts";
import type { Payload } from "./payload.ts";
import { payloadOf } from "./payload_of.ts";
import { qualitySection } from "./quality_section.ts";
import { runSection } from "./run_section.ts";
import { solversSection } from "./solvers_section.ts";
import { studySection } from "./study_section.ts";
import { details } from "./tables.ts";
import clockStyle from "./style/clock.css" with { type: "text" };
import flowStyle from "./style/flow.css" with { type: "text" };
import liveStyle from "./style/live.css" with { type: "text" };
import pageStyle from "./style/page.css" with { type: "text" };
import qualityStyle from "./style/quality.css" with { type: "text" };
import smallStyle from "./style/small_and_print.css" with { type: "text" };

const style = [pageStyle, flowStyle, liveStyle, clockStyle, qualityStyle, smallStyle].join("");

/**
 * Makes a report of training runs: one self-contained HTML file that needs no network, storage or other file.
 *
 * @param data what it shows; of two runs or more also how they compare
 * @returns text of a `.html` file
 * @throws {RangeError} if there is no run, two have the same name, images have other than one or three channels or
 * different sizes, arrays do not fit their shape, trajectories of a run have different times, a number to draw is not
 * finite, or `live` does not have an entry for each run
 */
export function reportHtml(data: ReportData): string {
  const { runs, live } = data;
  const names = runs.map(({ name }) => name);
  if (runs.length === 0) throw new RangeError("Cannot report: no run is given (expected at least 1)");
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) {
    throw new RangeError(
      `Cannot report: two runs are named ${JSON.stringify(twice)} (expected a name for each)`,
    );
  }
  if (live && live.checkpoints.length !== runs.length) {
    throw new RangeError(
      `Cannot report: live has checkpoints of ${live.checkpoints.length} runs (expected ${runs.length})`,
    );
  }
  const payload = payloadOf(data);
  const title = data.study?.title ?? names.join(" and ");
  const words = runs.map(({ name, summary, ending, note }) => {
    const whose = runs.length > 1 ? markup`<b>${name}</b>: ` : undefined;
    const said = note === undefined ? undefined : markup`<p class="note">${note}</p>`;
    const ended = ending === undefined ? undefined : markup`<p class="ending">${ending}</p>`;
    return markup`<p class="dek">${whose}${summary}</p>${ended}${said}`;
  });
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}: flow matching report</title>
<link rel="icon" href="data:,">
<style>${new Markup(style)}</style>
</head>
<body>
<header>
<p class="kicker">Flow matching report</p>
<h1>${title}</h1>
${data.study ? details(`${runs.length} runs in words`, markup`${words}`) : words}
</header>
<main>
${data.study && studySection(data.study)}
${runSection(data, payload)}
${qualitySection(data)}
${solversSection(runs)}
${flowViews(data, payload)}
</main>
<footer>${footer}</footer>
<script type="application/json" id="payload">${scriptJson(payload)}</script>
${liveScripts(data)}
<script>${inScript(plotly)}</script>
<script>${inScript(page)}</script>
</body>
</html>
`.text;
}

/** Everything that the slider moves, and the slider, which stays on the screen as long as a part of it does. */
function flowViews({ runs, comparison, live }: ReportData, payload: Payload): Markup | undefined {
  const views = [
    ...runs.some(({ trajectories }) => trajectories.length > 0)
      ? [flowSection(live !== undefined, channelsOf(payload))]
      : [],
    ...runs.some(({ paths }) => paths !== undefined) ? [pathsSection(runs, payload)] : [],
    ...comparison ? [comparisonSection(runs, comparison, payload)] : [],
  ];
  return views.length > 0 ? markup`<div>${views}${clockBar()}</div>` : undefined;
}

/** Channels of the images in the explorer. */
function channelsOf({ runs }: Payload): number {
  return runs.find(({ flow }) => flow)?.flow?.shape[2] ?? 1;
}

const footer =
  `Numbers in pictures are rounded to keep this file small: images and velocities of the explorer and the plane
to 1/32767 of their largest magnitude, those of the comparison and the final samples of the plane to 1/127. Charts and
tables of training use the full numbers; losses of long runs are averaged to 1,000 points.`;
