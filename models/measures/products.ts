import { matmulTransposedB, record, tensor } from "../../kernels/mod.ts";
import { throttledPause } from "../pause.ts";
import type { Points } from "./points.ts";

/** Most rows of a and of b in a block: 16 MiB of products, whatever the number of points. */
const blockRows = { a: 1024, b: 4096 };

/** The inner products of some rows of a with some rows of b. */
export interface ProductBlock {
  /** Rows of a: from `a.from` up to `a.to`. */
  readonly a: Span;
  /** Rows of b. */
  readonly b: Span;
  /** f32, the product of rows i and j at (i - a.from) stride + j - b.from; the next block overwrites it. */
  readonly values: Float32Array;
  readonly stride: number;
}

/** Rows from one up to another. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/**
 * The inner products of all rows of a with all rows of b, a b^T, computed on the device in use in blocks of bounded
 * memory. For a row of a, the rows of b come in rising order.
 *
 * @param a f32[N, F]
 * @param b f32[M, F]
 */
export async function* productBlocks(a: Points, b: Points): AsyncGenerator<ProductBlock> {
  const rows = Math.min(blockRows.a, a.rows);
  const stride = Math.min(blockRows.b, b.rows);
  const blocks = {
    a: tensor(new Float32Array(rows * a.width), [rows, a.width]),
    b: tensor(new Float32Array(stride * b.width), [stride, b.width]),
  };
  const step = record(() => matmulTransposedB(blocks.a, blocks.b));
  const pause = throttledPause();
  for (const columns of spans(b.rows, stride)) {
    blocks.b.write(filled(b, columns, stride));
    for (const span of spans(a.rows, rows)) {
      blocks.a.write(filled(a, span, rows));
      step.run();
      yield { a: span, b: columns, values: await step.result.read(), stride };
      await pause();
    }
  }
}

function* spans(rows: number, most: number): Generator<Span> {
  for (let from = 0; from < rows; from += most) yield { from, to: Math.min(from + most, rows) };
}

/** Rows of points, and zeros up to `rows` rows. */
function filled({ values, width }: Points, { from, to }: Span, rows: number): Float32Array {
  const part = values.subarray(from * width, to * width);
  if (to - from === rows) return part;
  const whole = new Float32Array(rows * width);
  whole.set(part);
  return whole;
}
