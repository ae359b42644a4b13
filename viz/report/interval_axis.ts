import { type Markup, markup } from "./markup.ts";
import type { QualityFigure } from "./report_data.ts";

const size = { width: 260, row: 14, top: 4, bottom: 16, margin: 12 } as const;
const inWords = { real: "real images", noise: "noise" } as const;
const references = ["real", "noise"] as const;
/** Above this ratio of largest to smallest value an axis is logarithmic. */
const wide = 30;

/**
 * Draws the values of runs with their intervals on one axis, with marks for real images and noise.
 *
 * @param figures the same figure of each run, with the run's number
 * @param shown formats a value
 */
export function intervalAxis(
  figures: readonly { readonly run: number; readonly figure: QualityFigure }[],
  shown: (value: number) => string,
): Markup {
  // Marks of each run, as judges and data may differ.
  const marks = figures.flatMap(({ figure }, row) =>
    references.flatMap((name) => {
      const value = figure[name];
      return value === undefined ? [] : [{ name, value, row }];
    })
  );
  const values = [
    ...figures.flatMap(({ figure: { value, low, high } }) => [value, low, high]),
    ...marks.map(({ value }) => value),
  ];
  const { place, ends, isLog } = axisOf(values, figures.some(({ figure }) => figure.share));
  const height = size.top + figures.length * size.row + size.bottom;
  const line = size.top + figures.length * size.row;
  const rows = figures.map(({ run, figure: { value, low, high } }, i) => {
    const y = size.top + (i + 0.5) * size.row;
    const colour = `var(--run-${run % 6})`;
    const [x, x1, x2] = [value, low, high].map(place);
    const words = `${shown(value)}, 95 % interval ${shown(low)} to ${shown(high)}`;
    return markup`<line x1="${x1}" x2="${x2}" y1="${y}" y2="${y}" stroke="${colour}" class="interval"/>
<circle cx="${x}" cy="${y}" r="4" fill="${colour}"><title>${words}</title></circle>`;
  });
  const signs = marks.map(({ name, value, row }) => {
    const x = place(value);
    const [from, to] = [row, row + 1].map((row) => size.top + row * size.row);
    const title = `${inWords[name]}: ${shown(value)}`;
    return markup`<line x1="${x}" x2="${x}" y1="${from}" y2="${to}" class="reference ${name}"><title>${title}</title></line>`;
  });
  const marked = references.flatMap((name) => {
    const values = new Set(marks.flatMap((mark) => mark.name === name ? [shown(mark.value)] : []));
    return values.size === 0 ? [] : [`${inWords[name]} ${[...values].join(", ")}`];
  });
  const label = [figures.map(({ figure }) => shown(figure.value)).join(", "), ...marked].join("; ");
  const [left, right] = [size.margin, size.width - size.margin];
  return markup`<svg class="axis" viewBox="0 0 ${size.width} ${height}" width="${size.width}" height="${height}" role="img" aria-label="${label}">
<line x1="${left}" x2="${right}" y1="${line}" y2="${line}" class="base"/>${signs}${rows}
<text x="${left}" y="${height - 3}">${shown(ends[0])}</text>
<text x="${size.width / 2}" y="${height - 3}" text-anchor="middle">${isLog ? "log scale" : undefined}</text>
<text x="${right}" y="${height - 3}" text-anchor="end">${shown(ends[1])}</text></svg>`;
}

/** The axis: logarithmic if values are not shares, positive and differ by a factor of 30. */
function axisOf(values: readonly number[], areShares: boolean) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const isLog = !areShares && least > 0 && most / least > wide;
  const scaled = (value: number) => isLog ? Math.log(value) : value;
  const [from, to] = [scaled(least), scaled(most)];
  const length = size.width - 2 * size.margin;
  const place = (value: number) => {
    const share = to > from ? (scaled(value) - from) / (to - from) : 0.5;
    return (size.margin + share * length).toFixed(1);
  };
  return { place, ends: [least, most] as const, isLog };
}
