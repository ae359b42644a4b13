import { type FigureMeaning, figureMeanings, type FigureName } from "../../evaluation/figures.ts";
import type { ReachSummary } from "./reach_summary.ts";
import type { Summary } from "./summary.ts";
import { meanInWords, percent } from "./words.ts";

/** A table of text. */
export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Figures that stand in the table of setups, where they were measured; `table.csv` has all. */
const most: readonly FigureName[] = [
  "frechet",
  "confident",
  "asked_class",
  "coverage",
  "test_loss",
  "bits_per_dimension",
];

/** All tables of a study that have a row. */
export function tablesOf(summary: Summary, reach: readonly ReachSummary[]): Table[] {
  const tables = [setupTable(summary), differenceTable(summary), solverTable(summary), reachTable(reach)];
  return tables.filter(({ rows }) => rows.length > 0);
}

function setupTable({ setups }: Summary): Table {
  const names = most.filter((name) => setups.some(({ figures }) => figures[name]));
  const costs = ["parameters", "multiply-adds", "images", "seconds", "seeds"];
  return {
    title: "Setups: mean over seeds (95 % interval)",
    head: ["setup", ...names.map(titleOf), ...costs],
    rows: setups.map(({ label, figures, parameters, multiplyAdds, images, seconds, seeds }) => [
      label,
      ...names.map((name) => meanInWords(name, figures[name])),
      whole(parameters),
      millions(multiplyAdds),
      images === undefined ? "" : whole(images),
      seconds === undefined ? "" : seconds.mean.toFixed(1),
      seeds.finished === seeds.planned ? `${seeds.planned}` : `${seeds.finished} of ${seeds.planned}`,
    ]),
  };
}

function differenceTable({ differences }: Summary): Table {
  const names = most.filter((name) => differences.some(({ figures }) => figures[name]));
  const ratio = (value: number | undefined) => value === undefined ? "" : value.toFixed(2);
  return {
    title: "Differences between setups that differ in one choice (paired 95 % interval)",
    head: ["difference", ...names.map(titleOf), "× parameters", "× multiply-adds", "× seconds"],
    rows: differences.filter(({ figures }) => names.some((name) => figures[name])).map((
      { a, b, figures, ratio: of },
    ) => [
      `${a} − ${b}`,
      ...names.map((name) => meanInWords(name, figures[name])),
      ...[of.parameters, of.multiplyAdds, of.seconds].map(ratio),
    ]),
  };
}

function solverTable({ setups }: Summary): Table {
  const solvers = new Map(
    setups.flatMap(({ costs }) => costs).toSorted((a, b) => a.evaluations - b.evaluations)
      .map(({ solver, evaluations }) => [solver, evaluations]),
  );
  const head = (solver: string) => `${Number(solvers.get(solver)!.toFixed(1))} (${solver})`;
  const measured = setups.filter(({ costs }) => costs.length > 0);
  const cell = (costs: Summary["setups"][number]["costs"], solver: string) =>
    meanInWords("frechet", costs.find((cost) => cost.solver === solver)?.frechet);
  // One setup has a row a solver, many have a column each.
  const title = "Fréchet distance by evaluations of the network (solver): mean over seeds (95 % interval)";
  if (measured.length === 1) {
    const [{ label, costs }] = measured;
    return {
      title,
      head: ["evaluations", label, titleOf("confident")],
      rows: costs.map(({ solver, frechet, recognised }) => [
        head(solver),
        meanInWords("frechet", frechet),
        meanInWords("confident", recognised),
      ]),
    };
  }
  return {
    title,
    head: ["setup", ...[...solvers.keys()].map(head)],
    rows: measured.map(({ label, costs }) => [label, ...[...solvers.keys()].map((s) => cell(costs, s))]),
  };
}

function reachTable(reach: readonly ReachSummary[]): Table {
  return {
    title: "With the embedding of another time at one level: change of its image and of the output",
    head: ["level", "channels", "channels a group", "shift let through", "its image", "output"],
    rows: reach.flatMap(({ label, levels, time, attention }) => [
      ...levels.map(({ level, channels, perGroup, passes, image, output }) => [
        `${label}: ${level}`,
        `${channels}`,
        perGroup === undefined ? "no normalisation" : `${perGroup}`,
        percent(passes),
        percent(image),
        percent(output),
      ]),
      [`${label}: all levels`, "", "", "", "", percent(time)],
      ...attention
        ? [[`${label}: without attention`, "", "", "", percent(attention.image), percent(attention.output)]]
        : [],
    ]),
  };
}

function titleOf(name: FigureName): string {
  const { title }: FigureMeaning = figureMeanings[name];
  return title;
}

const whole = (value: number) => Math.round(value).toLocaleString("en");
const millions = (value: number) => `${Number((value / 1e6).toPrecision(3))} M`;
