import type { WasmCall } from "../../devices/cpu/wasm_call.ts";
import type { Dims } from "../../devices/device.ts";

/** y = a b for strides in elements of a along m and k, of b along k and n. */
export function product(
  { a, b, y }: Readonly<Record<"a" | "b" | "y", number>>,
  { A, B, Y, M, N, K }: Dims,
  strides: readonly [am: number, ak: number, bk: number, bn: number],
): readonly WasmCall[] {
  const [am, ak, bk, bn] = strides.map((stride) => 4 * stride);
  return [{ kernel: "matmul", args: { a, b, y, A, B, Y, M, N, K, am, ak, bk, bn } }];
}

/**
 * Parts of a sum over images that run in parallel: as many as threads are useful, on every machine, so that results
 * agree.
 */
export function partsOf(run: number): number {
  return Math.min(8, run);
}

/**
 * Sums over images and pixels of a[n][m][pixel] b[n][k][pixel] for groups of `run` images each, to y[group][m][k].
 *
 * @param folded whether the channels of b are the four taps of planes twice as high and wide
 */
export function correlation(
  [a, b, y]: readonly [a: number, b: number, y: number],
  dims: Readonly<Record<"N" | "M" | "H" | "W" | "K" | "groups" | "run" | "folded", number>>,
): readonly WasmCall[] {
  const { groups, run, M, K } = dims;
  const parts = partsOf(run);
  return [
    { kernel: "correlateParts", args: { a, b, ...dims, parts } },
    { kernel: "sumParts", args: { y, groups, parts, n: M * K } },
  ];
}
