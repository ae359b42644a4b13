import type { WasmCall } from "../../devices/cpu/wasm_call.ts";

/**
 * Copies rows of `width` elements.
 *
 * @param from, to addresses of the first row of each
 * @param fromWidth, toWidth elements from one row to the next
 */
export function copyRows(
  from: number,
  to: number,
  rows: number,
  width: number,
  fromWidth: number,
  toWidth: number,
): WasmCall {
  return {
    kernel: "copyRows",
    args: { from, to, rows, bytes: 4 * width, fromStep: 4 * fromWidth, toStep: 4 * toWidth },
  };
}
