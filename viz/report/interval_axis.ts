import { type Markup, markup } from "./markup.ts";
import type { QualityFigure } from "./report_data.ts";

const size = { row: 22, bottom: 16 } as const;
const references = ["real", "noise", "chance"] as const;

/** The meaning of a mark, such as `27 real images`. */
function formatReference(name: typeof references[number], { realCount }: QualityFigure): string {
  if (name !== "real") return name;
  return realCount === undefined ? "real images" : `${realCount.toLocaleString("en")} real images`;
}

/**
 * Draws the values of runs with their intervals on one axis from bad to good, with marks for real images, noise and
 * chance.
 *
 * @param figures the same figure of each run, with the run's number
 * @param shown formats a value
 */
export function intervalAxis(
  figures: readonly { readonly run: number; readonly figure: QualityFigure }[],
  shown: (value: number) => string,
): Markup {
  const { goodness, ends, words, isLog } = axisOf(figures.map(({ figure }) => figure), shown);
  const place = (value: number, figure: QualityFigure) => {
    const share = (goodness(value, figure) - ends[0]) / (ends[1] - ends[0] || 1);
    return Number((100 * Math.min(1, Math.max(0, share))).toFixed(1));
  };
  const line = figures.length * size.row;
  const rows = figures.map(({ run, figure }, i) => {
    const { value, low, high, better, real = value } = figure;
    const y = (i + 0.5) * size.row;
    const colour = `var(--run-${run % 6})`;
    // The value of real images is the best one in an interval around it.
    const reach = [low, high, ...better === "real" && low < real && real < high ? [real] : []];
    const [x, ...places] = [value, ...reach].map((value) => place(value, figure));
    const marks = references.flatMap((name) => {
      const value = figure[name];
      if (value === undefined) return [];
      const x = place(value, figure);
      return [markup`<line x1="${x}%" x2="${x}%" y1="${y - 9}" y2="${y + 9}" class="reference ${name}">
<title>${formatReference(name, figure)}: ${shown(value)}</title></line>`];
    });
    const [x1, x2] = [Math.min(...places), Math.max(...places)];
    return markup`${marks}<line x1="${x1}%" x2="${x2}%" y1="${y}" y2="${y}" stroke="${colour}" class="interval"/>
<circle cx="${x}%" cy="${y}" r="4" fill="${colour}"><title>${shown(value)}, 95 % interval ${shown(low)} to ${
      shown(high)
    }</title></circle>`;
  });
  const marked = references.flatMap((name) => {
    const values = new Set(
      figures.flatMap(({ figure }) => figure[name] === undefined ? [] : shown(figure[name])),
    );
    return values.size === 0 ? [] : [`${formatReference(name, figures[0].figure)} ${[...values].join(", ")}`];
  });
  const label = [figures.map(({ figure }) => shown(figure.value)).join(", "), ...marked].join("; ");
  const height = line + size.bottom;
  return markup`<svg class="axis" height="${height}" role="img" aria-label="${label}">
<line x1="0" x2="100%" y1="${line}" y2="${line}" class="base"/>${rows}
<text x="0" y="${height - 3}">${words[0]}</text>
<text x="50%" y="${height - 3}" text-anchor="middle">${isLog ? "log scale" : undefined}</text>
<text x="100%" y="${height - 3}" text-anchor="end">${words[1]}</text></svg>`;
}

/** An axis for figures: the goodness of a value, and the axis's ends as goodness and as text. */
interface Axis {
  readonly goodness: (value: number, figure: QualityFigure) => number;
  readonly ends: readonly [worst: number, best: number];
  readonly words: readonly [worst: string, best: string];
  readonly isLog?: boolean;
}

/** The axis is linear for shares and figures with ends, the distance if real images are best, or else logarithmic. */
function axisOf(figures: readonly QualityFigure[], shown: (value: number) => string): Axis {
  const [{ better, share, ends = share ? [0, 1] : undefined }] = figures;
  const each = (measure: (value: number, figure: QualityFigure) => number) =>
    figures.flatMap((figure) => {
      const { value, low, high, real = value, noise = value, chance = value } = figure;
      return [value, low, high, real, noise, chance].map((value) => measure(value, figure));
    });
  if (better === "real" && figures.every(({ real }) => real !== undefined)) {
    const goodness = (value: number, { real }: QualityFigure) => -Math.abs(value - real!);
    const worst = Math.min(...each(goodness));
    return { goodness, ends: [worst, 0], words: [`${shown(-worst)} away`, "like real images"] };
  }
  const sign = better === "lower" ? -1 : 1;
  const all = each((value) => value);
  const positive = all.filter((value) => value > 0);
  if (better === "lower" && !ends && positive.length > 0) {
    const isCut = positive.length < all.length; // the estimate of a distance between sets can be 0 or less
    const best = step(Math.min(...positive), -1) / (isCut ? 10 : 1);
    const worst = step(Math.max(...positive), 1);
    return {
      goodness: (value) => -Math.log(Math.max(value, best)),
      ends: [-Math.log(worst), -Math.log(best)],
      words: [shown(worst), shown(best) + (isCut ? " or less" : "")],
      isLog: true,
    };
  }
  const signed = [...ends ?? [], ...all].map((value) => sign * value);
  const [worst, best] = [Math.min(...signed), Math.max(...signed)];
  return {
    goodness: (value) => sign * value,
    ends: [worst, best],
    words: [shown(sign * worst), shown(sign * best)],
  };
}

/** Rounds a positive value down (-1) or up (1) to one of 1, 2, 5, 10, 20 and so on. */
function step(value: number, direction: -1 | 1): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const steps = [1, 2, 5, 10].map((digit) => digit * power);
  return direction > 0 ? steps.find((step) => step >= value)! : steps.findLast((step) => step <= value)!;
}
