import type { Dims } from "../device.ts";
import { Gemm } from "./assembly/layout.ts";
import { Binary, Opcode, Unary } from "./assembly/opcodes.ts";

/** One call of a kernel: addresses and numbers in the order in which the kernel reads them. */
export interface WasmCall {
  readonly opcode: Opcode;
  readonly words: readonly number[];
  /** Bytes of workspace it needs. The workspace holds its content to the next call of the same op, no longer. */
  readonly workspace?: number;
}

/** How an op becomes calls: from the addresses of its buffers, its dims and the number of threads. */
type Lowering = (buffers: readonly number[], dims: Dims, threads: number) => readonly WasmCall[] | undefined;

/** The bits of an f32, as the word that a kernel reads it from. */
const float = new Float32Array(1);
const floatBits = new Int32Array(float.buffer);
function f32(value: number): number {
  float[0] = value;
  return floatBits[0];
}

/** Parts whose weight gradients are summed apart: as many as threads are of use, whatever there are. */
const gradientParts = 8;
/** Bytes of transformed tiles that a thread works on at once: what stays in its second cache. */
const tileBytes = 600_000;

const quads = (channels: number) => Math.ceil(channels / 4);
/** Of the target, eight channels are computed at once, whether there are as many or not. */
const targetQuads = (channels: number) => 2 * Math.ceil(channels / 8);
/** Bytes between elements of the Winograd transform; `assembly/conv2d.ts` says the same. */
const elementStep = (vectors: number) => ((vectors * 16 + 63) & ~127) + 64;

/** Sizes of the Winograd convolution of [N, C, H, W] to [N, K, H, W]. */
function winograd({ N, C, H, W, K }: Dims) {
  const down = Math.ceil(H / 4), across = Math.ceil(W / 4), tiles = down * across;
  const perImage = 36 * 16 * (quads(C) + targetQuads(K)) * tiles;
  const chunk = Math.max(1, Math.min(N, Math.floor(tileBytes / perImage)));
  const slots = Math.ceil(chunk * tiles / 6) * 6;
  const image = (4 * down + 2) * (4 * across + 2) * 16;
  return {
    chunk,
    weights: 36 * quads(C) * 128 * Math.ceil(K / 8),
    thread: 2 * image + 6 * (4 * across + 2) * 16 + 576 +
      36 * (elementStep(quads(C) * slots) + elementStep(targetQuads(K) * slots)),
  };
}

/** A 3x3 convolution with weights w[k][c] at strides in bytes. */
function convolve(
  [source, w, target, bias, addend]: readonly [number, number, number, number, number],
  dims: Dims,
  { strideC, strideK, turned, B }: { strideC: number; strideK: number; turned: boolean; B: number },
  threads: number,
): readonly WasmCall[] {
  const { N, C, H, W, K } = dims;
  const { chunk, weights, thread } = winograd(dims);
  const workspace = weights + threads * thread;
  return [
    {
      opcode: Opcode.convWeights,
      words: [w, C, K, strideC, strideK, turned ? 1 : 0],
      workspace: weights + threads * 288,
    },
    {
      opcode: Opcode.convolve,
      words: [source, target, bias, addend, N, C, H, W, K, B, chunk, weights, thread],
      workspace,
    },
  ];
}

function mixChannels(words: readonly number[], threads: number): readonly WasmCall[] {
  return [{ opcode: Opcode.mixChannels, words, workspace: threads * Gemm.scratch }];
}

const is3x3 = ({ R, S }: Dims, padding: number) => R === 3 && S === 3 && padding === 1;
const is1x1 = ({ R, S }: Dims, padding: number) => R === 1 && S === 1 && padding === 0;

function convolution(
  [x, w, bias, y, addend]: readonly [number, number, number, number, number],
  dims: Dims,
  threads: number,
): readonly WasmCall[] | undefined {
  const { N, C, H, W, K, B, padding } = dims;
  if (is3x3(dims, padding)) {
    return convolve(
      [x, w, y, bias, addend],
      dims,
      { strideC: 36, strideK: 36 * C, turned: false, B },
      threads,
    );
  }
  if (!is1x1(dims, padding)) return undefined;
  return mixChannels([x, w, bias, addend, y, N, C, H * W, K, B, 4 * C, 4], threads);
}

/** Sums over images of products a b^T of planes, in parts, then over the parts. */
function correlate(
  [a, b, y]: readonly number[],
  { N, M, H, W, K, G, run, folded }: Dims,
  threads: number,
): readonly WasmCall[] {
  const parts = Math.min(gradientParts, run);
  const sums = G * parts * M * K * 4;
  const thread = Gemm.scratch + folded * K * H * W * 4;
  return [
    {
      opcode: Opcode.correlateParts,
      words: [a, b, N, M, H, W, K, G, run, parts, folded, sums, thread],
      workspace: sums + threads * thread,
    },
    { opcode: Opcode.sumParts, words: [y, G, parts, M * K] },
  ];
}

/** y = a b for strides in elements of a along m and k, of b along k and n. */
function product(strides: (dims: Dims) => readonly [number, number, number, number]): Lowering {
  return ([a, b, y], dims, threads) => {
    const { A, B, Y, M, N, K } = dims;
    const bytes = strides(dims).map((stride) => stride * 4);
    return [{
      opcode: Opcode.matmul,
      words: [a, b, y, A, B, Y, M, N, K, ...bytes],
      workspace: threads * Gemm.scratch,
    }];
  };
}

function binary(f: Binary): Lowering {
  return ([a, b, y], dims) => {
    if (dims.flat) return [{ opcode: Opcode.binary, words: [a, b, y, dims.Y, f] }];
    const { n0, a0, b0, n1, a1, b1, n2, a2, b2, n3, a3, b3 } = dims;
    return [{
      opcode: Opcode.broadcast,
      words: [a, b, y, f, n0, a0, b0, n1, a1, b1, n2, a2, b2, n3, a3, b3],
    }];
  };
}

function unary(f: Unary): Lowering {
  return ([x, y], { S }) => [{ opcode: Opcode.unary, words: [x, y, S, f] }];
}

function unaryGradient(f: Unary): Lowering {
  return ([x, dy, dx], { S }) => [{ opcode: Opcode.unaryGradient, words: [x, dy, dx, S, f] }];
}

function copyRows(from: number, to: number, rows: number, width: number, fromWidth: number, toWidth: number) {
  return { opcode: Opcode.copyRows, words: [from, to, rows, 4 * width, 4 * fromWidth, 4 * toWidth] };
}

function adam(decoupled: boolean): Lowering {
  return (buffers, { n }) => [{ opcode: Opcode.adamUpdate, words: [...buffers, n, decoupled ? 1 : 0] }];
}

/** The ops that have kernels; every other op runs as its reference. */
export const lowerings: Readonly<Record<string, Lowering>> = {
  conv2d: ([x, w, bias, y], dims, threads) => convolution([x, w, bias, y, 0], dims, threads),
  conv2dAdd: ([x, w, bias, residual, y], dims, threads) =>
    convolution([x, w, bias, y, residual], dims, threads),
  conv2dInputGradient([dy, w, dx], dims, threads) {
    const { N, C, H, W, K, padding } = dims;
    const from = { N, C: K, H, W, K: C };
    if (is3x3(dims, padding)) {
      return convolve([dy, w, dx, 0, 0], from, { strideC: 36 * C, strideK: 36, turned: true, B: 1 }, threads);
    }
    if (!is1x1(dims, padding)) return undefined;
    return mixChannels([dy, w, 0, 0, dx, N, K, H * W, C, 1, 4, 4 * C], threads);
  },
  conv2dWeightGradient([x, dy, dw], dims, threads) {
    const { N, C, H, W, K, padding, run, G } = dims;
    if (is1x1(dims, padding)) {
      return correlate([dy, x, dw], { N, M: K, H, W, K: C, G, run, folded: 0 }, threads);
    }
    if (!is3x3(dims, padding)) return undefined;
    const parts = Math.min(gradientParts, run);
    const { chunk, weights, thread } = winograd(dims);
    const sums = G * parts * weights;
    return [
      {
        opcode: Opcode.convWeightGradientParts,
        words: [x, dy, N, C, H, W, K, G, run, parts, chunk, sums, thread],
        workspace: sums + threads * thread,
      },
      {
        opcode: Opcode.convWeightGradientSum,
        words: [dw, C, K, G, parts],
        workspace: sums + threads * 1024,
      },
    ];
  },
  convTranspose2d: ([x, w, bias, y], { N, C, H, W, K }, threads) => {
    const thread = Gemm.scratch + 4 * K * H * W * 4;
    return [{
      opcode: Opcode.convTranspose,
      words: [x, w, bias, y, N, C, H, W, K, thread],
      workspace: threads * thread,
    }];
  },
  convTranspose2dInputGradient: ([dy, w, dx], { N, K, C, H, W }, threads) => {
    const thread = Gemm.scratch + 4 * K * H * W * 4;
    return [{
      opcode: Opcode.convTransposeInputGradient,
      words: [dy, w, dx, N, K, C, H, W, thread],
      workspace: threads * thread,
    }];
  },
  convTranspose2dWeightGradient: (buffers, { N, C, H, W, K, G, run }, threads) =>
    correlate(buffers, { N, M: C, H, W, K: 4 * K, G, run, folded: 1 }, threads),
  matmul: product(({ K, N }) => [K, 1, N, 1]),
  matmulTransposedB: product(({ K }) => [K, 1, 1, K]),
  matmulTransposedA: product(({ M, N }) => [1, M, N, 1]),
  groupNorm: (buffers, { N, C, H, W, G, epsilon, activation }) => [
    { opcode: Opcode.groupNorm, words: [...buffers, N, C, H, W, G, f32(epsilon), activation] },
  ],
  groupNormGradient: (buffers, { N, C, H, W, G, activation }) => [
    { opcode: Opcode.groupNormGradient, words: [...buffers, N, C, H, W, G, activation] },
  ],
  ...Object.fromEntries(
    (["gelu", "silu", "relu", "sigmoid", "square", "sqrt", "exp"] as const).flatMap((name) => [
      [name, unary(Unary[name])],
      [`${name}Gradient`, unaryGradient(Unary[name])],
    ]),
  ),
  add: binary(Binary.add),
  subtract: binary(Binary.subtract),
  multiply: binary(Binary.multiply),
  divide: binary(Binary.divide),
  affine: ([x, y], { S, scale, shift }) => [
    { opcode: Opcode.affine, words: [x, y, S, f32(scale), f32(shift)] },
  ],
  fill: ([y], { n, value }) => [{ opcode: Opcode.fill, words: [y, n, f32(value)] }],
  assign: ([y, x], { S }) => [copyRows(x, y, 1, S, S, S)],
  put: (buffers, { n }) => [{ opcode: Opcode.put, words: [...buffers, n] }],
  concat: ([a, b, y], { P, A, B, C, Q }) => [
    copyRows(a, y, P, A * Q, A * Q, C * Q),
    copyRows(b, y + 4 * A * Q, P, B * Q, B * Q, C * Q),
  ],
  slice: ([x, y], { P, A, B, Q, start }) => [copyRows(x + 4 * start * Q, y, P, B * Q, A * Q, B * Q)],
  gatherImages: (buffers, { N, P, scale, shift }) => [
    { opcode: Opcode.gatherImages, words: [...buffers, N, P, f32(scale), f32(shift)] },
  ],
  sumChunks: ([x, y], { A, R, B, S, chunk }) => [
    { opcode: Opcode.sumChunks, words: [x, y, A, R, B, S, chunk] },
  ],
  spreadChunks: ([dy, dx], { A, R, B, S, chunk }) => [
    { opcode: Opcode.spreadChunks, words: [dy, dx, A, R, B, S, chunk] },
  ],
  squaredErrors: (buffers, { n, chunk, S }) => [
    { opcode: Opcode.squaredErrors, words: [...buffers, n, chunk, S] },
  ],
  squaredErrorsGradient: (buffers, { n, chunk, S }) => [
    { opcode: Opcode.squaredErrorsGradient, words: [...buffers, n, chunk, S] },
  ],
  softmax: (buffers, { R, C }) => [{ opcode: Opcode.softmax, words: [...buffers, R, C] }],
  softmaxGradient: (buffers, { R, C }) => [{ opcode: Opcode.softmaxGradient, words: [...buffers, R, C] }],
  maxPool2d: ([x, y], { N, C, H, W, P, Q }) => [{ opcode: Opcode.maxPool, words: [x, y, N * C, H, W, P, Q] }],
  maxPool2dGradient: (buffers, { N, C, H, W, P, Q }) => [
    { opcode: Opcode.maxPoolGradient, words: [...buffers, N * C, H, W, P, Q] },
  ],
  resizeBilinear: ([x, y], { N, C, H, W, P, Q }) => [
    { opcode: Opcode.resizeBilinear, words: [x, y, N * C, H, W, P, Q, 0] },
  ],
  resizeBilinearGradient: ([dy, dx], { N, C, H, W, P, Q }) => [
    { opcode: Opcode.resizeBilinear, words: [dx, dy, N * C, H, W, P, Q, 1] },
  ],
  randomUniform: ([key, y], { n }) => [{ opcode: Opcode.randomUniform, words: [key, y, n] }],
  randomNormal: ([key, y], { n }) => [{ opcode: Opcode.randomNormal, words: [key, y, n] }],
  adamUpdate: adam(true),
  adamL2Update: adam(false),
  sgdUpdate: (buffers, { n }) => [{ opcode: Opcode.sgdUpdate, words: [...buffers, n] }],
  emaUpdate: (buffers, { n }) => [{ opcode: Opcode.emaUpdate, words: [...buffers, n] }],
};
