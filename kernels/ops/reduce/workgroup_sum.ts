import type { Dims } from "../../devices/device.ts";
import { type KernelVariant, withVariants } from "../../kernel_variants.ts";
import { repeatLines } from "../matmul/product.ts";

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
 * Declaration fields of an op that sums. By default it uses one invocation per sum on software adapters, else workgroups
 * whose lanes should have several values each.
 *
 * @param single how a single invocation sums
 * @param shared how a workgroup with this number of lanes sums
 * @param count number of values that a workgroup sums
 */
export function summingKernels(
  single: Omit<KernelVariant, "name">,
  shared: (lanes: number) => Omit<KernelVariant, "name">,
  count: (dims: Dims) => number,
) {
  const variants = lanes.map((lanes): KernelVariant => ({ name: `workgroups ${lanes}`, ...shared(lanes) }));
  return withVariants(
    [{ name: "invocations", ...single }, ...variants],
    (dims, { software }) => software ? 0 : count(dims) >= 2048 ? 2 : 1,
  );
}

/** WGSL of `lanes` and of `runSum`, the sum over neighbouring lanes. */
export function workgroupSumWgsl(lanes: number): string {
  return `const lanes = ${lanes}u;\n${runSumWgsl}`;
}

/** Lanes that share a run: enough for four loads at a time, four times over, or once if there are few runs. */
function lanesPerRun(chunk: number, runs: number, most: number): number {
  let width = 1;
  while (width < most && (16 * width < chunk || (4 * width < chunk && runs * width < 1 << 14))) width *= 2;
  return width;
}

/**
 * Declaration fields of an op that sums a term over runs of at most `chunk` elements to y: by workgroups on GPUs, else by
 * invocations in parts of 32, which keeps f32 sums accurate.
 *
 * @param begin WGSL that declares `count`, the length of run i, and what `term` needs
 * @param term WGSL of element r of the run
 * @param lengths names of the dims whose product is the number of runs
 * @param stored WGSL statement that stores the sum of run i
 * @param interleaved whether neighbouring runs, not the elements of a run, are neighbours in memory
 */
export function runSumKernels(
  { begin, term, lengths, stored = (sum) => `y[i] = ${sum};`, interleaved = () => false }: {
    begin: string;
    term: string;
    lengths: readonly string[];
    stored?: (sum: string) => string;
    interleaved?: (dims: Dims) => boolean;
  },
) {
  const runs = (dims: Dims) => lengths.reduce((count, name) => count * dims[name], 1);
  const single = {
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
  ${stored("total")}
}`,
  };
  const shared = (lanes: number) => {
    const shapeOf = (dims: Dims) => {
      const across = interleaved(dims) ? 1 : 0; // then 16 runs side by side fill two sectors of memory
      return { across, width: lanesPerRun(dims.chunk, runs(dims), across ? lanes / 16 : lanes) };
    };
    return {
      specialise: shapeOf,
      grid: (dims: Dims) => ({ count: Math.ceil(runs(dims) * shapeOf(dims).width / lanes), lanes }),
      wgsl: ({ across, width }: Dims) =>
        `var<workgroup> parts: array<f32, ${lanes}>;
fn kernel(group: u32, lane: u32) {
  let run = ${across ? `lane % ${lanes / width}u` : `lane / ${width}u`};
  let part = ${across ? `lane / ${lanes / width}u` : `lane % ${width}u`};
  let i = group * ${lanes / width}u + run;
${begin}
  var sums = vec4f();
  for (var r0 = part; r0 < count; r0 += ${4 * width}u) {
${
          repeatLines(4, (j) =>
            `    var t${j} = 0.0;
    { let r = r0 + ${j * width}u; t${j} = select(0.0, ${term}, r < count); }`)
        }
    sums += vec4f(t0, t1, t2, t3);
  }
  let at = run * ${width}u + part;
  parts[at] = (sums.x + sums.y) + (sums.z + sums.w);
${
          repeatLines(Math.log2(width), (step) =>
            `  workgroupBarrier();
  if (part < ${width >> (step + 1)}u) { parts[at] += parts[at + ${width >> (step + 1)}u]; }`)
        }
  if (part == 0u && i < ${lengths.map((name) => `dims.${name}`).join(" * ")}) { ${stored("parts[at]")} }
}`,
    };
  };
  return summingKernels(single, shared, () => Infinity);
}
