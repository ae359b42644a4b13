import type { Passage } from "../../viz/report/mod.ts";
import { titleOf } from "../evaluation/figures.ts";
import { formatOrder } from "../evaluation/evaluation_table.ts";
import { differingData, heldOutComparable, lossWarning } from "../cli/loss_meaning.ts";
import type { Plan } from "./plan.ts";
import { excludesZero, holmSignificant } from "./seed_intervals.ts";
import { type Difference, formatSetting, type Primary, type Summary } from "./summary.ts";
import { formatFigure, formatInterval, whole } from "./tables.ts";

/** The conclusion of a study: what differs, what is inconclusive, and what was held fixed. */
export function conclude(plan: Plan, summary: Summary): Passage[] {
  const { setups } = summary;
  const warning = heldOutComparable(setups)
    ? []
    : [`${lossWarning(setups)}.${
      differingData(setups.flatMap(({ dataset }) => dataset ?? [])).length > 0
        ? " Setups with different data are not compared."
        : ""
    }`];
  const comparisons = summary.primaries.flatMap(({ key }) => comparisonsOf(key, summary));
  return [
    progressOf(plan, summary),
    ...comparisons,
    ...judgesOrder(summary),
    ...warning,
    heldFixed(plan, summary),
  ];
}

function progressOf({ name }: Plan, { setups }: Summary): string {
  const [finished, planned] = (["finished", "planned"] as const).map((state) =>
    setups.reduce((sum, { seeds }) => sum + seeds[state], 0)
  );
  const progress = `Study ${name}: ${
    counted(setups.length, "setup")
  }, ${finished} of ${planned} runs finished.`;
  const lacking = setups.filter(({ seeds }) => seeds.finished < seeds.planned).map(({ label, seeds }) =>
    `${label} has ${seeds.finished} of ${seeds.planned} runs`
  );
  return lacking.length === 0 ? progress : `${progress} Preliminary: ${lacking.join("; ")}.`;
}

/** Whether the judges rank the setups alike, by means over seeds; empty for one setup or judge. */
function judgesOrder({ setups }: Summary): string[] {
  const measured = setups.map(({ figures }) =>
    Object.fromEntries(
      Object.entries(figures).map(([key, { mean: value, interval: [low, high] = [value, value] }]) => {
        return [key, { value, low, high }];
      }),
    )
  );
  const order = formatOrder(measured);
  return order === undefined ? [] : [`${order}.`];
}

/** The differences in a figure, and the inconclusive comparisons. */
function comparisonsOf(primary: Primary["key"], { differences }: Summary): Passage[] {
  const tested = differences.flatMap(({ figures }) => figures[primary]?.chance ?? []);
  const significant = holmSignificant(tested);
  const [differs, open]: [string[], string[]] = [[], []];
  let test = 0;
  for (const { a, b, figures, ratio } of differences) {
    const figure = figures[primary];
    if (!figure) continue;
    const { mean, interval, seeds } = figure;
    const mark = interval && significant[test++] ? "*" : "";
    if (!interval || !excludesZero(interval)) {
      const range = interval ? formatInterval(primary, interval) : "one seed, no interval";
      open.push(`${a} against ${b}: ${range}${costOf(ratio)}`);
      continue;
    }
    const [low, high] = interval.map(Math.abs).toSorted((x, y) => x - y);
    const size = formatFigure(primary, Math.abs(mean), (high - low) / 2);
    const range = `${formatInterval(primary, [low, high])}, ${counted(seeds.length, "seed")}`;
    const direction = mean < 0 ? "lower" : "higher";
    differs.push(`${a} against ${b}: ${direction} by ${size} (${range})${mark}${costOf(ratio)}`);
  }
  const title = titleOf(primary);
  const holm = `* also after Holm's correction for ${counted(tested.length, "comparison")}`;
  return [
    { heading: `${title}: what differs (95 % interval excludes 0; ${holm})`, items: differs },
    {
      heading: `${title}: inconclusive (95 % interval contains 0, or one seed; more seeds would narrow it)`,
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

function heldFixed({ preset, fixed, budget, evaluation }: Plan, { setups }: Summary): string {
  const images = setups.flatMap(({ images }) => images ?? []);
  const seen = [...new Set([Math.min(...images), Math.max(...images)].map(whole))].join(" to ");
  const length = "steps" in budget ? counted(budget.steps, "step") : counted(budget.minutes, "minute");
  const { count, solver, guidance } = evaluation;
  const parts = [
    `preset ${preset}`,
    ...setups.some(({ settings }) => "data" in settings) ? [] : ["MNIST"],
    ...Object.entries(fixed).map(([name, value]) => formatSetting(name, value)),
    `${length} of training${images.length === 0 ? "" : ` (${seen} images)`}`,
    `${whole(count)} samples${solver === null ? "" : ` by ${solver}`}${
      guidance === null ? "" : ` at guidance ${guidance}`
    }`,
  ];
  const minutes = "minutes" in budget
    ? " Another machine would train on more or fewer images in the same minutes."
    : "";
  return `Held fixed: ${parts.join(", ")}.${minutes}`;
}

function counted(count: number, what: string): string {
  return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
}
