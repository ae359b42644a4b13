import type { Dims } from "../../devices/device.ts";
import { inWays, type Way } from "../../ways.ts";

/**
 * Sums over runs of `length` neighbouring lanes, a power of two: every lane gets the sum of its run. All lanes of the
 * workgroup call it together.
 */
const runSumWgsl = `var<workgroup> parts: array<vec2f, lanes>;
fn runSum(lane: u32, length: u32, value: vec2f) -> vec2f {
  parts[lane] = value;
  workgroupBarrier();
  for (var reach = length / 2u; reach > 0u; reach /= 2u) {
    if (lane % length < reach) { parts[lane] += parts[lane + reach]; }
    workgroupBarrier();
  }
  let total = parts[lane - lane % length];
  workgroupBarrier();
  return total;
}`;

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
