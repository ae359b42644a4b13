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

/**
 * All pairs of setups that differ in one choice. A network whose widths were found so that it matches another one is
 * compared with that one, whose widths were given, and with those of its own kind that were matched in the same way.
 */
export function contrastsOf(setups: readonly Setup[]): Contrast[] {
  return setups.flatMap((a, i) =>
    setups.slice(0, i).flatMap((b) => {
      const setting = onlyDifference(a.settings, b.settings);
      return setting === undefined ? [] : [{ setting, a, b }];
    })
  );
}

function onlyDifference(a: CellSettings, b: CellSettings): string | undefined {
  const matched = isMatched(a) || isMatched(b);
  const choices = variedSettings([a, b]).filter((name) => !matched || !found.has(name));
  if (choices.length !== 1) return undefined;
  const [choice] = choices;
  if (!matched) return choice;
  const fits = choice === "model" ? !isMatched(a) || !isMatched(b) : a.match === b.match;
  return fits ? choice : undefined;
}

function isMatched({ match = "none" }: CellSettings): boolean {
  return match !== "none";
}
