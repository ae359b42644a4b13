import type { Figure } from "./figure.ts";
import { darkStyle, smallText } from "./figure_svg.ts";
import { markSvg, type PointMark } from "./point_mark.ts";
import { escapeXml } from "../image/sheet.ts";

/** A line of a legend. */
export interface LegendEntry {
  /** Its text. */
  readonly name: string;
  /** A CSS colour. */
  readonly color: string;
  /** The shape of its points; without it the entry is a line. */
  readonly mark?: PointMark;
}

/** Pixels: height of a line, width of a letter and of a mark. */
const legend = { line: 18, letter: 6.4, mark: 30 };

/**
 * Puts figures side by side, with one legend below.
 *
 * @example
 * ```ts
 * import { figure, figureRow } from "../mod.ts";
 * import assert from "node:assert/strict";
 *
 * const line = figure([{ x: [1, 2], y: [1, 4], color: "#0072b2" }], { width: 300, height: 200 });
 * const svg = figureRow([line, line], [{ name: "squares", color: "#0072b2" }]);
 * assert.match(svg, /^<svg [^>]*width="600"/);
 * ```
 *
 * @param figures at least one
 * @returns an SVG
 * @throws {RangeError} without a figure
 */
export function figureRow(figures: readonly Figure[], entries: readonly LegendEntry[] = []): string {
  if (figures.length === 0) {
    throw new RangeError("Cannot draw a row of figures: there are none (expected at least 1)");
  }
  const sizes = figures.map(({ svg }) => sizeOf(svg));
  const width = sizes.reduce((sum, [width]) => sum + width, 0);
  const height = Math.max(...sizes.map(([, height]) => height));
  let left = 0;
  const placed = figures.map(({ svg }, i) => {
    const at = svg.replace("<svg ", `<svg x="${left}" y="0" `);
    left += sizes[i][0];
    return at;
  });
  const { drawn, lines } = legendOf(entries, width, height);
  const whole = height + lines * legend.line + (lines > 0 ? 8 : 0);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${whole}" ` +
    `viewBox="0 0 ${width} ${whole}">${darkStyle}` +
    `<path class="figure-paper" d="M0 0h${width}v${whole}h-${width}z" fill="#fff"/>` +
    `${placed.join("")}<g ${smallText}>${drawn}</g></svg>`;
}

/** Draws the legend, wrapped to the width. */
function legendOf(entries: readonly LegendEntry[], width: number, top: number) {
  let [x, y, lines] = [legend.mark / 2, top + legend.line / 2 + 2, entries.length > 0 ? 1 : 0];
  const drawn = entries.map(({ name, color, mark }) => {
    const length = legend.mark + legend.letter * name.length + 12;
    if (x + length > width && x > legend.mark / 2) {
      [x, y, lines] = [legend.mark / 2, y + legend.line, lines + 1];
    }
    const sign = mark
      ? `<g fill="${escapeXml(color)}">${markSvg(mark, x + 12, y, 4.5)}</g>`
      : `<path d="M${x} ${y}h18" stroke="${escapeXml(color)}" stroke-width="3"/>`;
    const entry = `${sign}<text x="${x + 23}" y="${y + 3.5}">${escapeXml(name)}</text>`;
    x += length;
    return entry;
  });
  return { drawn: drawn.join(""), lines };
}

function sizeOf(svg: string): readonly [width: number, height: number] {
  const [, width, height] = /^<svg [^>]*width="([\d.]+)" height="([\d.]+)"/.exec(svg) ?? [];
  return [Number(width), Number(height)];
}
