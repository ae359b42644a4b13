import plotly from "npm:plotly.js-basic-dist-min@4.1.1/plotly-basic.min.js" with { type: "text" };
import type { ReportData } from "./data.ts";
import { Html, html, scriptJson } from "./html.ts";
import page from "./page.js" with { type: "text" };
import { payloadOf } from "./payload.ts";
import { clock, comparisonSection, flowSection, pathsSection, runSection } from "./sections.ts";
import style from "./style.css" with { type: "text" };

/**
 * Makes a report of training runs: one HTML file with all it needs, which asks for no network, storage or other file.
 *
 * @param data what it shows; of two runs or more also how they compare
 * @returns text of a `.html` file
 * @throws {RangeError} if there is no run, two have one name, or a number to draw is not finite
 */
export function reportHtml(data: ReportData): string {
  const { runs, comparison } = data;
  const names = runs.map(({ name }) => name);
  if (runs.length === 0) throw new RangeError("Cannot report: no run is given (expected at least 1)");
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) {
    throw new RangeError(
      `Cannot report: two runs are named ${JSON.stringify(twice)} (expected a name for each)`,
    );
  }
  const payload = payloadOf(data);
  const flow = runs.some(({ evolutions }) => evolutions.length > 0);
  const paths = runs.some(({ paths }) => paths !== undefined);
  const title = names.join(" and ");
  return html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>${title}: flow matching report</title>
        <link rel="icon" href="data:,">
        <style>${new Html(style)}</style>
      </head>
      <body>
        <header>
    <p class="kicker">Flow matching report</p>
    <h1>${title}</h1>
    ${runs.map(({ name, summary, note }) =>
      html`<p class="dek">${
        runs.length > 1
          ? html`
            <b>${name}</b>:
          `
          : undefined
      }${summary}</p>${note === undefined ? undefined : html`<p class="note">${note}</p>`}`
    )}
        </header>
        <main>
    ${runSection(data, payload)}
    ${flow ? flowSection() : undefined}
    ${paths ? pathsSection(runs, payload) : undefined}
    ${comparison ? comparisonSection(data, payload) : undefined}
    ${flow || paths || comparison ? clock() : undefined}
        </main>
        <footer>Numbers in pictures are rounded to keep this file small: images and velocities of the explorer and the plane to
    1/32767 of their largest magnitude, those of the comparison and the final samples of the plane to 1/127. Charts and
    tables of training are from the full numbers; losses of long runs are averaged to 1,000 points.</footer>
        <script type="application/json" id="payload">${scriptJson(payload)}</script>
        <script>${inScript(plotly)}</script>
        <script>${inScript(page)}</script>
      </body>
    </html>
  `.text;
}

/** A program as it may stand in a script element. */
function inScript(program: string): Html {
  return new Html(program.replace(/<(?=\/script|!--)/gi, "\\x3c"));
}
