import plotly from "npm:plotly.js-basic-dist-min@4.1.1/plotly-basic.min.js" with { type: "text" };
import type { PlotlyFigure } from "../figure/plotly_figure.ts";
import { htmlFile, inJsonScript, inScript, markup, paragraphs, type Passage } from "./markup.ts";

/** What a page of figures shows. */
export interface FigurePage {
  /** Of the page, and its heading. */
  readonly title: string;
  /** Text above the figures. */
  readonly passages?: readonly Passage[];
  /** Interactive figures, each below the other. */
  readonly figures: readonly PlotlyFigure[];
  /** Text below them, smaller. */
  readonly note?: string;
}

/** Draws the figures, and says when it is done. */
const program = `const figures = JSON.parse(document.getElementById("figures").textContent);
Promise.all(figures.map(({ data, layout, frames }, i) =>
  Plotly.newPlot("figure-" + i, { data, layout: { ...layout, width: undefined, autosize: true }, frames },
    undefined, { displayModeBar: false, responsive: true })
)).then(() => { document.documentElement.dataset.ready = "true"; });`;

const style =
  `body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
.note{font-size:13px;color:#555}`;

/**
 * Makes a page of interactive figures: one self-contained HTML file that needs no network or other file.
 *
 * @example
 * ```ts
 * import { lossFigure } from "../mod.ts";
 * import { figurePage } from "./mod.ts";
 * import assert from "node:assert/strict";
 *
 * const html = figurePage({ title: "Loss", figures: [lossFigure([4, 2, 1]).plotly] });
 * assert.match(html, /<title>Loss/);
 * ```
 *
 * @returns text of a `.html` file
 */
export function figurePage({ title, passages = [], figures, note }: FigurePage): string {
  return htmlFile(
    title,
    style,
    markup`<h1>${title}</h1>
${paragraphs(passages)}
${figures.map((_, i) => markup`<div id="figure-${i}"></div>`)}
${note && markup`<p class="note">${note}</p>`}
<script type="application/json" id="figures">${inJsonScript(JSON.stringify(figures))}</script>
<script>${inScript(plotly)}</script>
<script>${inScript(program)}</script>`,
  );
}
