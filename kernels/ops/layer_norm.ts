import { refuse, refuseUnknown } from "../core/checks.ts";
import { ShapeError, sizeOf } from "../core/shape.ts";
import { checkTensor, type Tensor } from "../core/tensor.ts";
import type { Dims, NumberArray } from "../devices/device.ts";
import { defineOp, type Op } from "../op.ts";
import { add, divide, multiply, negate, subtract } from "./elementwise/binary.ts";
import { sqrt, square } from "./elementwise/unary.ts";
import { full, reshape, zeros } from "./layout.ts";
import { mean, spreadChunks, sum, summingKernels, workgroupSumWgsl } from "./reduce/reduce.ts";

/** WGSL that adds a term of each column c of a lane to `total`, in parts of 64, which keeps f32 sums accurate. */
const sumWgsl = (type: "f32" | "vec2f", total: string, term: string) =>
  `for (var start = lane; start < dims.C; start += 64u * lanes) {
    var part = ${type}();
    for (var c = start; c < min(dims.C, start + 64u * lanes); c += lanes) { ${term} }
    ${total} += part;
  }`;

/**
 * WGSL of the mean of the row of x that starts at `base`, and of 1 / its standard deviation. Distances from the first
 * number have an accurate sum even if the row lies far from 0.
 */
const statisticsWgsl = `fn statistics(base: u32, lane: u32) -> vec2f {
  let first = x[base];
  var sum = 0.0;
  ${sumWgsl("f32", "sum", "part += x[base + c] - first;")}
  let m = first + runSum(lane, lanes, vec2f(sum, 0.0)).x / f32(dims.C);
  var squares = 0.0;
  ${sumWgsl("f32", "squares", "let d = x[base + c] - m; part += d * d;")}
  let variance = runSum(lane, lanes, vec2f(squares, 0.0)).x / f32(dims.C);
  return vec2f(m, 1.0 / sqrt(variance + dims.epsilon));
}`;

/**
 * WebGPU kernels that work on rows: an invocation each on software adapters, a workgroup on GPUs.
 *
 * @param body WGSL of `fn work(i: u32, lane: u32)`, in which a lane handles columns `lane`, `lane + lanes`, ...
 * @param count number of calls of `work`
 */
function rowKernels(body: string, count: (dims: Dims) => number) {
  const single = {
    grid: count,
    wgsl: () =>
      `const lanes = 1u;
fn runSum(lane: u32, length: u32, value: vec2f) -> vec2f { return value; }
${statisticsWgsl}
${body}
fn kernel(i: u32) { work(i, 0u); }`,
  };
  const shared = (lanes: number) => ({
    grid: (dims: Dims) => ({ count: count(dims), lanes }),
    wgsl: () =>
      `${workgroupSumWgsl(lanes)}
${statisticsWgsl}
${body}
fn kernel(group: u32, lane: u32) { work(group, lane); }`,
  });
  return summingKernels(single, shared, ({ C }) => C);
}

/** Calls `use` for each row with (x - mean) / deviation, and 1 / deviation. */
function eachRow(
  x: NumberArray,
  { R, C, epsilon }: Dims,
  use: (r: number, xhat: readonly number[], inverse: number) => void,
): void {
  for (let r = 0; r < R; r++) {
    const row = [...x.subarray(r * C, (r + 1) * C)];
    const m = row.reduce((total, value) => total + value / C, 0);
    const variance = row.reduce((total, value) => total + (value - m) ** 2 / C, 0);
    const inverse = 1 / Math.sqrt(variance + epsilon);
    use(r, row.map((value) => (value - m) * inverse), inverse);
  }
}

const normalise: Op<"x[R, C], gamma[C], beta[C] -> y[R, C]", { epsilon: "f32" }> = defineOp({
  name: "layerNorm",
  signature: "x[R, C], gamma[C], beta[C] -> y[R, C]",
  attributes: { epsilon: "f32" },
  ...rowKernels(
    `fn work(r: u32, lane: u32) {
  let base = r * dims.C;
  let s = statistics(base, lane);
  for (var c = lane; c < dims.C; c += lanes) { y[base + c] = (x[base + c] - s.x) * s.y * gamma[c] + beta[c]; }
}`,
    ({ R }) => R,
  ),
  backward: ({ x, gamma, dy }, { epsilon }) => ({
    x: () => inputGradient(x, gamma, dy, { epsilon }),
    gamma: () => sum(scalesOfRuns(x, dy, { run: runOf(x.shape[0]), epsilon }), [0]),
    beta: () => sum(dy, [0]),
  }),
  reference({ x, gamma, beta, y }, dims) {
    eachRow(x, dims, (r, xhat) => xhat.forEach((z, c) => y[r * dims.C + c] = z * gamma[c] + beta[c]));
  },
  wasm: "layerNorm",
  samples: [[3, 5], [5, 67], [2, 1], [1, 9001]].map(([R, C]) => ({
    shapes: { x: [R, C], gamma: [C], beta: [C] },
    attributes: { epsilon: 1e-2 },
  })),
});

/**
 * J(x) g with g = gamma dy, where J = (I - 1 1^T / C - xhat xhat^T / C) / deviation is the derivative of xhat with
 * respect to x, which is symmetric: dx = (g - mean(g) - xhat mean(g xhat)) / deviation.
 */
const inputGradient: Op<"x[R, C], gamma[C], dy[R, C] -> dx[R, C]", { epsilon: "f32" }> = defineOp({
  name: "layerNormGradient",
  signature: "x[R, C], gamma[C], dy[R, C] -> dx[R, C]",
  attributes: { epsilon: "f32" },
  ...rowKernels(
    `fn work(r: u32, lane: u32) {
  let base = r * dims.C;
  let s = statistics(base, lane);
  var sums = vec2f();
  ${
      sumWgsl(
        "vec2f",
        "sums",
        "let g = gamma[c] * dy[base + c]; part += vec2f(g, g * (x[base + c] - s.x) * s.y);",
      )
    }
  let means = runSum(lane, lanes, sums) / f32(dims.C);
  for (var c = lane; c < dims.C; c += lanes) {
    dx[base + c] = s.y * (gamma[c] * dy[base + c] - means.x - (x[base + c] - s.x) * s.y * means.y);
  }
}`,
    ({ R }) => R,
  ),
  backward({ x, gamma, dy, ddx }, { epsilon }) {
    const one = full(gamma.shape, 1);
    const slope = (v: Tensor) => inputGradient(x, one, v, { epsilon }); // J v
    const row = (v: Tensor) => mean(v, [1], true);
    return {
      x() {
        const g = multiply(dy, gamma);
        const xhat = normalise(x, one, zeros(gamma.shape), { epsilon });
        const variance = row(square(subtract(x, row(x))));
        const inverse = divide(1, sqrt(add(variance, epsilon)));
        const [ofG, ofU] = [slope(g), slope(ddx)];
        const crossed = add(multiply(row(multiply(g, xhat)), ofU), multiply(row(multiply(ddx, xhat)), ofG));
        return negate(multiply(inverse, add(multiply(xhat, row(multiply(ddx, ofG))), crossed)));
      },
      gamma: () => sum(multiply(dy, slope(ddx)), [0]),
      dy: () => multiply(slope(ddx), gamma),
    };
  },
  reference({ x, gamma, dy, dx }, dims) {
    const { C } = dims;
    eachRow(x, dims, (r, xhat, inverse) => {
      const g = xhat.map((_, c) => gamma[c] * dy[r * C + c]);
      const shift = g.reduce((total, value) => total + value / C, 0);
      const scale = g.reduce((total, value, c) => total + value * xhat[c] / C, 0);
      g.forEach((value, c) => dx[r * C + c] = inverse * (value - shift - xhat[c] * scale));
    });
  },
  wasm: "layerNormGradient",
  samples: [[3, 5], [5, 67], [2, 1], [1, 9001]].map(([R, C]) => ({
    shapes: { x: [R, C], gamma: [C], dy: [R, C] },
    attributes: { epsilon: 1e-2 },
  })),
});

/** Rows per run in the gradient of gamma: there are about as many runs as rows in a run. */
const runOf = (rows: number) => Math.max(16, Math.ceil(Math.sqrt(rows)));

/** Parts of the gradient of gamma: sums of dy xhat over runs of rows. */
const scalesOfRuns: Op<"x[R, C], dy[R, C] -> scales[S, C]", { run: "u32"; epsilon: "f32" }> = defineOp({
  name: "layerNormScales",
  signature: "x[R, C], dy[R, C] -> scales[S, C]",
  attributes: { run: "u32", epsilon: "f32" },
  derive: ({ R, run }) => ({ S: Math.max(1, Math.ceil(R / run)) }),
  ...rowKernels(
    `fn work(i: u32, lane: u32) {
  let first = i * dims.run;
  for (var c = lane; c < dims.C; c += lanes) { scales[i * dims.C + c] = 0.0; }
  for (var r = first; r < min(first + dims.run, dims.R); r++) {
    let base = r * dims.C;
    let s = statistics(base, lane);
    for (var c = lane; c < dims.C; c += lanes) {
      scales[i * dims.C + c] += dy[base + c] * (x[base + c] - s.x) * s.y;
    }
  }
}`,
    ({ S }) => S,
  ),
  empty: zeros,
  backward({ x, dy, dscales }, { run, epsilon }) {
    const [R, C] = x.shape;
    const one = full([C], 1);
    const spread = () =>
      reshape(spreadChunks(reshape(dscales, [1, ...dscales.shape]), { chunk: run, R }), x.shape);
    return {
      x: () => inputGradient(x, one, multiply(spread(), dy), { epsilon }),
      dy: () => multiply(spread(), normalise(x, one, zeros([C]), { epsilon })),
    };
  },
  reference({ x, dy, scales }, dims) {
    const { C, run } = dims;
    scales.fill(0);
    eachRow(x, dims, (r, xhat) => {
      xhat.forEach((z, c) => scales[Math.floor(r / run) * C + c] += z * dy[r * C + c]);
    });
  },
  wasm: "layerNormScales",
  samples: [[3, 5, 2], [5, 67, 3], [1, 1, 1], [2, 9001, 1]].map(([R, C, run]) => ({
    shapes: { x: [R, C], dy: [R, C] },
    attributes: { run, epsilon: 1e-2 },
  })),
});

/**
 * Layer normalisation: each row along the last axis is scaled to mean 0 and variance 1, then each column by its gamma
 * and beta.
 *
 * @param x f32[..., C]
 * @param gamma f32[C]
 * @param beta f32[C]
 * @param options the number added to the variance, by default 1e-5
 * @returns f32[..., C]
 * Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450
 */
export function layerNorm(
  x: Tensor,
  gamma: Tensor,
  beta: Tensor,
  { epsilon = 1e-5, ...unknown }: { epsilon?: number } = {},
): Tensor {
  refuseUnknown("run layerNorm", unknown, ["epsilon"]);
  for (const [name, given] of Object.entries({ x, gamma, beta })) {
    checkTensor("run layerNorm", `${name} is`, given);
  }
  if (!(epsilon >= 0 && epsilon < Infinity)) {
    refuse(RangeError, `run layerNorm: epsilon is ${epsilon}`, "a number of at least 0");
  }
  const C = x.shape.at(-1);
  if (C === undefined) refuse(ShapeError, `run layerNorm: x ${x} has no axis`, "at least one");
  const rows = reshape(x, [sizeOf(x.shape.slice(0, -1)), C]);
  return reshape(normalise(rows, gamma, beta, { epsilon }), x.shape);
}
