import process from "node:process";

/** Main memory, in bytes. */
export interface MainMemory {
  readonly total: number;
  readonly available: number;
  /** What a control group, as of a container or a job, allows this process; infinite without a limit. */
  readonly limit: number;
}

/**
 * Main memory of this machine, and the limit that Deno sees.
 *
 * @throws {Deno.errors.NotCapable} without `--allow-sys=systemMemoryInfo`
 */
export function mainMemory(): MainMemory {
  const { total, available } = Deno.systemMemoryInfo();
  const limit = process.constrainedMemory(); // 0, or more than there is, without one
  return { total, available, limit: limit > 0 && limit < total ? limit : Infinity };
}

/**
 * Memory that this process can still take.
 *
 * @param used what it has taken, bytes
 */
export function freeMainMemory({ available, limit }: MainMemory, used: number): number {
  return Math.max(0, Math.min(available, limit - used));
}
