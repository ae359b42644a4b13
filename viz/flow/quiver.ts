import { checkInteger } from "../check.ts";

/** An arrow in an image, in pixels: x to the right, y down. */
export interface Arrow {
  /** Start, from the left border. */
  readonly x: number;
  /** Start, from the upper border. */
  readonly y: number;
  /** Length to the right. */
  readonly dx: number;
  /** Length downwards. */
  readonly dy: number;
}

/** Pixels along each side of the blocks that the reference averages over. */
export const blockSize = 4;

/**
 * The reference's quiver: the gradient of the velocity averaged over 4 x 4 blocks.
 *
 * Arrows point to where the averaged velocity rises. Nothing moves along them: the velocity of a pixel is the rate of
 * change of its value. Differences are per block, central inside and one-sided at the borders.
 *
 * @param velocity f32[H, W]
 * @returns the gradient at the centre of each block, row by row; blocks at the right and lower border may be smaller
 * @throws {RangeError} if the values do not fill [H, W]
 *
 * Source: the reference draws (dx, -dy) with y up, which is (dx, dy) with y down
 */
export function quiver(velocity: Float32Array, [H, W]: readonly [H: number, W: number]): Arrow[] {
  checkInteger("draw quiver", "H", H, 1);
  checkInteger("draw quiver", "W", W, 1);
  if (velocity.length !== H * W) {
    throw new RangeError(
      `Cannot draw quiver: velocity holds ${velocity.length} values (expected ${H * W}, f32[${H}, ${W}])`,
    );
  }
  const rows = Math.ceil(H / blockSize);
  const columns = Math.ceil(W / blockSize);
  const blocks = Array.from({ length: rows * columns }, () => ({ sum: 0, count: 0 }));
  velocity.forEach((v, i) => {
    const [row, column] = [Math.floor(i / W), i % W].map((place) => Math.floor(place / blockSize));
    const block = blocks[row * columns + column];
    block.sum += v;
    block.count++;
  });
  const means = blocks.map(({ sum, count }) => sum / count);
  const mean = (row: number, column: number) => means[row * columns + column];
  return means.map((_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    return {
      x: centre(column, W),
      y: centre(row, H),
      dx: difference((at) => mean(row, at), column, columns),
      dy: difference((at) => mean(at, column), row, rows),
    };
  });
}

/** The centre of a block, which the image's border may cut off. */
function centre(block: number, length: number): number {
  const start = block * blockSize;
  return (start + Math.min(start + blockSize, length)) / 2;
}

function difference(value: (at: number) => number, at: number, length: number): number {
  const [before, after] = [Math.max(at - 1, 0), Math.min(at + 1, length - 1)];
  return after === before ? 0 : (value(after) - value(before)) / (after - before);
}
