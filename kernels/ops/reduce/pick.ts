import type { Dims, NumberArray } from "../../devices/device.ts";
import { defineOp, type Op } from "../../op.ts";

const pickWgsl = `fn kernel(i: u32) {
  let b = i % dims.B;
  let a = i / (dims.B * dims.S);
  y[i] = x[(a * dims.R + index[i]) * dims.B + b];
}`;

type Arrays = Readonly<Record<"x" | "index" | "y", NumberArray>>;

function pickReference({ x, index, y }: Arrays, { R, B, S }: Dims): void {
  for (let i = 0; i < y.length; i++) y[i] = x[(Math.floor(i / (B * S)) * R + index[i]) * B + i % B];
}

const index = Uint32Array.of(1, 0, 3, 2, 1, 0, 3, 2); // two runs of two in two planes

/** y[a, s, b] = x[a, index[a, s, b], b], with indices of run s, which are from s `chunk` on. */
export const pick: Op<"x[A, R, B], index:u32[A, S, B] -> y[A, S, B]", { chunk: "u32" }> = defineOp({
  name: "pick",
  signature: "x[A, R, B], index:u32[A, S, B] -> y[A, S, B]",
  attributes: { chunk: "u32" },
  wgsl: pickWgsl,
  backward: ({ x, index, dy }, { chunk }) => ({ x: () => place(dy, index, { chunk, R: x.shape[1] }) }),
  reference: pickReference,
  samples: [
    {
      shapes: { x: [2, 3, 2], index: [2, 1, 2] },
      attributes: { chunk: 3 },
      values: { index: Uint32Array.of(1, 0, 2, 2) },
    },
    { shapes: { x: [2, 4, 2], index: [2, 2, 2] }, attributes: { chunk: 2 }, values: { index } },
    { shapes: { x: [1, 1, 1], index: [1, 1, 1] }, attributes: { chunk: 1 }, values: { index: [0] } },
  ],
});

/** `pick` for words. */
export const pickWords: Op<"x:u32[A, R, B], index:u32[A, S, B] -> y:u32[A, S, B]"> = defineOp({
  name: "pickWords",
  signature: "x:u32[A, R, B], index:u32[A, S, B] -> y:u32[A, S, B]",
  wgsl: pickWgsl,
  reference: pickReference,
  samples: [{
    shapes: { x: [1, 4, 2], index: [1, 1, 2] },
    values: { x: Uint32Array.of(8, 7, 6, 5, 4, 3, 2, 1), index: Uint32Array.of(3, 0) },
  }],
});

/** Gradient of `pick`: dy where it was picked from, zeros elsewhere. */
const place: Op<"dy[A, S, B], index:u32[A, S, B] -> dx[A, R, B]", { chunk: "u32"; R: "u32" }> = defineOp({
  name: "place",
  signature: "dy[A, S, B], index:u32[A, S, B] -> dx[A, R, B]",
  attributes: { chunk: "u32", R: "u32" },
  wgsl: `fn kernel(i: u32) {
  let b = i % dims.B;
  let r = i / dims.B % dims.R;
  let at = (i / (dims.B * dims.R) * dims.S + r / dims.chunk) * dims.B + b;
  dx[i] = select(0.0, dy[at], index[at] == r);
}`,
  backward: ({ index, ddx }, { chunk }) => ({ dy: () => pick(ddx, index, { chunk }) }),
  reference({ dy, index, dx }, { R, B, S, chunk }) {
    for (let i = 0; i < dx.length; i++) {
      const b = i % B, r = Math.floor(i / B) % R;
      const at = (Math.floor(i / (B * R)) * S + Math.floor(r / chunk)) * B + b;
      dx[i] = index[at] === r ? dy[at] : 0;
    }
  },
  samples: [
    {
      shapes: { dy: [2, 2, 2], index: [2, 2, 2] },
      attributes: { chunk: 2, R: 4 },
      values: { index },
    },
    { shapes: { dy: [1, 1, 1], index: [1, 1, 1] }, attributes: { chunk: 1, R: 1 }, values: { index: [0] } },
  ],
});
