import { defineOp, type Op } from "../../op.ts";
import { ShapeError } from "../../core/shape.ts";
import { type Tensor, tensor } from "../../core/tensor.ts";

const gather = defineOp({
  name: "gatherImages",
  signature: "bytes:u32[B], indices:u32[N] -> x[N, P]",
  attributes: { P: "u32", scale: "f32", shift: "f32" },
  wgsl: `fn kernel(i: u32) {
  let at = indices[i / dims.P] * dims.P + i % dims.P;
  x[i] = dims.scale * f32((bytes[at / 4u] >> (8u * (at % 4u))) & 255u) + dims.shift;
}`,
  reference({ bytes, indices, x }, { P, scale, shift }) {
    for (let i = 0; i < x.length; i++) {
      const at = indices[Math.floor(i / P)] * P + i % P;
      x[i] = scale * ((bytes[Math.floor(at / 4)] >>> (8 * (at % 4))) & 255) + shift;
    }
  },
  wasm: "gatherImages",
  samples: [{
    shapes: { bytes: [4], indices: [3] },
    attributes: { P: 5, scale: 2 / 255, shift: -1 },
    values: {
      bytes: Uint32Array.of(0x04030201, 0x80ff7f00, 0x11223344, 0xdeadbeef),
      indices: Uint32Array.of(2, 0, 1),
    },
  }],
});

/**
 * Images picked from a data set of bytes on the device, as numbers `scale byte + shift`.
 *
 * @param bytes u32[ceil(M pixels / 4)], the pixels of M images packed four to a word; see `packBytes`
 * @param indices u32[N], each below M
 * @returns f32[N, pixels]
 */
export function gatherImages(
  bytes: Tensor,
  indices: Tensor,
  { pixels, scale, shift }: { pixels: number; scale: number; shift: number },
): Tensor {
  return gather(bytes, indices, { P: pixels, scale, shift });
}

/** Rows of a table, picked by indices below M; gradients end at it. */
export const gatherRows: Op<"table[M, P], indices:u32[N] -> y[N, P]"> = defineOp({
  name: "gatherRows",
  signature: "table[M, P], indices:u32[N] -> y[N, P]",
  wgsl: "fn kernel(i: u32) { y[i] = table[indices[i / dims.P] * dims.P + i % dims.P]; }",
  reference({ table, indices, y }, { P }) {
    for (let n = 0; n < indices.length; n++) {
      y.set(table.subarray(indices[n] * P, (indices[n] + 1) * P), n * P);
    }
  },
  samples: [{ shapes: { table: [4, 3], indices: [5] }, values: { indices: Uint32Array.of(2, 0, 3, 3, 1) } }],
});

/**
 * Bytes as a u32 tensor on the device in use, four to a word, the last word filled with zeros.
 *
 * @throws {ShapeError} if there are none
 */
export function packBytes(bytes: Uint8Array): Tensor {
  if (bytes.length === 0) throw new ShapeError("Cannot make a tensor of no bytes");
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  padded.set(bytes);
  return tensor(new Uint32Array(padded.buffer));
}
