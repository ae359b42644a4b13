// Constants and copies.

import { firstRow, firstTask, nextRow, nextTask } from "../call.ts";
import { copyRow, fillRow } from "../rows.ts";
import { splat, storeFirst } from "../simd.ts";

/** Elements of a task. */
const BLOCK: i32 = 8192;

/** y = value. */
export function fill(call: usize, y: usize, n: i32, value: f32): void {
  const v = splat(value);
  for (let i = firstTask(call, n, BLOCK); i >= 0; i = nextTask()) {
    for (let j = i; j < min(n, i + BLOCK); j += 4) storeFirst(y + ((<usize> j) << 2), v, n - j);
  }
}

/** y[index] = x; does nothing if the index is out of range. */
export function put(call: usize, y: usize, x: usize, index: usize, n: i32): void {
  if (firstTask(call, 1) < 0) return;
  const at = load<u32>(index);
  if (at < <u32> n) store<f32>(y + ((<usize> at) << 2), load<f32>(x));
}

/** Copies rows of bytes between arrays with strides. A task is some rows. */
export function copyRows(
  call: usize, from: usize, to: usize, rows: i32, bytes: usize, fromStep: usize, toStep: usize,
): void {
  const perTask = max(1, BLOCK * 4 / max(1, <i32> bytes));
  for (let row = firstRow(call, rows, perTask); row >= 0; row = nextRow()) {
    copyRow(from + (<usize> row) * fromStep, to + (<usize> row) * toStep, <i32> (bytes >> 2));
  }
}
