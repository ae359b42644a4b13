import { colormap, type Figure, figure, type LegendEntry, type Trace } from "../../../viz/mod.ts";
import { figureMeanings } from "../../evaluation/figures.ts";
import type { SeedMean } from "./seed_intervals.ts";
import { type Setup, setupKey, type Summary } from "./summary.ts";

/** Quality against cost. */
export interface QualityFigures {
  /** Against images, parameters and seconds. */
  readonly figures: readonly Figure[];
  /** The same for a row with one shared legend: narrower, without names. */
  readonly stills: readonly Figure[];
  readonly legend: readonly LegendEntry[];
}

/** Axes of cost. Setups that differ in the setting `along` alone are joined by a line. */
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
  readonly points: readonly Point[];
}

/** Source: Okabe and Ito 2008, "Color universal design". More setups get a colour map. */
const fewColors = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

/**
 * Draws the primary figure against images, parameters and seconds, with intervals over seeds.
 *
 * @returns undefined if no setup has it
 */
export function qualityFigures({ setups, primary }: Summary): QualityFigures | undefined {
  if (!primary) return undefined;
  const measured = setups.filter(({ figures }) => figures[primary]);
  const colors = colorsOf(measured.length);
  const draw = ({ cost, title, along }: typeof axes[number], isStill: boolean) => {
    const placed = measured.map((setup, i): Series => ({
      setup,
      color: colors[i],
      points: pointsOf(setup, cost, setup.figures[primary]!),
    }));
    const places = placed.flatMap(({ points }) => points.map(({ x }) => x));
    const isOne = isStill && measured.length > 1 && new Set(places).size === 1;
    const drawn = isOne ? sideBySide(placed) : placed;
    const points = drawn.flatMap(({ points }) => points);
    const xLog = spansDecade(places);
    return figure([...linesAlong(along, drawn), ...drawn.flatMap((series) => tracesOf(series, !isStill))], {
      xTitle: title + (isOne ? ` (all ${places[0].toLocaleString("en")}, drawn apart)` : ""),
      yTitle: isStill && cost !== "images" ? "" : figureMeanings[primary].title,
      xLog,
      yLog: spansDecade(points.flatMap(({ quality: { mean, interval = [] } }) => [mean, ...interval])),
      ...!xLog && { xRange: [0, 1.1 * Math.max(...points.map(({ x }) => x))] as const },
      ...isStill ? { width: 360, height: 300 } : { width: 900, height: 420 },
    });
  };
  return {
    figures: axes.map((axis) => draw(axis, false)),
    stills: axes.map((axis) => draw(axis, true)),
    legend: measured.map(({ label }, i) => ({ name: label, color: colors[i] })),
  };
}

/** Quality during training if it was measured, else at its end. */
function pointsOf(
  { course, images, parameters, seconds }: Setup,
  cost: typeof axes[number]["cost"],
  quality: SeedMean,
): Point[] {
  if (cost !== "parameters" && course.length > 0) {
    return course.map((point) => ({ x: point[cost], quality: point.frechet }));
  }
  return [{ x: { images: images!, parameters, seconds: seconds!.mean }[cost], quality }];
}

/** Grey lines through the ends of setups that differ in one setting alone. */
function linesAlong(along: string, drawn: readonly Series[]): Trace[] {
  const families = Map.groupBy(drawn, ({ setup }) => setupKey({ ...setup.settings, [along]: "any" }));
  return [...families.values()].filter((family) => family.length > 1).map((family) => {
    const ends = family.map(({ points }) => points.at(-1)!).toSorted((a, b) => a.x - b.x);
    return { x: ends.map(({ x }) => x), y: ends.map(({ quality }) => quality.mean), color: "#bbb", size: 1 };
  });
}

/** Spreads setups at the same x, so a still shows all of them. */
function sideBySide(placed: readonly Series[]): Series[] {
  const shift = (i: number) => 1 + 0.025 * (i - (placed.length - 1) / 2);
  return placed.map((series, i) => ({
    ...series,
    points: series.points.map(({ x, quality }) => ({ x: x * shift(i), quality })),
  }));
}

/** Points, the line through them, and a vertical line for each interval. */
function tracesOf({ setup: { label }, color, points }: Series, isNamed: boolean): Trace[] {
  const x = points.map(({ x }) => x);
  const y = points.map(({ quality }) => quality.mean);
  const barred = points.filter(({ quality }) => quality.interval);
  return [
    ...points.length > 1 ? [{ x, y, color, size: 1.5 }] : [],
    { x, y, color, mode: "markers", size: 7, ...isNamed && { name: label } },
    {
      x: barred.flatMap(({ x }) => [x, x, NaN]),
      y: barred.flatMap(({ quality }) => [...quality.interval!, NaN]),
      color,
      size: 1.5,
    },
  ];
}

function colorsOf(count: number): string[] {
  if (count <= fewColors.length) return fewColors.slice(0, count);
  const palette = colormap("viridis");
  return Array.from({ length: count }, (_, i) => {
    const at = 3 * Math.round(230 * i / (count - 1));
    return `rgb(${palette.subarray(at, at + 3).join(",")})`;
  });
}

/** Whether values span a decade, which a logarithmic axis shows better. */
function spansDecade(values: readonly number[]): boolean {
  return Math.min(...values) > 0 && Math.max(...values) >= 10 * Math.min(...values);
}
