import type { Dims } from "../../devices/device.ts";
import { inWays, type Way } from "../../ways.ts";
import runSumWgsl from "./workgroup_sum.wgsl" with { type: "text" };

/** Lanes of the workgroups that sum, from few values to many. */
const lanes = [64, 256] as const;

/**
 * Fields of the declaration of an op that sums: by the table one invocation each on software adapters and where
 * workgroups do not fit, else in workgroups, of which each lane should have several values.
 *
 * @param alone how one invocation each sums
 * @param shared how a workgroup of so many lanes sums
 * @param count of the values that a workgroup sums
 */
export function summingKernels(
  alone: Omit<Way, "name">,
  shared: (lanes: number) => Omit<Way, "name">,
  count: (dims: Dims) => number,
) {
  const ways = lanes.map((lanes): Way => ({ name: `workgroups ${lanes}`, ...shared(lanes) }));
  const fits = (dims: Dims) => ways[0].fits?.(dims) ?? true;
  return inWays(
    [{ name: "invocations", ...alone }, ...ways],
    (dims, { software }) => software || !fits(dims) ? 0 : count(dims) >= 2048 ? 2 : 1,
  );
}

/** WGSL of `lanes` and of `runSum`, the sum over neighbouring lanes. */
export function workgroupSumWgsl(lanes: number): string {
  return `const lanes = ${lanes}u;\n${runSumWgsl}`;
}
