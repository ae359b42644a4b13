import { ConfigError } from "../settings/setting.ts";
import { plainValue, settingOf } from "./cell_settings.ts";
import type { CellSettings, Plan, Value } from "./plan.ts";

/** The combinations of settings that a plan asks for: all of its grid, then its cells. @throws {ConfigError} if none */
export function combinations({ grid, cells, name }: Pick<Plan, "grid" | "cells" | "name">): CellSettings[] {
  const axes = Object.entries(grid);
  const empty = axes.find(([, values]) => values.length === 0);
  if (empty) {
    throw new ConfigError(
      `Cannot use the grid of ${name}: ${empty[0]} has no values (expected at least one)`,
    );
  }
  const product = axes.reduce<CellSettings[]>(
    (all, [setting, values]) => all.flatMap((one) => values.map((value) => ({ ...one, [setting]: value }))),
    [{}],
  );
  const all = [...axes.length > 0 ? product : [], ...cells];
  if (all.length > 0) return all;
  throw new ConfigError(
    `Cannot run the plan ${name}: it has neither a grid nor cells (expected one of them)`,
  );
}

/**
 * Settings as a plan holds them: each checked and in its plain form, so that `64` and `"64"` are the same.
 *
 * @param where for errors
 * @throws {ConfigError} if one is unknown, or does not accept its value
 */
export function plainSettings(settings: Readonly<Record<string, Value>>, where: string): CellSettings {
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [name, plainValue(settingOf(name, value, where))]),
  );
}
