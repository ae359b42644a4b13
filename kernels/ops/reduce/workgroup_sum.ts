import type { Dims } from "../../devices/device.ts";
import type { Way } from "../../ways.ts";
import runSumWgsl from "./workgroup_sum.wgsl" with { type: "text" };

/** Lanes of the workgroups that sum, from few values to many. */
const lanes = [64, 256] as const;

/**
 * The ways to sum in workgroups, and which of them is the table's: each lane should have several values.
 *
 * @param count of the values that a workgroup sums
 */
export function summingWays(
  count: (dims: Dims) => number,
  way: (lanes: number) => Omit<Way, "name">,
): { ways: Way[]; table: (dims: Dims) => number } {
  return {
    ways: lanes.map((lanes) => ({ name: `workgroups ${lanes}`, ...way(lanes) })),
    table: (dims) => count(dims) >= 2048 ? 1 : 0,
  };
}

/** WGSL of `lanes` and of `runSum`, the sum over neighbouring lanes. */
export function workgroupSumWgsl(lanes: number): string {
  return `const lanes = ${lanes}u;\n${runSumWgsl}`;
}
