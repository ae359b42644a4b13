import { op, vector, type Writer } from "./code_writer.ts";
import { Layout } from "./memory_layout.ts";

/** Rows of a tile of the target; the window holds twice as many. */
const most = 7;
/** Columns of a tile; the window holds twice as many. */
const columns = 8;
/** Bytes of a row of the window. */
const line = 8 * columns;

/** A kind of block. */
interface DepthwiseBlock {
  /** Taps along a side of the kernel. */
  readonly taps: number;
  /** Rows of its tile: two for those left below whole tiles. */
  readonly rows: number;
  /** Which half of the window the tile begins at. */
  readonly half: number;
  /** Whether vectors are joined. */
  readonly joined: boolean;
}

/** All kinds, in the order of the table; `depthwise.ts` computes their positions. */
export const depthwiseBlocks: readonly DepthwiseBlock[] = [7, 5, 3].flatMap((taps) =>
  [true, false].flatMap((joined) =>
    [most, 2].flatMap((rows) => [0, 1].map((half) => ({ taps, rows, half, joined })))
  )
);

/**
 * Writes a function: a tile of a convolution of one channel with a square kernel, y[i][j] = offset + sum of w[r][s] x[i +
 * r][j + s].
 *
 * Window and weights lie at constant addresses, as the panels of `product_blocks.ts` do. The window is a ring of 14 rows
 * of x, two tiles high; each call reads as many rows as its tile has, which are the last ones that the tile needs.
 *
 * Parameters: the address of these rows and the bytes from one to the next, the address of y and the bytes from row to
 * row, and the address of the offset.
 */
export function writeDepthwise(
  to: Writer,
  { taps, rows, half, joined }: DepthwiseBlock,
  tile: number,
  fused: boolean,
): void {
  const window = tile + Layout.tileBytes;
  const weights = window + Layout.weights;
  const [x, pitch, y, row, offset, _tiles, _fresh, firstVector] = Array(8).keys();
  const slot = (h: number) => window + line * ((most * half + h) % (2 * most));
  const width = joined ? 2 : 1;
  const source = (v: number) => firstVector + v;
  const weight = (r: number) => firstVector + width + r;
  const sum = (i: number, v: number) => firstVector + width + taps + i * width + v;

  to.number(1);
  to.take(width + taps + rows * width, vector);
  for (let h = taps - 1; h < taps - 1 + rows; h++) {
    for (let at = 0; at < line; at += 16) {
      to.store(slot(h) + at, () => {
        to.take(op.get, x);
        to.access(op.load, at);
      });
    }
    to.advance(x, x, op.get, pitch);
  }
  const eachSum = (write: (local: number, i: number, v: number) => void) => {
    for (let i = 0; i < rows; i++) for (let v = 0; v < width; v++) write(sum(i, v), i, v);
  };
  for (let first = 0; first < 32; first += 16 * width) {
    to.take(op.get, offset);
    to.access(op.splat, 0);
    to.take(op.set, source(0));
    eachSum((local) => {
      to.take(op.get, source(0));
      to.take(op.set, local);
    });
    for (let s = 0; s < taps; s++) {
      for (let r = 0; r < taps; r++) to.load(weights + 4 * (r * taps + s), weight(r), op.splat);
      for (let h = 0; h < rows + taps - 1; h++) {
        for (let v = 0; v < width; v++) to.load(slot(h) + first + 4 * s + 16 * v, source(v));
        eachSum((local, i, v) => {
          if (h >= i && h < i + taps) to.multiplyAdd(local, weight(h - i), source(v), fused);
        });
      }
    }
    if (joined) eachSum((local, i, v) => to.store(tile + 32 * i + 16 * v, () => to.take(op.get, local)));
    eachSum((local, i, v) => {
      to.take(op.get, y);
      if (joined) {
        to.take(op.constant, 0);
        to.access(op.load, tile + 32 * i + 16 * v);
      } else to.take(op.get, local);
      to.access(op.store, first + 16 * v);
      if (v === width - 1) to.advance(y, y, op.get, row);
    });
    if (!joined && first === 0) {
      for (let i = 0; i < rows; i++) {
        to.take(op.get, y);
        to.take(op.get, row);
        to.byte(op.minus);
        to.take(op.set, y);
      }
    }
  }
  to.byte(op.end);
}
