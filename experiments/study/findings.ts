/** The findings of a study: its conclusion and tables. */

import type { Passage, TextTable } from "../../viz/report/mod.ts";
import { differingData, heldOutComparable, lossWarning } from "../settings/comparable_losses.ts";
import { formatOrder } from "../evaluation/evaluation.ts";
import { figureKeys, keysOf, meaningOf, metricOf, titleOf } from "../evaluation/figures.ts";
import { formatSetting } from "./cells.ts";
import { type ByCost, costNames, costs, shownFigures, whole } from "./columns.ts";
import type { Plan } from "./plan.ts";
import { excludesZero, type Interval, type SeedMean } from "./seed_means.ts";
import type { Study } from "./study.ts";
import type { Difference, Figures, Setup, Summary } from "./summary.ts";

/** The conclusion of a study: a line, and then what differs, what is inconclusive, and what was held fixed. */
export function conclude({ plan, count }: Pick<Study, "plan" | "count">, summary: Summary) {
  const { setups, differences, primaries } = summary;
  const seeds = Math.max(...setups.map(({ results }) => results.length));
  const headline = [progressOf(plan, setups)];
  const details: Passage[] = [];
  if (seeds === 1) headline.push("Nothing can be concluded from one seed: use more with --seeds.");
  if (primaries.some(({ key }) => keysOf(["kernel"]).includes(key))) {
    details.push("Compared by kernel distance: there are too few test images for the Fréchet distance.");
  }
  for (const { key } of primaries) {
    const { clear, open } = comparisonsOf(key, differences);
    const title = titleOf(key);
    if (seeds > 1) {
      headline.push(`${title}: ${counted(clear.length, "difference")}, ${open.length} inconclusive.`);
    }
    if (clear.length > 0) {
      details.push({ heading: `${title}: what differs (95 % interval excludes 0)`, items: clear });
    }
    if (open.length > 0) {
      const why = "95 % interval contains 0, or one seed; use more seeds";
      details.push({ heading: `${title}: inconclusive (${why})`, items: open });
    }
  }
  const order = orderOf(setups);
  if (order !== undefined) details.push(`${order}.`);
  if (!heldOutComparable(setups)) details.push(`${lossWarning(setups)}.`);
  if (differingData(setups.flatMap(({ dataset }) => dataset ?? [])).length > 0) {
    details.push("Setups with different data are not compared.");
  }
  details.push(heldFixed(plan, count, setups));
  return { headline: headline.join(" "), details };
}

function progressOf({ name }: Plan, setups: readonly Setup[]): string {
  const finished = setups.reduce((sum, { results }) => sum + results.length, 0);
  const planned = setups.reduce((sum, { planned }) => sum + planned, 0);
  const runs = `${finished} of ${planned} runs finished`;
  const progress = `Study ${name}: ${counted(setups.length, "setup")}, ${runs}.`;
  const lacking = setups.filter(({ results, planned }) => results.length < planned)
    .map(({ label, results, planned }) => `${label} has ${results.length} of ${planned} runs`);
  return lacking.length === 0 ? progress : `${progress} Preliminary: ${lacking.join("; ")}.`;
}

/** Whether the judges rank the setups in the same order, as far as these have intervals. */
function orderOf(setups: readonly Setup[]): string | undefined {
  const ranked = ({ mean, interval: [low, high] = [mean, mean] }: SeedMean) => ({ value: mean, low, high });
  const measured = setups.filter(({ results }) => results.length > 1).map(({ figures }) =>
    Object.fromEntries(Object.entries(figures).map(([key, found]) => [key, found && ranked(found)]))
  );
  return formatOrder(measured);
}

/** The clear differences in a figure, and the inconclusive comparisons. */
function comparisonsOf(key: string, differences: readonly Difference[]) {
  const clear: string[] = [];
  const open: string[] = [];
  for (const { a, b, figures, ratio } of differences) {
    const found = figures[key];
    if (!found) continue;
    const { mean, interval, seeds } = found;
    if (!interval || !excludesZero(interval)) {
      const range = interval ? formatInterval(key, interval) : "one seed, no interval";
      open.push(`${a} against ${b}: ${range}${formatRatio(ratio)}`);
      continue;
    }
    const [low, high] = interval.map(Math.abs).toSorted((x, y) => x - y);
    const size = formatFigure(key, Math.abs(mean), (high - low) / 2);
    const range = `${formatInterval(key, [low, high])}, ${counted(seeds.length, "seed")}`;
    const how = mean < 0 ? "lower" : "higher";
    clear.push(`${a} against ${b}: ${how} by ${size} (${range})${formatRatio(ratio)}`);
  }
  return { clear, open };
}

/** Relative costs from which on a conclusion names them. */
const leastRatio = 0.05;

/** E.g. `, at 3.8 times the parameters and 4.6 times the arithmetic`; empty if both setups cost the same. */
function formatRatio(ratio: ByCost<number>): string {
  const parts = costNames.flatMap((name) => {
    const { noun } = costs[name];
    const value = ratio[name];
    if (noun === undefined || value === undefined || Math.abs(value - 1) < leastRatio) return [];
    return [`${Number(value.toPrecision(2))} times the ${noun}`];
  });
  return parts.length === 0 ? "" : `, at ${parts.join(" and ")}`;
}

function heldFixed(
  { preset, fixed, steps, evaluation }: Plan,
  count: number,
  setups: readonly Setup[],
): string {
  const images = setups.flatMap(({ costs }) => costs.images?.mean ?? []);
  const seen = [...new Set([Math.min(...images), Math.max(...images)].map(whole))].join(" to ");
  const { solver, guidance } = evaluation;
  const by = solver === null ? "" : ` by ${solver}`;
  const at = guidance === null ? "" : ` at guidance ${guidance}`;
  const parts = [
    `preset ${preset}`,
    setups.some(({ settings }) => "data" in settings) ? "" : "MNIST",
    ...Object.entries(fixed).map(([name, value]) => formatSetting(name, value)),
    `${counted(steps, "step")} of training${images.length === 0 ? "" : ` (${seen} images)`}`,
    `${whole(count)} samples${by}${at}`,
  ];
  return `Held fixed: ${parts.filter((part) => part !== "").join(", ")}.`;
}

/** A number of things: `1 seed`, `3 seeds`. */
export function counted(count: number, what: string): string {
  return `${whole(count)} ${what}${count === 1 ? "" : "s"}`;
}

/** The tables of a study: setups, differences, solvers; those that are not empty. */
export function tablesOf({ setups, differences, primaries }: Summary): TextTable[] {
  const isByFrechet = primaries.some(({ key }) => keysOf(["frechet"]).includes(key));
  const hidden = isByFrechet ? keysOf(["kernel"]) : []; // which stands in for it
  const shownIn = (all: readonly Figures[]) =>
    shownFigures.filter((key) => !hidden.includes(key) && all.some(({ figures }) => figures[key]));
  const means = (keys: readonly string[], { figures }: Figures) =>
    keys.map((key) => formatMean(key, figures[key]));
  const solvers = setups.flatMap(({ label, solvers }) => solvers.map((solver) => ({ label, ...solver })));
  const inSetups = shownIn(setups);
  const inDifferences = shownIn(differences);
  const inSolvers = shownIn(solvers);
  const tables: TextTable[] = [
    {
      title: "Setups: mean over seeds (95 % interval)",
      head: ["setup", ...inSetups.map(titleOf), ...costNames.map((name) => costs[name].title), "seeds"],
      rows: setups.map((setup) => [
        setup.label,
        ...means(inSetups, setup),
        ...costNames.map((name) => {
          const cost = setup.costs[name];
          return cost ? costs[name].format(cost.mean) : "";
        }),
        `${setup.results.length} of ${setup.planned}`,
      ]),
    },
    {
      title: "Differences between setups that differ in one choice (paired 95 % interval)",
      head: [
        "difference",
        ...inDifferences.map(titleOf),
        ...costNames.map((name) => `× ${costs[name].title}`),
      ],
      rows: differences.filter(({ figures }) => Object.keys(figures).length > 0).map((difference) => [
        `${difference.a} − ${difference.b}`,
        ...means(inDifferences, difference),
        ...costNames.map((name) => difference.ratio[name]?.toFixed(2) ?? ""),
      ]),
    },
    {
      title: "Quality by network evaluations: mean over seeds (95 % interval)",
      head: ["setup", "solver", "evaluations", ...inSolvers.map(titleOf)],
      rows: solvers.map((solver) => [
        solver.label,
        solver.spec,
        String(Number(solver.evaluations.toFixed(1))),
        ...means(inSolvers, solver),
      ]),
    },
  ];
  return tables.filter(({ rows }) => rows.length > 0);
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
  const scale = share ? 100 : 1;
  let text = String(Number((scale * value).toPrecision(4)));
  if (spread) {
    const decimals = 1 - Math.floor(Math.log10(scale * spread));
    text = (scale * value).toFixed(Math.min(Math.max(decimals, 0), 20));
  }
  const signed = Number(text) === 0 ? text.replace("-", "") : text; // no minus sign before a rounded 0
  return signed.replace("-", "\u2212") + (share ? " %" : "");
}

function halfOf([low, high]: Interval): number {
  return (high - low) / 2;
}

/** The means of all setups as metrics, with the ends of their intervals: `eval/frechet/residual_no_attn`, `..._low`. */
export function metricsOf({ setups }: Summary): Record<string, number> {
  const metrics: Record<string, number> = {};
  for (const { label, figures } of setups) {
    const setup = label.replaceAll(/[^\p{L}\p{N}.-]+/gu, "_").replaceAll(/^_|_$/g, "");
    for (const key of figureKeys) {
      const found = figures[key];
      if (!found) continue;
      const name = `${metricOf(key)}/${setup}`;
      metrics[name] = found.mean;
      if (!found.interval) continue;
      const [low, high] = found.interval;
      metrics[`${name}_low`] = low;
      metrics[`${name}_high`] = high;
    }
  }
  return metrics;
}
