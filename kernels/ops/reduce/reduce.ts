import { checkList } from "../../core/checks.ts";
import { axisOf, type Shape, sizeOf } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import type { Dims, Tuning } from "../../devices/device.ts";
import { reshape, slice, zeros } from "../layout.ts";
import { defineOp, type Op } from "../../op.ts";
import { affine, noShift } from "../elementwise/shared.ts";
import { type KernelVariant, withVariants } from "../../op_definition.ts";
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

/** Runs up to this length are always reduced by one invocation each. */
const shortRun = 128;
/** If there are enough runs to keep the device busy, runs up to this length are, too. */
const longRun = 2048;
const enoughRuns = ({ software }: Tuning) => software ? 256 : 4096;

/** Length of the parts into which to cut `count` runs of R elements; one invocation reduces each part. */
export function runLength(R: number, count: number, tuning: Tuning): number {
  const inOne = R <= shortRun || (R <= longRun && count >= enoughRuns(tuning));
  return inOne ? Math.max(1, R) : Math.min(Math.max(Math.ceil(Math.sqrt(R)), 32), 1024);
}

/**
 * Reduces over axes: neighbouring axes together, the last ones first.
 *
 * @param op name for errors
 * @param reduce reduces the middle axis of f32[A, R, B] to length 1
 * @param axes all by default; negative ones count from the end
 * @param keepAxes whether reduced axes stay, with length 1
 */
export function overAxes(
  op: string,
  reduce: (x: Tensor) => Tensor,
  x: Tensor,
  axes: readonly number[] = x.shape.map((_, axis) => axis),
  keepAxes: boolean,
): Tensor {
  checkList(`run ${op}`, "axes are", axes, "axes, such as [0, 1]");
  const reduced = new Set(axes.map((axis) => axisOf(axis, x.shape.length, op)));
  const kept = x.shape.map((length, axis) => reduced.has(axis) ? 1 : length);
  let y = x;
  for (let end = x.shape.length; end > 0; end--) {
    if (!reduced.has(end - 1)) continue;
    let start = end - 1;
    while (start > 0 && reduced.has(start - 1)) start--;
    const before = sizeOf(x.shape.slice(0, start));
    const along = sizeOf(x.shape.slice(start, end));
    const after = sizeOf(kept.slice(end));
    if (along !== 1) y = reduce(reshape(y, [before, along, after]));
    end = start;
  }
  return reshape(y, keepAxes ? kept : x.shape.filter((_, axis) => !reduced.has(axis)));
}

/** Sums runs of `chunk` along the middle axis. */
export const sumChunks: Op<"x[A, R, B] -> y[A, S, B]", { chunk: "u32" }> = defineOp({
  name: "sumChunks",
  signature: "x[A, R, B] -> y[A, S, B]",
  attributes: { chunk: "u32" },
  derive: ({ R, chunk }) => ({ S: Math.max(1, Math.ceil(R / chunk)) }),
  ...runSumKernels({
    begin: `  let first = i / dims.B % dims.S * dims.chunk;
  let count = min(dims.chunk, dims.R - first);
  let base = (i / (dims.B * dims.S) * dims.R + first) * dims.B + i % dims.B;`,
    term: "x[base + r * dims.B]",
    lengths: ["A", "S", "B"],
    interleaved: ({ B }) => B > 1,
  }),
  empty: zeros,
  backward: ({ x, dy }, { chunk }) => ({ x: () => spreadChunks(dy, { chunk, R: x.shape[1] }) }),
  reference({ x, y }, { A, R, B, S, chunk }) {
    for (let a = 0; a < A; a++) {
      for (let s = 0; s < S; s++) {
        for (let b = 0; b < B; b++) {
          let total = 0;
          for (let r = s * chunk; r < Math.min(R, (s + 1) * chunk); r++) total += x[(a * R + r) * B + b];
          y[(a * S + s) * B + b] = total;
        }
      }
    }
  },
  wasm: "sumChunks",
  samples: [
    { shapes: { x: [2, 7, 3] }, attributes: { chunk: 7 } },
    { shapes: { x: [3, 10, 1] }, attributes: { chunk: 4 } },
    { shapes: { x: [2, 70, 1] }, attributes: { chunk: 66 } },
    { shapes: { x: [2, 150, 3] }, attributes: { chunk: 140 } },
    { shapes: { x: [1, 5000, 1] }, attributes: { chunk: 2400 } },
    { shapes: { x: [1, 1, 1] }, attributes: { chunk: 1 } },
  ],
});

/** Gradient of `sumChunks`: each element of a run gets the run's gradient. */
export const spreadChunks: Op<"dy[A, S, B] -> dx[A, R, B]", { chunk: "u32"; R: "u32" }> = defineOp({
  name: "spreadChunks",
  signature: "dy[A, S, B] -> dx[A, R, B]",
  attributes: { chunk: "u32", R: "u32" },
  wgsl: `fn kernel(i: u32) {
  let b = i % dims.B;
  let r = i / dims.B % dims.R;
  let a = i / (dims.B * dims.R);
  dx[i] = dy[(a * dims.S + r / dims.chunk) * dims.B + b];
}`,
  backward: ({ ddx }, { chunk }) => ({ dy: () => sumChunks(ddx, { chunk }) }),
  reference({ dy, dx }, { A, R, B, S, chunk }) {
    for (let a = 0; a < A; a++) {
      for (let r = 0; r < R; r++) {
        for (let b = 0; b < B; b++) dx[(a * R + r) * B + b] = dy[(a * S + Math.floor(r / chunk)) * B + b];
      }
    }
  },
  wasm: "spreadChunks",
  samples: [{ shapes: { dy: [2, 3, 2] }, attributes: { chunk: 4, R: 10 } }],
});

/** Sums both matrices of x over their rows, in one dispatch. */
const sumPairOp = defineOp({
  name: "sumPair",
  signature: "x[2, N, C] -> y[C], z[C]",
  derive: ({ N }) => ({ pair: 2, chunk: N }),
  ...runSumKernels({
    begin: `  let count = dims.N;
  let base = i / dims.C * dims.N * dims.C + i % dims.C;`,
    term: "x[base + r * dims.C]",
    lengths: ["pair", "C"],
    stored: (sum) => `if (i < dims.C) { y[i] = ${sum}; } else { z[i - dims.C] = ${sum}; }`,
    interleaved: () => true,
  }),
  empty: zeros,
  composite: ({ x }) => [0, 1].map((at) => sum(slice(x, 0, at, 1), [0, 1])),
  reference({ x, y, z }, { N, C }) {
    for (let c = 0; c < C; c++) {
      y[c] = z[c] = 0;
      for (let n = 0; n < N; n++) {
        y[c] += x[n * C + c];
        z[c] += x[(N + n) * C + c];
      }
    }
  },
  wasm: ({ x, y, z }, { N, C }) =>
    [[x, y], [x + 4 * N * C, z]].map(([x, y]) => ({
      kernel: "sumChunks",
      args: { x, y, A: 1, R: N, B: C, S: 1, chunk: N },
    })),
  samples: [{ shapes: { x: [2, 150, 3] } }, { shapes: { x: [2, 1, 1] } }],
});

/** The sums of x[2, N, C] over N, as two tensors; for sums of other lengths, see `sum`. */
export function sumPair(x: Tensor): readonly Tensor[] {
  const { device, shape: [, N] } = x;
  if (!device.tuning.software && N <= workgroupRuns[1]) return sumPairOp(x);
  return [0, 1].map((at) => sum(slice(x, 0, at, 1), [0, 1]));
}

/** Length of the parts that a workgroup sums on a GPU: contiguous parts, and strided ones. */
const workgroupRuns = [4096, 1024] as const;

function sumMiddle(x: Tensor): Tensor {
  const [A, R, B] = x.shape;
  const { tuning } = x.device;
  const chunk = tuning.software
    ? runLength(R, A * B, tuning)
    : Math.max(1, Math.min(R, workgroupRuns[B === 1 ? 0 : 1]));
  const y = sumChunks(x, { chunk });
  return y.shape[1] > 1 ? sumMiddle(y) : y;
}

/**
 * Sum over axes.
 *
 * @param axes all by default; negative ones count from the end
 * @param keepAxes whether summed axes stay, with length 1
 * @returns the sums, 0 for no elements; a view of x, as from `reshape`, if every summed axis has length 1
 */
export function sum(x: Tensor, axes?: readonly number[], keepAxes = false): Tensor {
  return overAxes("sum", sumMiddle, x, axes, keepAxes);
}

/** Mean over axes; arguments as for `sum`. The mean of no elements is NaN. */
export function mean(x: Tensor, axes?: readonly number[], keepAxes = false): Tensor {
  const y = sum(x, axes, keepAxes);
  return affine(y, { scale: y.size / x.size, shift: noShift });
}

/** Sums a tensor to a shape that broadcasts to its own: the gradient of broadcasting. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  const extra = x.shape.length - shape.length;
  const axes = x.shape.flatMap((length, axis) =>
    axis < extra || (shape[axis - extra] === 1 && length !== 1) ? [axis] : []
  );
  return axes.length === 0 ? reshape(x, shape) : reshape(sum(x, axes, true), shape);
}
