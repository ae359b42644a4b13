import type { Passage } from "../../../viz/report/mod.ts";
import { figureMeanings } from "../../evaluation/figures.ts";
import type { Plan } from "../plan.ts";
import { excludesZero, holmSignificant, type SeedDifference } from "./seed_intervals.ts";
import { type Difference, settingInWords, type Summary } from "./summary.ts";
import { figureInWords, intervalInWords } from "./tables.ts";

/** What can and cannot be concluded from a study: what differs, what is inconclusive, and what was held fixed. */
export function conclude(plan: Plan, summary: Summary): Passage[] {
  return [progressOf(plan, summary), ...differencesOf(summary), heldFixed(plan, summary)];
}

function progressOf({ name }: Plan, { setups }: Summary): string {
  const [finished, planned] = (["finished", "planned"] as const).map((state) =>
    setups.reduce((sum, { seeds }) => sum + seeds[state], 0)
  );
  const progress = `Study ${name}: ${
    counted(setups.length, "setup")
  }, ${finished} of ${planned} runs finished.`;
  const lacking = setups.filter(({ seeds }) => seeds.finished < seeds.planned).map(({ label, seeds }) =>
    `${label} has ${seeds.finished} of ${seeds.planned}`
  );
  return lacking.length === 0 ? progress : `${progress} Preliminary: ${lacking.join("; ")}.`;
}

interface Found {
  readonly difference: Difference;
  readonly figure: SeedDifference;
}

function differencesOf({ primary, differences }: Summary): Passage[] {
  if (!primary) return [];
  const found = differences.flatMap((difference): Found[] => {
    const figure = difference.figures[primary];
    return figure ? [{ difference, figure }] : [];
  });
  const tested = found.filter(({ figure }) => figure.interval);
  const significant = holmSignificant(tested.map(({ figure }) => figure.chance!));
  const marked = new Set(tested.filter((_, i) => significant[i]));
  const differs = tested.filter(({ figure }) => excludesZero(figure.interval!));
  const open = found.filter((one) => !differs.includes(one));
  const pair = ({ difference: { a, b } }: Found) => `${a} against ${b}`;
  const title = figureMeanings[primary].title;
  const passages = [
    {
      heading: `${title}: what differs (95 % interval excludes 0; * also after Holm's correction for ${
        counted(tested.length, "comparison")
      })`,
      items: differs.map((one) => {
        const { mean, interval, seeds } = one.figure;
        const [low, high] = interval!.map(Math.abs).toSorted((x, y) => x - y);
        const size = figureInWords(primary, Math.abs(mean), (high - low) / 2);
        const range = intervalInWords(primary, [low, high]);
        return `${pair(one)}: ${mean < 0 ? "lower" : "higher"} by ${size} (${range}, ${
          counted(seeds.length, "seed")
        })${marked.has(one) ? "*" : ""}${costOf(one.difference)}`;
      }),
    },
    {
      heading: `${title}: inconclusive (95 % interval contains 0, or one seed; more seeds would narrow it)`,
      items: open.map((one) => {
        const { interval } = one.figure;
        const range = interval ? intervalInWords(primary, interval) : "one seed, no interval";
        return `${pair(one)}: ${range}${costOf(one.difference)}`;
      }),
    },
  ];
  return passages.filter(({ items }) => items.length > 0);
}

/** E.g. `, at 4.6 times the arithmetic and 3.8 times the parameters`; empty if both setups cost the same. */
function costOf({ ratio: { multiplyAdds, parameters } }: Difference): string {
  const parts = ([[multiplyAdds, "arithmetic"], [parameters, "parameters"]] as const)
    .filter(([ratio]) => Math.abs(ratio - 1) >= 0.05)
    .map(([ratio, of]) => `${Number(ratio.toPrecision(2))} times the ${of}`);
  return parts.length === 0 ? "" : `, at ${parts.join(" and ")}`;
}

function heldFixed({ preset, fixed, budget, evaluation }: Plan, { setups }: Summary): string {
  const images = setups.flatMap(({ images }) => images ?? []);
  const seen = [...new Set([Math.min(...images), Math.max(...images)].map(whole))].join(" to ");
  const length = "steps" in budget ? counted(budget.steps, "step") : counted(budget.minutes, "minute");
  const samples = [
    `${whole(evaluation.count)} samples`,
    ...evaluation.solver === null ? [] : [`by ${evaluation.solver}`],
    ...evaluation.guidance === null ? [] : [`at guidance ${evaluation.guidance}`],
  ];
  const parts = [
    `preset ${preset}`,
    ...setups.some(({ settings }) => "data" in settings) ? [] : ["MNIST"],
    ...Object.entries(fixed).map(([name, value]) => settingInWords(name, value)),
    `${length} of training${images.length === 0 ? "" : ` (${seen} images)`}`,
    samples.join(" "),
  ];
  const minutes = "minutes" in budget
    ? " Minutes are those of one machine; another one trains on more or fewer images."
    : "";
  return `Held fixed: ${parts.join(", ")}.${minutes}`;
}

function counted(count: number, what: string): string {
  return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
}

const whole = (value: number) => Math.round(value).toLocaleString("en");
