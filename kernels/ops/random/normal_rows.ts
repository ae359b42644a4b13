import { defineOp } from "../../op.ts";
import { checkedSizeOf, type Shape } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { reshape } from "../layout/movement.ts";
import normalWgsl from "./normal.wgsl" with { type: "text" };
import { normalPair, threefry } from "./threefry.ts";
import threefryWgsl from "./threefry.wgsl" with { type: "text" };

const values = { key: Uint32Array.of(46020, 2, 7), row: Uint32Array.of(5, 0, 1_000_000) };

/** A row is drawn in pairs of its own, so that rows of odd length do not share one. */
const normalRows = defineOp({
  name: "randomNormalRows",
  signature: "key:u32[3], row:u32[N] -> y[N, P]",
  attributes: { P: "u32" },
  invocations: ({ N, P }) => N * Math.ceil(P / 2),
  wgsl: `${threefryWgsl}\n${normalWgsl}
fn kernel(i: u32) {
  let pairs = (dims.P + 1u) / 2u;
  let n = i / pairs;
  let p = i % pairs;
  let pair = normals(threefry(vec2u(key[0], key[1]), vec2u(row[n] * pairs + p, key[2])));
  let at = n * dims.P + 2u * p;
  y[at] = pair.x;
  if (2u * p + 1u < dims.P) { y[at + 1u] = pair.y; }
}`,
  reference({ key, row, y }, { N, P }) {
    const pairs = Math.ceil(P / 2);
    for (let n = 0; n < N; n++) {
      for (let p = 0; p < pairs; p++) {
        const index = (Math.imul(row[n], pairs) + p) >>> 0;
        const pair = normalPair(...threefry(key[0], key[1], index, key[2]));
        y[n * P + 2 * p] = pair[0];
        if (2 * p + 1 < P) y[n * P + 2 * p + 1] = pair[1];
      }
    }
  },
  samples: [1, 2, 9].map((P) => ({ shapes: { key: [3], row: [3] }, attributes: { P }, values })),
});

/**
 * Standard normal random numbers for numbered rows: row r is the same whichever rows are drawn with it, and equal to
 * 1e-5 on every device.
 *
 * @param key u32[3]: seed, stream, counter
 * @param rows u32[N], the numbers of the rows
 * @param shape [N, ...]
 * @returns f32 of the shape
 * @throws {ShapeError} if there is not one number for each row
 * Source: Box and Muller 1958
 */
export function randomNormalRows(key: Tensor, rows: Tensor, shape: Shape): Tensor {
  const P = checkedSizeOf(shape.slice(1));
  return reshape(normalRows(key, rows, { P }), shape);
}
