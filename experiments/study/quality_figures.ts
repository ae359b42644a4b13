import {
  type Figure,
  figure,
  type LegendEntry,
  type PointMark,
  pointMarks,
  type Trace,
  traceColors,
} from "../../viz/mod.ts";
import { meaningOf, shownFigure, titleOf } from "../evaluation/figures.ts";
import { excludesZero, type SeedMean } from "./seed_intervals.ts";
import { type Primary, type Setup, setupKey, type Summary } from "./summary.ts";

/** Quality against cost. */
export interface QualityFigures {
  /** Quality against images, parameters and seconds, where these differ. */
  readonly figures: readonly Figure[];
  /** The same figures for a row with one shared legend: narrower, without names. */
  readonly stills: readonly Figure[];
  readonly legend: readonly LegendEntry[];
}

/** Axes of cost. A line joins setups that differ only in the setting `along`. */
const axes = [
  { cost: "images", title: "images trained on", along: "share" },
  { cost: "parameters", title: "parameters", along: "filters" },
  { cost: "seconds", title: "seconds of training", along: "share" },
] as const;

interface Point {
  readonly x: number;
  readonly quality: SeedMean;
}

/** The points of a setup in one figure. */
interface Series {
  readonly setup: Setup;
  readonly color: string;
  readonly mark: PointMark;
  readonly points: readonly Point[];
}

/**
 * Draws the figures of the conclusion against images, parameters and seconds, with intervals over seeds, and a line at
 * the value of real images. A cost that is equal for all points gets no figure.
 *
 * @returns undefined if no setup has such a figure, or all points have the same images, parameters and seconds
 */
export function qualityFigures(summary: Summary): QualityFigures | undefined {
  const { setups, primaries } = summary;
  const measured = setups.filter(({ figures }) => primaries.some(({ key }) => figures[key]));
  // Neighbours differ in colour and mark, so colours are not needed; 35 setups look different.
  const lookOf = (i: number) => ({
    color: traceColors[i % traceColors.length],
    mark: pointMarks[i % pointMarks.length],
  });
  const panels = primaries.flatMap((primary) =>
    axes.map(({ cost, title, along }) => {
      const drawn = measured.flatMap((setup, i): Series[] => {
        const quality = setup.figures[primary.key];
        return quality ? [{ setup, ...lookOf(i), points: pointsOf(setup, cost, primary.key, quality) }] : [];
      });
      return {
        primary,
        drawn,
        title,
        along,
        places: drawn.flatMap(({ points }) => points.map(({ x }) => x)),
      };
    })
  ).filter(({ places }) => new Set(places).size > 1);
  if (panels.length === 0) return undefined;
  const draw = (
    { primary: { key, real }, drawn, title, along, places }: typeof panels[number],
    isStill: boolean,
  ) => {
    const points = drawn.flatMap(({ points }) => points);
    const xLog = spansDecade(places);
    const levels = real === undefined ? [] : [{ y: real, name: `real images: ${shownFigure(key, real)}` }];
    const heights = points.flatMap(({ quality }) => [quality.mean, ...spreadOf(quality)]);
    const finding = findingOf(key, drawn, summary);
    return figure([...linesAlong(along, drawn), ...drawn.flatMap((series) => tracesOf(series, !isStill))], {
      ...finding !== undefined && { title: finding },
      xTitle: title,
      yTitle: `${titleOf(key)}: ${meaningOf(key).better} is better`,
      levels,
      xLog,
      yLog: spansDecade([...heights, ...levels.map(({ y }) => y)]),
      ...!xLog && { xRange: [0, 1.1 * Math.max(...places)] as const },
      ...isStill ? { width: 360, height: 300 } : { width: 900, height: 420 },
    });
  };
  return {
    figures: panels.map((panel) => draw(panel, false)),
    stills: panels.map((panel) => draw(panel, true)),
    legend: measured.map(({ label }, i) => ({ name: label, ...lookOf(i) })),
  };
}

/** The best setup in a figure, and whether it costs the most or the least; undefined if that may be chance. */
function findingOf(
  key: Primary["key"],
  drawn: readonly Series[],
  { differences }: Summary,
): string | undefined {
  const sign = meaningOf(key).better === "higher" ? -1 : 1;
  const ends = drawn.map(({ setup: { label }, points }) => ({ label, ...points.at(-1)! }))
    .sort((a, b) => sign * (a.quality.mean - b.quality.mean));
  const [best, ...rest] = ends;
  const isClear = rest.every(({ label, quality }) => {
    const paired = differences.find(({ a, b }) => [a, b].includes(label) && [a, b].includes(best.label));
    const interval = paired?.figures[key]?.interval;
    if (paired) return interval !== undefined && excludesZero(interval);
    const [own, other] = [best.quality.interval, quality.interval];
    return own !== undefined && other !== undefined && (own[1] < other[0] || other[1] < own[0]);
  });
  if (rest.length === 0 || !isClear) return undefined;
  const costs = rest.map(({ x }) => x);
  const cost = costs.every((x) => x < best.x)
    ? ", at the highest cost"
    : costs.every((x) => x > best.x)
    ? ", at the lowest cost"
    : "";
  return `${best.label} is best${cost}`;
}

/** Quality during training if measured, or else at its end. */
function pointsOf(
  { course, images, parameters, seconds }: Setup,
  cost: typeof axes[number]["cost"],
  key: Primary["key"],
  quality: SeedMean,
): Point[] {
  const during = key === "velocity_error" ? [] : course.flatMap((point) => {
    const quality = point[key];
    return quality ? [{ point, quality }] : [];
  });
  if (cost !== "parameters" && during.length > 0) {
    return during.map(({ point, quality }) => ({ x: point[cost], quality }));
  }
  return [{ x: { images: images!, parameters, seconds: seconds!.mean }[cost], quality }];
}

/** Grey lines through the last points of setups that differ in only one setting. */
function linesAlong(along: string, drawn: readonly Series[]): Trace[] {
  const families = Map.groupBy(drawn, ({ setup }) => setupKey({ ...setup.settings, [along]: "any" }));
  return [...families.values()].filter((family) => family.length > 1).map((family) => {
    const ends = family.map(({ points }) => points.at(-1)!).toSorted((a, b) => a.x - b.x);
    return { x: ends.map(({ x }) => x), y: ends.map(({ quality }) => quality.mean), color: "#999", size: 1 };
  });
}

/** Fewer seeds are shown individually: an interval over two is far wider than the figure. */
const leastSeeds = 3;

/** The spread around a mean: the ends of its interval, or the value of each seed. */
function spreadOf({ seeds, values, interval }: SeedMean): readonly number[] {
  return interval && seeds.length >= leastSeeds ? interval : values;
}

/** Points, the line through them, and for each point a vertical line for its interval or small points for two seeds. */
function tracesOf({ setup: { label }, color, mark, points }: Series, isNamed: boolean): Trace[] {
  const x = points.map(({ x }) => x);
  const y = points.map(({ quality }) => quality.mean);
  const barred = points.filter(({ quality: { seeds } }) => seeds.length >= leastSeeds);
  const few = points.filter(({ quality: { seeds: { length } } }) => length > 1 && length < leastSeeds);
  return [
    ...points.length > 1 ? [{ x, y, color, size: 1.5 }] : [],
    { x, y, color, mark, mode: "markers", size: 8, ...isNamed && { name: label } },
    {
      x: barred.flatMap(({ x }) => [x, x, NaN]),
      y: barred.flatMap(({ quality }) => [...spreadOf(quality), NaN]),
      color,
      size: 1.5,
    },
    ...few.length === 0 ? [] : [{
      x: few.flatMap(({ x, quality }) => spreadOf(quality).map(() => x)),
      y: few.flatMap(({ quality }) => spreadOf(quality)),
      color,
      mark,
      mode: "markers" as const,
      size: 4,
    }],
  ];
}

/** Whether values span a decade, which a logarithmic axis shows better. */
function spansDecade(values: readonly number[]): boolean {
  return Math.min(...values) > 0 && Math.max(...values) >= 10 * Math.min(...values);
}
