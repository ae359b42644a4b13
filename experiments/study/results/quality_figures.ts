import { colormap, type Figure, figure, type LegendEntry, type Trace } from "../../../viz/mod.ts";
import { figureMeanings } from "../../evaluation/figures.ts";
import type { SeedMean } from "./seed_intervals.ts";
import { setupKey, type SetupSummary, type Summary } from "./summary.ts";

/** Quality against cost. */
export interface QualityFigures {
  /** Against images, parameters and seconds. */
  readonly figures: readonly Figure[];
  /** The same for a row with one shared legend: narrower, without names. */
  readonly stills: readonly Figure[];
  readonly legend: readonly LegendEntry[];
}

interface Point {
  readonly x: number;
  readonly quality: SeedMean;
}

interface Axis {
  readonly title: string;
  /** Setups that differ in this setting alone are joined by a line. */
  readonly along: string;
  pointsOf(setup: SetupSummary, quality: SeedMean): readonly Point[];
}

/** Axes of cost, for quality during training if it was measured, else at its end. */
const axes: readonly Axis[] = [
  {
    title: "images trained on",
    along: "share",
    pointsOf: ({ course, images }, quality) =>
      course.length > 0
        ? course.map(({ images, frechet }) => ({ x: images, quality: frechet }))
        : [{ x: images!, quality }],
  },
  {
    title: "parameters",
    along: "filters",
    pointsOf: ({ parameters }, quality) => [{ x: parameters, quality }],
  },
  {
    title: "seconds of training",
    along: "share",
    pointsOf: ({ course, seconds }, quality) =>
      course.length > 0
        ? course.map(({ seconds, frechet }) => ({ x: seconds, quality: frechet }))
        : [{ x: seconds!.mean, quality }],
  },
];

/** Source: Okabe and Ito 2008, "Color universal design". More setups get a colour map. */
const fewColors = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

/**
 * Draws the primary figure against images, parameters and seconds, with intervals over seeds.
 *
 * @returns undefined if no setup has it
 */
export function qualityFigures({ setups, primary }: Summary): QualityFigures | undefined {
  if (!primary) return undefined;
  const measured = setups.flatMap((setup) => {
    const quality = setup.figures[primary];
    return quality ? [{ setup, quality }] : [];
  });
  const colors = colorsOf(measured.length);
  const legend = measured.map(({ setup: { label } }, i) => ({ name: label, color: colors[i] }));
  const draw = (axis: Axis, isStill: boolean) => {
    const placed = measured.map(({ setup, quality }) => axis.pointsOf(setup, quality));
    const places = placed.flat().map(({ x }) => x);
    const xLog = spansDecade(places);
    const isOne = isStill && measured.length > 1 && new Set(places).size === 1;
    const drawn = isOne ? sideBySide(placed) : placed;
    const room = 1.1 * Math.max(...drawn.flat().map(({ x }) => x));
    const xTitle = axis.title + (isOne ? ` (all ${places[0].toLocaleString("en")}, drawn apart)` : "");
    const joined = linesAlong(axis, measured.map(({ setup }, i) => ({ setup, points: drawn[i] })));
    const traces = drawn.flatMap((points, i) =>
      tracesOf(points, colors[i], isStill ? undefined : legend[i].name)
    );
    const { title } = figureMeanings[primary];
    return figure([...joined, ...traces], {
      xTitle,
      yTitle: isStill && axis !== axes[0] ? "" : title,
      xLog,
      yLog: spansDecade(drawn.flat().flatMap(({ quality: { mean, interval = [] } }) => [mean, ...interval])),
      ...!xLog && { xRange: [0, room] as const },
      ...isStill ? { width: 360, height: 300 } : { width: 900, height: 420 },
    });
  };
  return {
    figures: axes.map((axis) => draw(axis, false)),
    stills: axes.map((axis) => draw(axis, true)),
    legend,
  };
}

/** Grey lines through the ends of setups that differ in one setting alone. */
function linesAlong(
  { along }: Axis,
  placed: readonly { readonly setup: SetupSummary; readonly points: readonly Point[] }[],
): Trace[] {
  const families = Map.groupBy(
    placed,
    ({ setup: { settings } }) => setupKey({ ...settings, [along]: "any" }),
  );
  return [...families.values()].filter((family) => family.length > 1).map((family) => {
    const ends = family.map(({ points }) => points.at(-1)!).toSorted((a, b) => a.x - b.x);
    return { x: ends.map(({ x }) => x), y: ends.map(({ quality }) => quality.mean), color: "#bbb", size: 1 };
  });
}

/** Spreads setups at the same x, so a still shows all of them. */
function sideBySide(placed: readonly (readonly Point[])[]): Point[][] {
  const middle = (placed.length - 1) / 2;
  return placed.map((points, i) =>
    points.map(({ x, quality }) => ({ x: x * (1 + 0.025 * (i - middle)), quality }))
  );
}

/** Points, the line through them, and a vertical line for each interval. */
function tracesOf(points: readonly Point[], color: string, name: string | undefined): Trace[] {
  const x = points.map(({ x }) => x);
  const y = points.map(({ quality }) => quality.mean);
  const bars = points.flatMap(({ x, quality: { interval } }) => interval ? [{ x, interval }] : []);
  return [
    ...points.length > 1 ? [{ x, y, color, size: 1.5 }] : [],
    { x, y, color, mode: "markers", size: 7, ...name !== undefined && { name } },
    {
      x: bars.flatMap(({ x }) => [x, x, NaN]),
      y: bars.flatMap(({ interval: [low, high] }) => [low, high, NaN]),
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
