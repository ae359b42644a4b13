import { defineOp, type Op } from "../op.ts";
import type { Dims, NumberArray } from "../devices/device.ts";
import { maxU32, refuse } from "../core/checks.ts";
import { ShapeError } from "../core/shape.ts";
import { type Tensor, tensor } from "../core/tensor.ts";
import { reshape, zeros } from "./layout.ts";

/** WGSL of NaN: the bits of NaN combined with some word, because WGSL rejects a constant NaN. */
const nan = (word: string) => `bitcast<f32>(${word} | 0x7fc00000u)`;

const gatherPixels = defineOp({
  name: "gatherImages",
  signature: "bytes:u32[B], indices:u32[N] -> x[N, P]",
  attributes: { P: "u32", scale: "f32", shift: "f32" },
  wgsl: `fn kernel(i: u32) {
  let image = indices[i / dims.P];
  let at = image * dims.P + i % dims.P;
  if (image < 4u * dims.B / dims.P) {
    x[i] = dims.scale * f32((bytes[at / 4u] >> (8u * (at % 4u))) & 255u) + dims.shift;
  } else { x[i] = ${nan("image")}; }
}`,
  reference({ bytes, indices, x }, { B, P, scale, shift }) {
    for (let i = 0; i < x.length; i++) {
      const image = indices[Math.floor(i / P)], at = image * P + i % P;
      const byte = (bytes[Math.floor(at / 4)] >>> (8 * (at % 4))) & 255;
      x[i] = image < Math.floor(4 * B / P) ? scale * byte + shift : NaN;
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
 * Gathers images from bytes on the device, as numbers `scale byte + shift`.
 *
 * @param bytes u32[ceil(M pixels / 4)], the pixels of M images, four to a word; see `packBytes`
 * @param indices u32[N], each below M; an out-of-range image is NaN, because an op cannot fail on values on the device
 * @returns f32[N, pixels]
 */
export function gatherImages(
  bytes: Tensor,
  indices: Tensor,
  { pixels, scale, shift }: { pixels: number; scale: number; shift: number },
): Tensor {
  return gatherPixels(bytes, indices, { P: pixels, scale, shift });
}

/** y[n] = table[indices[n]], or `missing` if there is no such row. */
function rowsKernel(missing: { readonly wgsl: string; readonly value: number; readonly bits: number }) {
  return {
    wgsl: `fn kernel(i: u32) {
  let row = indices[i / dims.P];
  if (row < dims.M) { y[i] = table[row * dims.P + i % dims.P]; } else { y[i] = ${missing.wgsl}; }
}`,
    reference(
      { table, indices, y }: Readonly<Record<"table" | "indices" | "y", NumberArray>>,
      { M, P }: Dims,
    ) {
      indices.forEach((row: number, n: number) => {
        if (row < M) y.set(table.subarray(row * P, (row + 1) * P), n * P);
        else y.fill(missing.value, n * P, (n + 1) * P);
      });
    },
    wasm: (addresses: Readonly<Record<"table" | "indices" | "y", number>>, { M, N, P }: Dims) =>
      [{ kernel: "gatherRows", args: { ...addresses, M, N, P, missing: missing.bits } }] as const,
  };
}

const rowIndices = Uint32Array.of(2, 0, 3, 3, 1);

const gatherNumbers: Op<"table[M, P], indices:u32[N] -> y[N, P]"> = defineOp({
  name: "gatherRows",
  signature: "table[M, P], indices:u32[N] -> y[N, P]",
  ...rowsKernel({ wgsl: nan("row"), value: NaN, bits: 0x7fc00000 }),
  backward: ({ table, indices, dy }) => ({ table: () => scatterRows(dy, indices, { M: table.shape[0] }) }),
  samples: [{ shapes: { table: [4, 3], indices: [5] }, values: { indices: rowIndices } }],
});

const gatherWords = defineOp({
  name: "gatherWordRows",
  signature: "table:u32[M, P], indices:u32[N] -> y:u32[N, P]",
  ...rowsKernel({ wgsl: `${maxU32}u`, value: maxU32, bits: maxU32 }),
  samples: [{
    shapes: { table: [4, 2], indices: [5] },
    values: { table: Uint32Array.of(5, 0, 9, 1, 2, 7, 4, 3), indices: rowIndices },
  }],
});

/** Gradient of `gatherRows`: adds the rows of dy to each row of the table, always in the same order. */
const scatterRows: Op<"dy[N, P], indices:u32[N] -> dtable[M, P]", { M: "u32" }> = defineOp({
  name: "scatterRows",
  signature: "dy[N, P], indices:u32[N] -> dtable[M, P]",
  attributes: { M: "u32" },
  wgsl: `fn kernel(i: u32) {
  let row = i / dims.P;
  var total = 0.0;
  for (var n = 0u; n < dims.N; n++) {
    if (indices[n] == row) { total += dy[n * dims.P + i % dims.P]; }
  }
  dtable[i] = total;
}`,
  empty: zeros,
  backward: ({ indices, ddtable }) => ({ dy: () => gatherNumbers(ddtable, indices) }),
  reference({ dy, indices, dtable }, { N, P }) {
    dtable.fill(0);
    for (let n = 0; n < N; n++) for (let p = 0; p < P; p++) dtable[indices[n] * P + p] += dy[n * P + p];
  },
  wasm: "scatterRows",
  samples: [
    { shapes: { dy: [5, 3], indices: [5] }, attributes: { M: 4 }, values: { indices: rowIndices } },
    // In several tasks of the CPU device, the last one row shorter.
    {
      shapes: { dy: [2, 16], indices: [2] },
      attributes: { M: 1023 },
      values: { indices: Uint32Array.of(1022, 0) },
    },
  ],
});

/**
 * Gathers rows of a table, such as the embeddings or labels of a batch.
 *
 * @param table f32[M, P] or u32[M, P], or one axis for a table of single values
 * @param indices u32[N], each below M. An op cannot fail on values on the device, so an out-of-range row is NaN, or 2^32 - 1
 * (an invalid label) from a u32 table, and gets no gradient
 * @returns [N, P], or [N] for a table of one axis, of the table's type
 */
export function gatherRows(table: Tensor, indices: Tensor): Tensor {
  const [M, ...row] = table.shape;
  if (table.shape.length !== 1 && table.shape.length !== 2) {
    refuse(ShapeError, `run gatherRows: table is ${table}`, "one or two axes");
  }
  const gather = table.type === "u32" ? gatherWords : gatherNumbers;
  const rows = gather(reshape(table, [M, row[0] ?? 1]), indices);
  return reshape(rows, [indices.size, ...row]);
}

/** Packs bytes into a u32 tensor on the device in use, four to a word; the last word is padded with zeros. */
export function packBytes(bytes: Uint8Array): Tensor {
  if (bytes.length === 0) refuse(ShapeError, "pack bytes: there are none", "at least one");
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  padded.set(bytes);
  return tensor(new Uint32Array(padded.buffer));
}
