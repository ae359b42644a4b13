import type { CellSettings, Value } from "../plan.ts";
import type { StudyRecord } from "../record.ts";
import type { Cell } from "../study.ts";

/** What the setup is called in which nothing differs. */
export const unvaried = "the preset";

/** One setting up of a network, with the runs of all its seeds. */
export interface Setup {
  /** What tells it from the others, e.g. `residual, no attn`. */
  readonly label: string;
  /** What the plan lets differ, as it asks for it. */
  readonly asked: CellSettings;
  /** All that the plan names, complete. */
  readonly settings: CellSettings;
  readonly parameters: number;
  /** Of one forward pass of one image. */
  readonly multiplyAdds: number;
  /** All of them, in the order of the study. */
  readonly cells: readonly Cell[];
  /** Of the finished ones. */
  readonly records: readonly StudyRecord[];
}

/** The setups of a study in its order: cells that differ in nothing but the seed are one. */
export function setupsOf(cells: readonly Cell[], records: readonly StudyRecord[]): Setup[] {
  const recordOf = new Map(records.map((record) => [record.cell, record]));
  const groups = Map.groupBy(cells, ({ settings }) => keyOf(settings));
  const varied = variedSettings(cells.map(({ asked }) => asked));
  const labels = new Map<string, number>();
  return [...groups.values()].map((cells) => {
    const [{ asked, settings, parameters, multiplyAdds }] = cells;
    const label = labelOf(asked, varied);
    const count = (labels.get(label) ?? 0) + 1;
    labels.set(label, count);
    return {
      label: count === 1 ? label : `${label} (${count})`, // where a damaged study has one more
      ...{ asked, settings, parameters, multiplyAdds, cells },
      records: cells.flatMap(({ id }) => recordOf.get(id) ?? []),
    };
  });
}

/** The seed with most finished runs; of several the first. */
export function sharedSeed(setups: readonly Setup[]): number | undefined {
  const runs = Map.groupBy(setups.flatMap(({ records }) => records), ({ seed }) => seed);
  const [best] = [...runs].toSorted(([a, x], [b, y]) => y.length - x.length || a - b);
  return best?.[0];
}

/** The names of settings that are not the same for all, in the order in which they appear. */
export function variedSettings(all: readonly CellSettings[]): string[] {
  const names = new Set(all.flatMap((settings) => Object.keys(settings)));
  return [...names].filter((name) => new Set(all.map((settings) => settings[name])).size > 1);
}

/** A setting in words, e.g. `no attn`, `[16,32,64]` or `batchSize 32`. */
export function settingInWords(name: string, value: Value): string {
  if (name === "match") return `equal ${value}`;
  if (name === "filters") return `[${value}]`;
  if (typeof value === "boolean") return value ? name : `no ${name}`;
  return typeof value === "number" ? `${name} ${value}` : value;
}

function labelOf(asked: CellSettings, varied: readonly string[]): string {
  const words = varied.flatMap((name) => name in asked ? [settingInWords(name, asked[name])] : []);
  return words.length > 0 ? words.join(", ") : unvaried;
}

/** A text for settings, the same in whatever order they are. */
export function keyOf(settings: CellSettings): string {
  return JSON.stringify(Object.entries(settings).toSorted(([a], [b]) => a < b ? -1 : 1));
}
