/** The findings of a study: its conclusion, tables and figure. */

import {
  logAxis,
  panelNumber,
  type PlotlyFigure,
  type PlotlyTrace,
  seriesColors,
  seriesMarks,
} from "../../viz/mod.ts";
import type { Passage, TextTable } from "../../viz/report/mod.ts";
import { figureKeys, keysOf, meaningOf, metricOf, shownFigure, titleOf } from "../evaluation/figures.ts";
import { formatOrder } from "../evaluation/evaluation.ts";
import { differingData, heldOutComparable, lossWarning } from "../settings/comparable_losses.ts";
import type { Plan } from "./plan.ts";
import type { Study } from "./study.ts";
import {
  type Difference,
  excludesZero,
  formatSetting,
  type Interval,
  type SeedMean,
  type Setup,
  type Summary,
} from "./summary.ts";

/** The conclusion of a study: what differs, what is inconclusive, and what was held fixed. */
export function conclude({ plan, count }: Pick<Study, "plan" | "count">, summary: Summary): Passage[] {
  const { setups, primaries } = summary;
  const hasOtherData = differingData(setups.flatMap(({ dataset }) => dataset ?? [])).length > 0;
  const ranked = ({ mean, interval: [low, high] = [mean, mean] }: SeedMean) => ({ value: mean, low, high });
  const order = formatOrder(
    setups.map(({ figures }) =>
      Object.fromEntries(Object.entries(figures).map(([key, found]) => [key, found && ranked(found)]))
    ),
  );
  return [
    progressOf(plan, setups),
    ...primaries.some(({ key }) => keysOf(["kernel"]).includes(key))
      ? ["Compared by kernel distance: there are too few test images for the Fréchet distance."]
      : [],
    ...primaries.flatMap(({ key }) => comparisonsOf(key, summary.differences)),
    ...order === undefined ? [] : [`${order}.`],
    ...heldOutComparable(setups) ? [] : [`${lossWarning(setups)}.`],
    ...hasOtherData ? ["Setups with different data are not compared."] : [],
    heldFixed(plan, count, setups),
  ];
}

function progressOf({ name }: Plan, setups: readonly Setup[]): string {
  const sum = (of: (setup: Setup) => number) => setups.reduce((sum, setup) => sum + of(setup), 0);
  const [finished, planned] = [sum(({ results }) => results.length), sum(({ planned }) => planned)];
  const lacking = setups.filter(({ results, planned }) => results.length < planned)
    .map(({ label, results, planned }) => `${label} has ${results.length} of ${planned} runs`);
  return `Study ${name}: ${counted(setups.length, "setup")}, ${finished} of ${planned} runs finished.` +
    (lacking.length > 0 ? ` Preliminary: ${lacking.join("; ")}.` : "");
}

/** The differences in a figure, and the inconclusive comparisons. */
function comparisonsOf(key: string, differences: readonly Difference[]): Passage[] {
  const [differs, open]: [string[], string[]] = [[], []];
  for (const { a, b, figures, ratio } of differences) {
    const found = figures[key];
    if (!found) continue;
    const { mean, interval, seeds } = found;
    if (!interval || !excludesZero(interval)) {
      const range = interval ? formatInterval(key, interval) : "one seed, no interval";
      open.push(`${a} against ${b}: ${range}${costOf(ratio)}`);
      continue;
    }
    const [low, high] = interval.map(Math.abs).toSorted((x, y) => x - y);
    const size = formatFigure(key, Math.abs(mean), (high - low) / 2);
    const range = `${formatInterval(key, [low, high])}, ${counted(seeds.length, "seed")}`;
    differs.push(`${a} against ${b}: ${mean < 0 ? "lower" : "higher"} by ${size} (${range})${costOf(ratio)}`);
  }
  const title = titleOf(key);
  return [
    { heading: `${title}: what differs (95 % interval excludes 0)`, items: differs },
    {
      heading: `${title}: inconclusive (95 % interval contains 0, or one seed; use more seeds)`,
      items: open,
    },
  ].filter(({ items }) => items.length > 0);
}

/** E.g. `, at 4.6 times the arithmetic and 3.8 times the parameters`; empty if both setups cost the same. */
function costOf({ multiplyAdds, parameters }: Difference["ratio"]): string {
  const parts = ([[multiplyAdds, "arithmetic"], [parameters, "parameters"]] as const)
    .filter(([ratio]) => Math.abs(ratio - 1) >= 0.05)
    .map(([ratio, of]) => `${Number(ratio.toPrecision(2))} times the ${of}`);
  return parts.length === 0 ? "" : `, at ${parts.join(" and ")}`;
}

function heldFixed(
  { preset, fixed, steps, evaluation }: Plan,
  count: number,
  setups: readonly Setup[],
): string {
  const images = setups.flatMap(({ images }) => images ?? []);
  const seen = [...new Set([Math.min(...images), Math.max(...images)].map(whole))].join(" to ");
  const { solver, guidance } = evaluation;
  const parts = [
    `preset ${preset}`,
    ...setups.some(({ settings }) => "data" in settings) ? [] : ["MNIST"],
    ...Object.entries(fixed).map(([name, value]) => formatSetting(name, value)),
    `${counted(steps, "step")} of training${images.length === 0 ? "" : ` (${seen} images)`}`,
    `${whole(count)} samples${solver === null ? "" : ` by ${solver}`}${
      guidance === null ? "" : ` at guidance ${guidance}`
    }`,
  ];
  return `Held fixed: ${parts.join(", ")}.`;
}

function counted(count: number, what: string): string {
  return `${whole(count)} ${what}${count === 1 ? "" : "s"}`;
}

/** Figures in tables, if measured; without Fréchet distances, kernel distances. */
const shownFigures = keysOf([
  "frechet",
  "kernel",
  "confident",
  "asked_class",
  "coverage",
  "velocity_error",
  "bits_per_dimension",
]);

/** The tables of a study: setups, differences, solvers; those that are not empty. */
export function tablesOf({ setups, differences, primaries }: Summary): TextTable[] {
  const hidden = primaries.some(({ key }) => keysOf(["frechet"]).includes(key)) ? keysOf(["kernel"]) : [];
  const shownIn = (all: readonly Pick<Setup, "figures">[]) =>
    shownFigures.filter((key) => !hidden.includes(key) && all.some(({ figures }) => figures[key]));
  const means = (keys: readonly string[], { figures }: Pick<Setup, "figures">) =>
    keys.map((key) => formatMean(key, figures[key]));
  const ofSetups = shownIn(setups);
  const ofDifferences = shownIn(differences);
  const solvers = setups.flatMap(({ label, solvers }) => solvers.map((solver) => ({ label, ...solver })));
  const ofSolvers = shownIn(solvers);
  const tables: TextTable[] = [
    {
      title: "Setups: mean over seeds (95 % interval)",
      head: ["setup", ...ofSetups.map(titleOf), "parameters", "multiply-adds", "images", "seconds", "seeds"],
      rows: setups.map(({ parameters, multiplyAdds, images, seconds, results, planned, ...setup }) => [
        setup.label,
        ...means(ofSetups, setup),
        ...[parameters, multiplyAdds, images].map((n, i) =>
          n === undefined ? "" : i === 1 ? `${Number((n / 1e6).toPrecision(3))} M` : whole(n)
        ),
        seconds?.mean.toFixed(1) ?? "",
        results.length === planned ? `${planned}` : `${results.length} of ${planned}`,
      ]),
    },
    {
      title: "Differences between setups that differ in one choice (paired 95 % interval)",
      head: ["difference", ...ofDifferences.map(titleOf), "× parameters", "× multiply-adds", "× seconds"],
      rows: differences.filter(({ figures }) => Object.keys(figures).length > 0).map((difference) => [
        `${difference.a} − ${difference.b}`,
        ...means(ofDifferences, difference),
        ...Object.values(difference.ratio).map((ratio) => ratio.toFixed(2)),
      ]),
    },
    {
      title: "Quality by network evaluations: mean over seeds (95 % interval)",
      head: ["setup", "solver", "evaluations", ...ofSolvers.map(titleOf)],
      rows: solvers.map((solver) => [
        solver.label,
        solver.spec,
        String(Number(solver.evaluations.toFixed(1))),
        ...means(ofSolvers, solver),
      ]),
    },
  ];
  return tables.filter(({ rows }) => rows.length > 0);
}

/** Formats a number, rounded to an integer with separators: `32,000`. */
function whole(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** Formats a mean with its interval, `12.1 (10.2 to 14.0)`; without it for one seed; empty for none. */
export function formatMean(key: string, found: SeedMean | undefined): string {
  if (!found) return "";
  const { mean, interval } = found;
  if (!interval) return formatFigure(key, mean);
  return `${formatFigure(key, mean, halfOf(interval))} (${formatInterval(key, interval)})`;
}

function formatInterval(key: string, interval: Interval): string {
  return interval.map((end) => formatFigure(key, end, halfOf(interval))).join(" to ");
}

/** Formats a figure with two digits of its spread, or else four significant digits; shares are percentages. */
function formatFigure(key: string, value: number, spread?: number): string {
  const { share } = meaningOf(key);
  const [scale, unit] = share ? [100, " %"] : [1, ""];
  const decimals = (spread: number) => Math.min(Math.max(1 - Math.floor(Math.log10(spread)), 0), 20);
  const text = spread
    ? (scale * value).toFixed(decimals(scale * spread))
    : String(Number((scale * value).toPrecision(4)));
  const signed = Number(text) === 0 ? text.replace("-", "") : text; // no minus sign before a rounded 0
  return signed.replace("-", "\u2212") + unit;
}

function halfOf([low, high]: Interval): number {
  return (high - low) / 2;
}

/** The means of all setups as metrics, with the ends of their intervals: `eval/frechet/residual_no_attn`, `..._low`. */
export function metricsOf({ setups }: Summary): Record<string, number> {
  const metrics = setups.flatMap(({ label, figures }) =>
    figureKeys.flatMap((key) => {
      const name = `${metricOf(key)}/${label.replaceAll(/[^\p{L}\p{N}.-]+/gu, "_").replaceAll(/^_|_$/g, "")}`;
      const { mean, interval: [low, high] = [] } = figures[key] ?? {};
      return [[name, mean], [`${name}_low`, low], [`${name}_high`, high]] as const;
    })
  );
  return Object.fromEntries(metrics.flatMap(([name, value]) => value === undefined ? [] : [[name, value]]));
}

/** A point of a panel. */
type Point = { readonly x: number; readonly quality: SeedMean };

/**
 * The figures of the conclusion against images, parameters and seconds of training, as a row of panels, with intervals over
 * seeds and a line at the value of real images. A cost that is equal for all points has no panel; undefined without panels.
 */
export function qualityFigure({ setups, primaries }: Summary): PlotlyFigure | undefined {
  const panels = primaries.flatMap((primary) =>
    (["images", "parameters", "seconds"] as const).flatMap((cost) => {
      const drawn = setups.map((setup) => pointsOf(setup, cost, primary.key));
      return new Set(drawn.flat().map(({ x }) => x)).size < 2 ? [] : [{ ...primary, cost, drawn }];
    })
  );
  if (panels.length === 0) return undefined;
  const data = panels.flatMap(({ key, drawn }, n) =>
    drawn.flatMap((points, i) =>
      points.length === 0 ? [] : [{
        ...traceOf(points, i, key),
        name: setups[i].label,
        legendgroup: setups[i].label,
        showlegend: !panels.slice(0, n).some(({ drawn }) => drawn[i].length > 0),
        xaxis: `x${panelNumber(n)}`,
        yaxis: `y${panelNumber(n)}`,
      }]
    )
  );
  const axes = panels.flatMap(({ key, real, cost, drawn }, n): [string, object][] => {
    const x = drawn.flat().map(({ x }) => x);
    const y = drawn.flat().flatMap(({ quality }) => [quality.mean, ...quality.interval ?? []]);
    const title = cost === "images" ? "images trained on" : cost === "seconds" ? "seconds of training" : cost;
    const better = `${titleOf(key)}: ${meaningOf(key).better} is better`;
    return [
      [`xaxis${panelNumber(n)}`, {
        title: { text: title },
        ...spansDecade(x) ? logAxis : { rangemode: "tozero" },
      }],
      [`yaxis${panelNumber(n)}`, {
        title: { text: better },
        ...spansDecade([...y, ...real === undefined ? [] : [real]]) && logAxis,
      }],
    ];
  });
  const shapes = panels.flatMap(({ key, real }, n) =>
    real === undefined ? [] : [{
      type: "line",
      xref: `x${panelNumber(n)} domain`,
      yref: `y${panelNumber(n)}`,
      x0: 0,
      x1: 1,
      y0: real,
      y1: real,
      line: { dash: "dash" },
      label: { text: `real images: ${shownFigure(key, real)}`, textposition: "start", padding: 4 },
    }]
  );
  return {
    data,
    layout: {
      grid: { rows: 1, columns: panels.length, pattern: "independent" },
      height: 380,
      showlegend: true,
      shapes,
      ...Object.fromEntries(axes),
    },
  };
}

/** Quality during training if it was measured, or else at its end. */
function pointsOf(setup: Setup, cost: "images" | "parameters" | "seconds", key: string): Point[] {
  const during = cost === "parameters" ? [] : setup.course.flatMap((point) => {
    const quality = point.figures[key];
    return quality ? [{ x: point[cost], quality }] : [];
  });
  if (during.length > 0) return during;
  const quality = setup.figures[key];
  const x = cost === "seconds" ? setup.seconds?.mean : setup[cost];
  return quality && x !== undefined ? [{ x, quality }] : [];
}

/** Points of setup i with their intervals, and a line through them; neighbours differ in colour and shape. */
function traceOf(points: readonly Point[], i: number, key: string): PlotlyTrace {
  const color = seriesColors[i % seriesColors.length];
  const reach = (end: 0 | 1) =>
    points.map(({ quality: { mean, interval } }) => interval ? Math.abs(interval[end] - mean) : 0);
  return {
    mode: points.length > 1 ? "lines+markers" : "markers",
    x: points.map(({ x }) => x),
    y: points.map(({ quality }) => quality.mean),
    error_y: {
      type: "data",
      symmetric: false,
      array: reach(1),
      arrayminus: reach(0),
      thickness: 1.5,
      width: 3,
    },
    line: { color, width: 1.5 },
    marker: { color, symbol: seriesMarks[i % seriesMarks.length], size: 9 },
    text: points.map(({ quality }) =>
      `${formatMean(key, quality)}, ${counted(quality.seeds.length, "seed")}`
    ),
    hovertemplate: "%{x:,}: %{text}",
  };
}

/** Whether values span a decade, which a logarithmic axis shows better. */
function spansDecade(values: readonly number[]): boolean {
  return Math.min(...values) > 0 && Math.max(...values) >= 10 * Math.min(...values);
}
