import runSumWgsl from "./workgroup_sum.wgsl" with { type: "text" };

/** Lanes of a workgroup that sums `count` values: a power of two, with several values each. */
export function summingLanes(count: number): number {
  return count >= 2048 ? 256 : 64;
}

/** WGSL of `lanes` and of `runSum`, the sum over neighbouring lanes. */
export function workgroupSumWgsl(lanes: number): string {
  return `const lanes = ${lanes}u;\n${runSumWgsl}`;
}
