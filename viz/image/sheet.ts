import { base64 } from "./base64.ts";
import { checkPixels } from "../check.ts";
import type { Palette } from "./colormap.ts";
import { checkImages, imageGrid } from "./grid.ts";
import { encodePng } from "./png.ts";
import type { ImageSize } from "./image_shape.ts";

/** Text around the cells of a picture; a missing part takes no space. */
export interface Captions {
  /** Above everything. */
  readonly title?: string;
  /** Above each column. */
  readonly columns?: readonly string[];
  /** Left of each row, rotated to read upwards. */
  readonly rows?: readonly string[];
  /** Below everything, smaller. */
  readonly note?: string;
}

/** Cells of one size in rows and columns, with captions. */
export interface Sheet {
  readonly width: number;
  readonly height: number;
  /** Left and upper edge of a cell. */
  place(row: number, column: number): readonly [x: number, y: number];
  /** The picture as SVG; `captions` must have the parts that the sheet was laid out for. */
  svg(cells: string, captions: Captions): string;
}

/** Space in pixels. */
const room = { gap: 6, title: 28, column: 20, row: 22, note: 20, least: 120 };
/** Smallest size of a letter. */
const legible = 7;
const font = { title: 16, column: 12, row: 12, halfRow: 9, note: 10.5 };
/** Width of a letter of DejaVu Sans per font size, slightly above the mean. */
const letter = 0.62;

/**
 * Lays out a picture.
 *
 * @param counts rows and columns
 * @param cell width and height of a cell
 * @param captions captions to leave space for
 * @throws {RangeError} if the picture would be too large to draw
 */
export function sheet(
  [rows, columns]: readonly [rows: number, columns: number],
  cell: readonly [width: number, height: number],
  captions: Captions,
): Sheet {
  const inner = columns * (cell[0] + room.gap) - room.gap;
  const left = captions.rows ? room.row : 0;
  // Tiny cells still leave space for the captions.
  const words = Math.max(captions.title?.length ?? 0, captions.note?.length ?? 0);
  const width = Math.max(left + inner, room.least, left + Math.ceil(words * letter * legible));
  const indent = left + Math.floor((width - left - inner) / 2);
  const titleTop = captions.columns ? room.column : 0;
  const top = (captions.title === undefined ? 0 : room.title) + titleTop;
  const bottom = top + rows * (cell[1] + room.gap) - room.gap;
  const height = bottom + (captions.note ? room.note : 0);
  checkPixels("draw a picture", width, height, "a smaller scale, or fewer samples or frames");
  const place = (row: number, column: number) =>
    [indent + column * (cell[0] + room.gap), top + row * (cell[1] + room.gap)] as const;

  return {
    width,
    height,
    place,
    svg(cells, { title, columns: heads = [], rows: labels = [], note }) {
      const middle = indent + inner / 2;
      const texts = [
        title === undefined ? "" : text(title, middle, room.title / 2, font.title, width - left),
        ...heads.map((head, i) =>
          text(head, place(0, i)[0] + cell[0] / 2, top - room.column / 2, font.column, cell[0] + room.gap)
        ),
        ...labels.map((label, i) => {
          const at = `${indent - room.row / 2} ${place(i, 0)[1] + cell[1] / 2}`;
          return `<g transform="translate(${at}) rotate(-90)">${rowLabel(label, cell[1])}</g>`;
        }),
        note ? text(note, middle, height - room.note / 2, font.note, width - left) : "",
      ];
      return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
        `viewBox="0 0 ${width} ${height}"><path class="figure-paper" d="M0 0h${width}v${height}h-${width}z" fill="#fff"/>` +
        `${cells}<g class="figure-ink" font-family="DejaVu Sans" fill="#222" text-anchor="middle">${
          texts.join("")
        }</g></svg>`;
    },
  };
}

/** Draws a row's label, on two lines if it is long and has a comma. */
function rowLabel(label: string, maxWidth: number): string {
  const parts = label.split(", ");
  if (parts.length < 2 || label.length * letter * font.halfRow <= maxWidth) {
    return text(label, 0, 0, font.row, maxWidth);
  }
  const breaks = parts.slice(1).map((_, i) =>
    [`${parts.slice(0, i + 1).join(", ")},`, parts.slice(i + 1).join(", ")] as const
  );
  const longest = (lines: readonly string[]) => Math.max(...lines.map(({ length }) => length));
  const lines = breaks.reduce((best, other) => longest(other) < longest(best) ? other : best);
  return lines.map((line, i) => text(line, 0, (i - 0.5) * (font.halfRow + 1), font.halfRow, maxWidth)).join(
    "",
  );
}

/** Draws text centred on a point: smaller if it exceeds `maxWidth` pixels, truncated if it would become illegible. */
function text(words: string, x: number, y: number, size: number, maxWidth: number): string {
  const letters = Math.floor(maxWidth / (letter * legible));
  const shown = words.length > letters ? `${words.slice(0, Math.max(letters - 1, 0))}…` : words;
  const fitting = Math.min(size, maxWidth / (letter * Math.max(shown.length, 1)));
  const middle = (y + 0.36 * fitting).toFixed(1);
  return `<text x="${x}" y="${middle}" font-size="${fitting.toFixed(1)}">${escapeXml(shown)}</text>`;
}

/** Escapes text for SVG; characters that XML forbids become U+FFFD. */
export function escapeXml(words: string): string {
  const marks: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return words.replaceAll(/(?![\x7f-\x9f])[\p{Cc}\p{Cs}\ufffe\uffff]/gu, "\ufffd")
    .replaceAll(/[&<>"]/g, (sign) => marks[sign]);
}

/** Position and colours of an image in an SVG. */
export interface SvgImageOptions {
  /** Its left and upper edge. */
  readonly at: readonly [x: number, y: number];
  /** Pixels along each side of a value. */
  readonly scale: number;
  /** Values drawn as the first and the last colour; default [0, 1]. */
  readonly range?: readonly [low: number, high: number];
  /** Colours of an image of one channel; default grey. */
  readonly palette?: Palette;
}

/**
 * Draws an image with sharp pixels, as part of an SVG.
 *
 * @param task task named in errors
 * @param values f32[C, H, W]
 * @throws {RangeError} if the values do not fill the size, hold NaN or do not have 1 or 3 channels
 */
export function svgImage(
  task: string,
  values: Float32Array,
  [C, H, W]: ImageSize,
  { at: [x, y], scale, range = [0, 1], palette }: SvgImageOptions,
): string {
  const shape = [1, C, H, W] as const;
  checkImages(task, values, shape);
  const png = encodePng(imageGrid(values, shape, { range }), palette);
  return `<image x="${x}" y="${y}" width="${W * scale}" height="${H * scale}" preserveAspectRatio="none" ` +
    `image-rendering="optimizeSpeed" href="data:image/png;base64,${base64(png)}"/>`;
}
