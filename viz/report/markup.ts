import { deflateSync } from "npm:fflate@0.8.3";
import { type PlotlyFigure, plotlyJson, seriesColors } from "../figure/figure.ts";
import { base64 } from "../image/base64.ts";
import type { Fact, Passage } from "./report_data.ts";

/** Text that is already markup. */
export class Markup {
  constructor(readonly text: string) {}
}

/** A value in a template: text is escaped, but markup is not. */
export type Content = string | number | Markup | undefined | readonly Content[];

/** HTML from a template; values are escaped unless they are markup, and undefined adds nothing. */
export function markup(strings: TemplateStringsArray, ...values: readonly Content[]): Markup {
  return new Markup(strings.reduce((text, string, i) => text + textOf(values[i - 1]) + string));
}

function textOf(content: Content): string {
  if (content === undefined) return "";
  if (content instanceof Markup) return content.text;
  if (typeof content === "object") return content.map(textOf).join("");
  return escape(String(content));
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

/** JSON for a script element, with `</script>` and `<!--` escaped. */
export function inJsonScript(json: string): Markup {
  return new Markup(json.replaceAll("<", "\\u003c"));
}

/** A program for a script element, with `</script>` and `<!--` escaped; they occur only in strings. */
export function inScript(program: string): Markup {
  return new Markup(program.replace(/<(?=\/script|!--)/gi, "\\x3c"));
}

/** Embeds bytes that the page's program inflates, as text that browsers do not parse. */
export function deflated(id: string, bytes: Uint8Array): Markup {
  return markup`<script type="text/plain" id="${id}">${base64(deflateSync(bytes, { level: 9 }))}</script>\n`;
}

/** A self-contained HTML file. */
export function htmlFile(title: string, style: string, body: Markup): string {
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${new Markup(style)}</style>
</head>
<body>
${body}
</body>
</html>
`.text;
}

/** Renders passages as HTML. */
export function paragraphs(passages: readonly Passage[]): Markup[] {
  return passages.map((passage) => {
    if (typeof passage === "string") return markup`<p>${passage}</p>\n`;
    const { heading, items } = passage;
    return markup`<p>${heading}:</p>\n<ul>\n${items.map((item) => markup`<li>${item}</li>\n`)}</ul>\n`;
  });
}

/** Placeholder for a missing number or text. */
export const none = "\u2013";

/** A table of facts with one column per run and a dash for missing facts. */
export function factTable(
  runs: readonly { readonly name: string; readonly facts: readonly Fact[] }[],
): Markup {
  const names = [...new Set(runs.flatMap(({ facts }) => facts.map(([name]) => name)))];
  const heads = runs.map(({ name }, i) => markup`<th scope="col">${swatch(i)}${name}</th>`);
  const rows = names.map((name) => {
    const values = runs.map(({ facts }) => facts.find(([own]) => own === name)?.[1] ?? none);
    return markup`<tr><th scope="row">${name}</th>${values.map((value) => markup`<td>${value}</td>`)}</tr>`;
  });
  const head = runs.length > 1 ? markup`<thead><tr><td></td>${heads}</tr></thead>` : undefined;
  return markup`<div class="scroll"><table>${head}<tbody>${rows}</tbody></table></div>`;
}

/** A dot in the colour of a run. */
export function swatch(run: number): Markup {
  return markup`<span class="swatch" style="background:${seriesColors[run % seriesColors.length]}"></span>`;
}

/** A table with a header row. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): Markup {
  const heads = head.map((name) => markup`<th scope="col">${name}</th>`);
  const body = rows.map((row) => markup`<tr>${row.map((value) => markup`<td>${value}</td>`)}</tr>`);
  return markup`<div class="scroll"><table><thead><tr>${heads}</tr></thead><tbody>${body}</tbody></table></div>`;
}

/** A collapsed part of the page. */
export function details(summary: string, content: Content): Markup {
  return markup`<details><summary>${summary}</summary>${content}</details>`;
}

/** How a chart is placed in a page. */
interface ChartOptions {
  /** Its height: `low`, `tall`, or pixels; by default between low and tall. */
  readonly height?: "low" | "tall" | number;
  /** Whether a line marks the time of the page's clock. */
  readonly clock?: boolean;
  /** Whether a table below has its numbers, which its label mentions. */
  readonly hasTable?: boolean;
}

/** A chart; without a figure, the page's program provides it. */
export function chart(
  id: string,
  label: string,
  figure?: PlotlyFigure,
  { height, clock = false, hasTable = true }: ChartOptions = {},
): Markup {
  const size = typeof height === "string" ? height : "";
  const style = typeof height === "number" ? markup` style="height:${height}px"` : undefined;
  const json = figure &&
    markup`<script type="application/json">${inJsonScript(JSON.stringify(plotlyJson(figure)))}</script>`;
  return markup`<div id="${id}" class="chart ${size}" role="group" aria-label="${label}${
    hasTable ? "; numbers below" : ""
  }"${style}${clock ? markup` data-clock` : undefined}>${json}</div>`;
}
