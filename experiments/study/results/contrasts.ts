import type { CellSettings } from "../plan.ts";
import { type Setup, variedSettings } from "./setups.ts";

/** Two setups that differ in one choice, so that a difference between them says what this choice does. */
export interface Contrast {
  /** The setting that they differ in. */
  readonly setting: string;
  /** The later one of the study. */
  readonly a: Setup;
  /** The one that it is compared with. */
  readonly b: Setup;
}

/** What a matched network's widths follow from, so that they are no choice of their own. */
const found: ReadonlySet<string> = new Set(["match", "filters"]);

/** Settings along which quality grows, with what grows: of these, a setup is compared with the next one only. */
const grows: ReadonlyMap<string, (setup: Setup) => number> = new Map([
  ["filters", ({ parameters }: Setup) => parameters],
  ["share", ({ settings }: Setup) => Number(settings.share)],
]);

/**
 * All pairs of setups that differ in one choice; of widths and shares of the budget neighbours alone. A network whose
 * widths were found so that it matches another one is compared with that one, whose widths were given, and with those of
 * its own kind that were matched in the same way.
 */
export function contrastsOf(setups: readonly Setup[]): Contrast[] {
  const asked = new Set(setups.flatMap(({ asked }) => Object.keys(asked)));
  const between = (a: Setup, b: Setup) => onlyDifference(a.settings, b.settings, asked);
  const all = setups.flatMap((a, i) =>
    setups.slice(0, i).flatMap((b) => {
      const setting = between(a, b);
      return setting === undefined ? [] : [{ setting, a, b }];
    })
  );
  return all.filter(({ setting, a, b }) => {
    const others = setups.filter((other) => between(other, a) === setting);
    return !skipsOne(setting, [a, b], others);
  });
}

/** Whether one of the others lies between two setups. */
function skipsOne(setting: string, pair: readonly Setup[], others: readonly Setup[]): boolean {
  const size = grows.get(setting);
  if (!size) return false;
  const [low, high] = pair.map(size).toSorted((x, y) => x - y);
  return others.some((other) => size(other) > low && size(other) < high);
}

/** The one choice that two setups differ in; a setting that the plan never asks for follows from those that it does. */
function onlyDifference(a: CellSettings, b: CellSettings, asked: ReadonlySet<string>): string | undefined {
  const matched = isMatched(a) || isMatched(b);
  const choices = variedSettings([a, b]).filter((name) => asked.has(name) && !(matched && found.has(name)));
  if (choices.length !== 1) return undefined;
  const [choice] = choices;
  if (!matched) return choice;
  const fits = choice === "model" ? !isMatched(a) || !isMatched(b) : a.match === b.match;
  return fits ? choice : undefined;
}

function isMatched({ match = "none" }: CellSettings): boolean {
  return match !== "none";
}
