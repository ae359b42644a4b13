import type { Dims } from "../../devices/device.ts";
import { type KernelVariant, withVariants } from "../../kernel_variants.ts";

/**
 * Sums over runs of `length` neighbouring lanes, a power of two. Every lane gets the sum of its run. All lanes of the
 * workgroup must call it together.
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

/** Numbers of lanes for workgroups that sum, for few values and for many. */
const lanes = [64, 256] as const;

/**
 * Declaration fields of an op that sums. By default it uses one invocation per sum on software adapters and if
 * workgroups do not fit, else workgroups whose lanes should have several values each.
 *
 * @param alone how a single invocation sums
 * @param shared how a workgroup with this number of lanes sums
 * @param count number of values that a workgroup sums
 */
export function summingKernels(
  alone: Omit<KernelVariant, "name">,
  shared: (lanes: number) => Omit<KernelVariant, "name">,
  count: (dims: Dims) => number,
) {
  const variants = lanes.map((lanes): KernelVariant => ({ name: `workgroups ${lanes}`, ...shared(lanes) }));
  const fits = (dims: Dims) => variants[0].fits?.(dims) ?? true;
  return withVariants(
    [{ name: "invocations", ...alone }, ...variants],
    (dims, { software }) => software || !fits(dims) ? 0 : count(dims) >= 2048 ? 2 : 1,
  );
}

/** WGSL of `lanes` and of `runSum`, the sum over neighbouring lanes. */
export function workgroupSumWgsl(lanes: number): string {
  return `const lanes = ${lanes}u;\n${runSumWgsl}`;
}

/**
 * Declaration fields of an op that sums a term over runs of at most `chunk` elements to y: by workgroups on GPUs, except
 * for short runs and those that `fits` excludes, else by invocations in parts of 32, which keeps f32 sums accurate.
 *
 * @param begin WGSL that declares `count`, the length of run i, and what `term` needs
 * @param term WGSL of element r of the run
 * @param runs number of runs
 */
export function runSumKernels(
  { begin, term, runs, fits = () => true }: {
    begin: string;
    term: string;
    runs: (dims: Dims) => number;
    fits?: (dims: Dims) => boolean;
  },
) {
  const alone = {
    grid: runs,
    wgsl: () =>
      `fn kernel(i: u32) {
${begin}
  var total = 0.0;
  for (var start = 0u; start < count; start += 32u) {
    var part = 0.0;
    for (var r = start; r < min(start + 32u, count); r++) { part += ${term}; }
    total += part;
  }
  y[i] = total;
}`,
  };
  const shared = (lanes: number) => ({
    fits: (dims: Dims) => dims.chunk >= 64 && fits(dims),
    grid: (dims: Dims) => ({ count: runs(dims), lanes }),
    wgsl: () =>
      `${workgroupSumWgsl(lanes)}
fn kernel(i: u32, lane: u32) {
${begin}
  var part = 0.0;
  for (var r = lane; r < count; r += lanes) { part += ${term}; }
  let total = runSum(lane, lanes, vec2f(part, 0.0)).x;
  if (lane == 0u) { y[i] = total; }
}`,
  });
  return summingKernels(alone, shared, ({ chunk }) => chunk);
}
