import type { Plan } from "../plan.ts";
import type { Findings } from "./findings.ts";
import { settingInWords } from "./setups.ts";
import { listed } from "./words.ts";

/** What was run, how much of it is there, and for how long each network was trained. */
export function scope({ plan, summary: { setups } }: Findings): string[] {
  const planned = setups.reduce((sum, { seeds }) => sum + seeds.planned, 0);
  const finished = setups.reduce((sum, { seeds }) => sum + seeds.finished, 0);
  const all = finished === planned;
  const lacking = setups.filter(({ seeds }) => seeds.finished < seeds.planned).map(({ label, seeds }) =>
    `${label} (${seeds.finished} of ${seeds.planned})`
  );
  return [
    `Study ${plan.name}: ${counted(setups.length, "setup")} with ${
      seedsInWords(setups.map(({ seeds }) => seeds.planned))
    } each, ` +
    `trained for ${budgetInWords(plan)}; ${
      all ? `all ${planned}` : `${finished} of ${planned}`
    } runs are finished.`,
    ...all ? [] : [`What follows is preliminary, as runs are missing of ${lacking.join("; ")}.`],
  ];
}

/** Settings that change what a run shows and measures on its way, but not what it learns. */
const ofPictures: ReadonlySet<string> = new Set([
  ...[
    "samples",
    "sampleEpochs",
    "sampleSteps",
    "solver",
    "flowSamples",
    "flowSteps",
    "flowFrames",
    "pathSamples",
  ],
  ...["pacing", "valEpochs", "valBatches", "testBatches", "logEvery", "checkpointMinutes"],
]);

/** Of these, what samples are drawn by that are measured, where the evaluation names no solver. */
const ofSamples: ReadonlySet<string> = new Set(["solver", "sampleSteps"]);

/** What was the same for all, so that nothing is known beyond it. */
export function limits({ plan, summary: { setups, varied } }: Findings): string[] {
  const { count, guidance, solver } = plan.evaluation;
  const counts = (name: string) => !ofPictures.has(name) || solver === undefined && ofSamples.has(name);
  const fixed = Object.entries(plan.fixed).filter(([name]) => counts(name))
    .map(([name, value]) => settingInWords(name, value));
  const data = plan.fixed.data === undefined && !varied.includes("data") ? ["MNIST"] : [];
  const drawn = [
    `${count.toLocaleString("en")} samples`,
    ...solver === undefined ? [] : [`by ${solver}`],
    ...guidance === undefined ? [] : [`at guidance ${guidance}`],
  ];
  const images = setups.flatMap(({ images }) => images ?? []);
  const seen = images.length > 0 ? ` (${range(images)} images)` : "";
  return [
    `Not varied, so that nothing is known beyond them: the preset ${plan.preset}, ${
      listed([...data, ...fixed, `${budgetInWords(plan)} of training${seen}`, drawn.join(" ")])
    }.${
      "minutes" in plan.budget
        ? " Minutes are those of one machine: another one trains on other numbers of images."
        : ""
    }`,
  ];
}

function budgetInWords({ budget }: Plan): string {
  return "steps" in budget ? counted(budget.steps, "step") : counted(budget.minutes, "minute");
}

function seedsInWords(counts: readonly number[]): string {
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  return least === most ? counted(least, "seed") : `${least} to ${most} seeds`;
}

function range(values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)].map((value) =>
    Math.round(value).toLocaleString("en")
  );
  return least === most ? least : `${least} to ${most}`;
}

function counted(count: number, what: string): string {
  return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
}
