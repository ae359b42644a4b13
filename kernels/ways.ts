import type { Dims, Tuning, Workgroups } from "./devices/device.ts";

/** One of several ways to run an op on WebGPU. All give the same results, to rounding. */
export interface Way {
  /** Stable, since choices are kept by it; unique in its op. */
  readonly name: string;
  /** Dims to compile into its shader. */
  readonly specialise?: (dims: Dims) => Dims;
  /** Whether it can run a call and may be the best there; by default it may. */
  readonly fits?: (dims: Dims) => boolean;
  /** How often its kernel runs, or its workgroups. */
  readonly grid: (dims: Dims) => number | Workgroups;
  /** WGSL that defines `fn kernel`, from the specialised dims. */
  readonly wgsl: (specialised: Dims) => string;
}

/**
 * Fields of the declaration of an op that runs in several ways: in the one that was chosen for a call, else in that of the
 * table.
 *
 * @param table the index of the way that runs where none was chosen
 */
export function inWays(ways: readonly Way[], table: (dims: Dims, tuning: Tuning) => number) {
  const fits = (at: number, dims: Dims) => ways[at].fits?.(dims) ?? true;
  const wayOf = (dims: Dims, tuning: Tuning): number => {
    const chosen = tuning.candidate === undefined
      ? -1
      : ways.findIndex(({ name }) => name === tuning.candidate);
    return chosen >= 0 && fits(chosen, dims) ? chosen : table(dims, tuning);
  };
  const gridOf = (dims: Dims, tuning: Tuning) => ways[wayOf(dims, tuning)].grid(dims);
  return {
    candidates(dims: Dims, tuning: Tuning): readonly string[] {
      const first = table(dims, tuning);
      const others = [...ways.keys()].filter((at) => at !== first && fits(at, dims));
      return [first, ...others].map((at) => ways[at].name);
    },
    specialise(dims: Dims, tuning: Tuning): Dims {
      const way = wayOf(dims, tuning);
      return { ...ways[way].specialise?.(dims), way };
    },
    invocations(dims: Dims, tuning: Tuning): number {
      const grid = gridOf(dims, tuning);
      return typeof grid === "number" ? grid : grid.count * grid.lanes;
    },
    workgroups(dims: Dims, tuning: Tuning): Workgroups | undefined {
      const grid = gridOf(dims, tuning);
      return typeof grid === "number" ? undefined : grid;
    },
    wgsl: (_: Tuning, specialised: Dims): string => ways[specialised.way].wgsl(specialised),
  };
}
