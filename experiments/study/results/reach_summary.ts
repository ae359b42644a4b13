import type { LevelReach, Reach } from "./time_reach.ts";

/** Where the time embedding of a setup has an effect: means over its measured runs. */
export interface ReachSummary {
  readonly label: string;
  /** Runs that were measured. */
  readonly runs: number;
  readonly levels: readonly LevelReach[];
  /** As in {@linkcode Reach}. */
  readonly time: number;
  readonly attention?: Reach["attention"];
}

/** Means over the runs of a setup; undefined without one. */
export function reachSummary(label: string, runs: readonly Reach[]): ReachSummary | undefined {
  if (runs.length === 0) return undefined;
  const mean = (of: (run: Reach) => number) => runs.reduce((sum, run) => sum + of(run), 0) / runs.length;
  const [first] = runs;
  return {
    label,
    runs: runs.length,
    levels: first.levels.map((level, i) => ({
      ...level,
      passes: mean(({ levels }) => levels[i].passes),
      image: mean(({ levels }) => levels[i].image),
      output: mean(({ levels }) => levels[i].output),
    })),
    time: mean(({ time }) => time),
    ...first.attention && {
      attention: {
        image: mean(({ attention }) => attention!.image),
        output: mean(({ attention }) => attention!.output),
      },
    },
  };
}
