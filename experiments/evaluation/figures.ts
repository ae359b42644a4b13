import { type JudgeName, judgeNames } from "../../models/mod.ts";
import { type FieldCheck, ifGiven } from "../run/field_checks.ts";
import { figureKey, type FigureMeaning, measurements } from "./measurements.ts";

/** Values by the keys of figures, see {@linkcode figureKey}. */
export type ByFigure<Value> = Readonly<Partial<Record<string, Value>>>;

/** A figure with its meaning, and its judge if it depends on one. */
interface Figure extends FigureMeaning {
  readonly name: string;
  readonly judge?: JudgeName;
}

/** All figures by key, in display order; those of the judges are side by side. */
export const figuresByKey: ReadonlyMap<string, Figure> = new Map(
  measurements.flatMap(({ figures, judged }) =>
    Object.entries(figures).flatMap(([name, meaning]) =>
      (judged ? judgeNames : [undefined]).map((judge): [string, Figure] => [
        figureKey(name, judge),
        { name, judge, ...meaning },
      ])
    )
  ),
);

/** All keys of figures, in display order. */
export const figureKeys: readonly string[] = [...figuresByKey.keys()];

/** The names of all figures, in display order. */
export const figureNames: readonly string[] = measurements.flatMap(({ figures }) => Object.keys(figures));

/** The keys of these figures, for each judge. */
export function keysOf(names: readonly string[]): string[] {
  return names.flatMap((name) => figureKeys.filter((key) => meaningOf(key).name === name));
}

/** Optional fields of a file for these figures. */
export function figureFields<Value>(names: readonly string[], check: FieldCheck<Value>) {
  return Object.fromEntries(keysOf(names).map((key) => [key, ifGiven(check)]));
}

/** The values of figures with intervals. */
export function valuesOf(figures: ByFigure<{ readonly value: number } | undefined>): Record<string, number> {
  return Object.fromEntries(figureKeys.flatMap((key) => figures[key] ? [[key, figures[key].value]] : []));
}

export const meaningOf = (key: string): Figure => figuresByKey.get(key)!;

/** Title of a figure, with its judge if it has one: `Fréchet distance (vgg)`. */
export function titleOf(key: string): string {
  const { title, judge } = meaningOf(key);
  return title + (judge ? ` (${judge})` : "");
}

/** A figure as text: four significant digits, shares in per cent. */
export function shownFigure(key: string, value: number): string {
  return meaningOf(key).share ? `${(100 * value).toFixed(1)} %` : String(Number(value.toPrecision(4)));
}

/** Name of a figure's metric in a tracker, e.g. `eval/frechet` or `eval/vgg/frechet`. */
export const metricOf = (key: string): string => `eval/${key}`;
