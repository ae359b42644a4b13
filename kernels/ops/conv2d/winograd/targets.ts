import type { Dims } from "../../../devices/device.ts";
import { defineOp, type Op } from "../../../op.ts";
import { biasedConvolution, forwardConvolution, turnedConvolution } from "../forms.ts";
import { tilesOf } from "./source.ts";
import { makeTarget, plain, targetWgsl, turned } from "./target_tiles.ts";

const taps = { R: 3, S: 3 };
const attributes = { padding: "u32", run: "u32" } as const;

/** Fields of the declarations that make y. */
const forward = {
  attributes,
  derive({ H, W, padding }: Readonly<Record<string, number>>) {
    const [P, Q] = [H + 2 * padding - 2, W + 2 * padding - 2];
    return { P, Q, ...tilesOf(P, Q) };
  },
  invocations: ({ N, K, down, across }: Dims) => N * K * down * across,
} as const;

const shapes = { m: [2, 36, 3, 4], x: [3, 2, 5, 3], w: [3, 2, 3, 3], uneven: [3] };
const sample = { attributes: { padding: 1, run: 2 }, values: { uneven: [0, 1, 0] } };

/** y = A' m A. */
export const target: Op<
  "m[G, 36, K, T], x[N, C, H, W], w[K, C, 3, 3], uneven:u32[N] -> y[N, K, P, Q]",
  typeof attributes
> = defineOp({
  ...forward,
  name: "winogradTarget",
  signature: "m[G, 36, K, T], x[N, C, H, W], w[K, C, 3, 3], uneven:u32[N] -> y[N, K, P, Q]",
  wgsl: targetWgsl(forwardConvolution(taps)),
  reference: ({ m, x, w, uneven, y }, dims) =>
    makeTarget({ m, source: x, target: y, uneven, weight: plain(w, dims), offset: () => 0 }, dims),
  samples: [{ ...sample, shapes }],
});

/** y = A' m A + bias. */
export const biasedTarget: Op<
  "m[G, 36, K, T], x[N, C, H, W], w[K, C, 3, 3], bias[B, K], uneven:u32[N] -> y[N, K, P, Q]",
  typeof attributes
> = defineOp({
  ...forward,
  name: "winogradBiasedTarget",
  signature: "m[G, 36, K, T], x[N, C, H, W], w[K, C, 3, 3], bias[B, K], uneven:u32[N] -> y[N, K, P, Q]",
  wgsl: targetWgsl(biasedConvolution(taps)),
  reference({ m, x, w, bias, uneven, y }, dims) {
    const offset = (n: number, k: number) => bias[n % dims.B * dims.K + k];
    makeTarget({ m, source: x, target: y, uneven, weight: plain(w, dims), offset }, dims);
  },
  samples: [{ ...sample, shapes: { ...shapes, bias: [3, 3] } }],
});

/** y = A' m A + bias + residual. */
export const addedTarget: Op<
  "m[G, 36, K, T], x[N, C, H, W], w[K, C, 3, 3], bias[B, K], residual[N, K, P, Q], uneven:u32[N] -> y[N, K, P, Q]",
  typeof attributes
> = defineOp({
  ...forward,
  name: "winogradAddedTarget",
  signature:
    "m[G, 36, K, T], x[N, C, H, W], w[K, C, 3, 3], bias[B, K], residual[N, K, P, Q], uneven:u32[N] -> y[N, K, P, Q]",
  wgsl: targetWgsl(biasedConvolution(taps, "residual[to]")),
  reference({ m, x, w, bias, residual, uneven, y }, dims) {
    const offset = (n: number, k: number, to: number) => bias[n % dims.B * dims.K + k] + residual[to];
    makeTarget({ m, source: x, target: y, uneven, weight: plain(w, dims), offset }, dims);
  },
  samples: [{ ...sample, shapes: { ...shapes, bias: [1, 3], residual: [3, 3, 5, 3] } }],
});

/** dx = A' m A, where m are products of dy's tiles with turned weights. */
export const turnedTarget: Op<
  "m[G, 36, C, T], dy[N, K, P, Q], w[K, C, 3, 3], uneven:u32[N] -> dx[N, C, H, W]",
  { padding: "u32"; run: "u32"; H: "u32"; W: "u32" }
> = defineOp({
  name: "winogradTurnedTarget",
  signature: "m[G, 36, C, T], dy[N, K, P, Q], w[K, C, 3, 3], uneven:u32[N] -> dx[N, C, H, W]",
  attributes: { ...attributes, H: "u32", W: "u32" },
  derive: ({ H, W, padding }) => ({ turned: 2 - padding, ...tilesOf(H, W) }),
  invocations: ({ N, C, down, across }) => N * C * down * across,
  wgsl: targetWgsl(turnedConvolution(taps)),
  reference: ({ m, dy, w, uneven, dx }, { K, C, P, Q, H, W, ...dims }) =>
    makeTarget(
      { m, source: dy, target: dx, uneven, weight: turned(w, { C }), offset: () => 0 },
      { ...dims, C: K, H: P, W: Q, K: C, P: H, Q: W, padding: dims.turned },
    ),
  samples: [
    {
      shapes: { m: [2, 36, 2, 4], dy: [3, 3, 5, 3], w: [3, 2, 3, 3], uneven: [3] },
      values: { uneven: [0, 1, 0] },
      attributes: { padding: 1, run: 2, H: 5, W: 3 },
    },
  ],
});
