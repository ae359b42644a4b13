import { type JudgeName, judgeNames } from "../../models/mod.ts";
import { type FieldCheck, ifGiven } from "../run/field_checks.ts";
import { figureKey, type FigureMeaning, type Measurement, measurements } from "./measurements.ts";

type NamesOf<Row> = Row extends Measurement<infer Name> ? Name : never;

/** Name of a figure in files, trackers and tables. */
export type FigureName = NamesOf<typeof measurements[number]>;

export { figureKey };

/** The names of all figures, in display order. */
export const figureNames = measurements.flatMap(({ figures }) => Object.keys(figures) as FigureName[]);

export type FigureKey = FigureName | `${JudgeName}/${FigureName}`;

export type ByFigure<Value> = Readonly<Partial<Record<FigureKey, Value>>>;

/** A figure with its meaning, and its judge if it depends on one. */
export interface Figured extends FigureMeaning {
  readonly name: FigureName;
  readonly judge?: JudgeName;
}

/** All figures in display order by key; those of the judges are side by side. */
export const figuresByKey: ReadonlyMap<FigureKey, Figured> = new Map(
  (measurements as readonly Measurement[]).flatMap(({ figures, judged }) =>
    Object.entries(figures).flatMap(([key, meaning]): [FigureKey, Figured][] => {
      const name = key as FigureName;
      if (!judged) return [[name, { name, ...meaning }]];
      return judgeNames.map((judge) => [figureKey(name, judge), { name, judge, ...meaning }]);
    })
  ),
);

/** All keys of figures, in display order. */
export const figureKeys: readonly FigureKey[] = [...figuresByKey.keys()];

/** The keys of these figures, for each judge. */
export function keysOf(names: readonly FigureName[]): FigureKey[] {
  return names.flatMap((name) => figureKeys.filter((key) => figuresByKey.get(key)!.name === name));
}

/** Optional fields of a file for these figures. */
export function figureFields<Value>(names: readonly FigureName[], check: FieldCheck<Value>) {
  const fields = Object.fromEntries(keysOf(names).map((key) => [key, ifGiven(check)]));
  return fields as Readonly<Record<FigureKey, FieldCheck<Value | undefined>>>;
}

/** The values of figures with intervals. @param keys of the figures to keep, by default all */
export function valuesOf(
  figures: ByFigure<{ readonly value: number } | undefined>,
  keys: readonly FigureKey[] = figureKeys,
): ByFigure<number> {
  return Object.fromEntries(keys.flatMap((key) => figures[key] ? [[key, figures[key].value]] : []));
}

export const meaningOf = (key: FigureKey): Figured => figuresByKey.get(key)!;

/** Title of a figure, with its judge if it has one: `Fréchet distance (vgg)`. */
export function titleOf(key: FigureKey): string {
  const { title, judge } = meaningOf(key);
  return title + (judge ? ` (${judge})` : "");
}

/** A figure as text: four significant digits, shares in per cent. */
export function shownFigure(key: FigureKey, value: number): string {
  return meaningOf(key).share ? `${(100 * value).toFixed(1)} %` : String(Number(value.toPrecision(4)));
}

/** Name of a figure's metric in a tracker, e.g. `eval/frechet` or `eval/vgg/frechet`. */
export const metricOf = (key: FigureKey): string => `eval/${key}`;
