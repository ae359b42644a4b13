import type { NumberArray } from "../../../devices/device.ts";

/**
 * Winograd's F(4x4, 3x3), by which 36 multiplications make 16 pixels instead of 144:
 *
 *   y = A' [(G g G') * (B' d B)] A,   dg = G' [(B' d B) * (A dy A')] G     (* elementwise, ' transposed)
 *
 * d are overlapping 6x6 tiles of the source, y and dy 4x4 tiles of the target, g 3x3 weights. Each of the 36 elements
 * is a product of matrices over channels (or tiles). These matrices are what the references compute with; `steps.wgsl`
 * computes the same with fewer operations.
 *
 * Source: Winograd 1980, Arithmetic complexity of computations; Lavin and Gray 2015, arXiv:1509.09308
 */
export const sourceMatrix: readonly (readonly number[])[] = [ // B'
  [4, 0, -5, 0, 1, 0],
  [0, -4, -4, 1, 1, 0],
  [0, 4, -4, -1, 1, 0],
  [0, -2, -1, 2, 1, 0],
  [0, 2, -1, -2, 1, 0],
  [0, 4, 0, -5, 0, 1],
];

/** G. */
export const weightMatrix: readonly (readonly number[])[] = [
  [1 / 4, 0, 0],
  [-1 / 6, -1 / 6, -1 / 6],
  [-1 / 6, 1 / 6, -1 / 6],
  [1 / 24, 1 / 12, 1 / 6],
  [1 / 24, -1 / 12, 1 / 6],
  [0, 0, 1],
];

/** A'. */
export const targetMatrix: readonly (readonly number[])[] = [
  [1, 1, 1, 1, 1, 0],
  [0, 1, -1, 2, -2, 0],
  [0, 1, 1, 4, 4, 0],
  [0, 1, -1, 8, -8, 1],
];

/** A matrix with rows and columns swapped. */
export function transposed(m: readonly (readonly number[])[]): readonly (readonly number[])[] {
  return m[0].map((_, j) => m.map((row) => row[j]));
}

/** m v m' of a square tile v given by its elements, row by row. */
export function bothSides(
  m: readonly (readonly number[])[],
  v: (i: number, j: number) => number,
): number[] {
  const inner = m[0].length;
  return m.flatMap((left) =>
    m.map((right) => {
      let total = 0;
      for (let i = 0; i < inner; i++) {
        for (let j = 0; j < inner; j++) {
          if (left[i] !== 0 && right[j] !== 0) total += left[i] * right[j] * v(i, j);
        }
      }
      return total;
    })
  );
}

/** An element of an image, or 0 beyond its edges. */
export function pixelOf(image: NumberArray, at: number, H: number, W: number) {
  return (h: number, w: number): number => h >= 0 && h < H && w >= 0 && w < W ? image[at + h * W + w] : 0;
}
