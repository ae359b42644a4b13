import type { NumberArray } from "../../devices/device.ts";
import nanWgsl from "../elementwise/nan.wgsl" with { type: "text" };

/** The largest number of a row, NaN if one is, and the sum of exp(x - top) over it. */
export function expSum(row: NumberArray): { readonly top: number; readonly total: number } {
  let top = -Infinity, total = 0;
  for (const x of row) top = Math.max(top, x);
  for (const x of row) total += Math.exp(x - top);
  return { top, total };
}

/** WGSL of `topOf` and `sumOfExp`, which do the same for the row of a buffer of [R, C] that starts at `base`. */
export function expSumWgsl(x: string): string {
  return `${nanWgsl}
fn topOf(base: u32) -> f32 {
  var top = ${x}[base];
  for (var c = 1u; c < dims.C; c++) {
    let v = ${x}[base + c];
    if (!isNan(top) && (v > top || isNan(v))) { top = v; }
  }
  return top;
}
fn sumOfExp(base: u32, top: f32) -> f32 {
  var total = 0.0;
  for (var c = 0u; c < dims.C; c++) { total += exp(${x}[base + c] - top); }
  return total;
}
`;
}
