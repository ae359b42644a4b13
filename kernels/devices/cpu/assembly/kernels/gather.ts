// Gathers and their gradients. Indices are u32.

import { firstRow, firstTask, nextRow, nextTask } from "../call.ts";
import { copyRow } from "../rows.ts";
import { add, storeFirst } from "../simd.ts";

/** Approximate number of elements per task. */
const BLOCK: i32 = 8192;

/** Images of B words of bytes selected by index, as scale byte + shift; NaN if out of range. A task is an image. */
export function gatherImages(
  call: usize, bytes: usize, indices: usize, x: usize, B: i32, N: i32, P: i32, scale: f32, shift: f32,
): void {
  const images = ((<usize> B) << 2) / <usize> P;
  for (let n = firstTask(call, N); n >= 0; n = nextTask()) {
    const image = load<usize>(indices + ((<usize> n) << 2));
    const from = bytes + image * <usize> P;
    const to = x + ((<usize> (n * P)) << 2);
    if (image >= images) {
      for (let i: usize = 0; i < <usize> P; i++) store<f32>(to + (i << 2), NaN);
      continue;
    }
    for (let i: usize = 0; i < <usize> P; i++) {
      store<f32>(to + (i << 2), scale * <f32> load<u8>(from + i) + shift);
    }
  }
}

/** y[n] = table[indices[n]]; `missing`, the bits of a number, if there is no such row. A task is some rows. */
export function gatherRows(
  call: usize, table: usize, indices: usize, y: usize, M: i32, N: i32, P: i32, missing: i32,
): void {
  const perTask = max(1, BLOCK / max(1, P));
  for (let n = firstRow(call, N, perTask); n >= 0; n = nextRow()) {
    const row = load<u32>(indices + ((<usize> n) << 2));
    const to = y + ((<usize> (n * P)) << 2);
    if (row < <u32> M) copyRow(table + ((<usize> (row * P)) << 2), to, P);
    else for (let p = 0; p < P; p++) store<i32>(to + ((<usize> p) << 2), missing);
  }
}

/** dtable[m] = sum of dy[n] over the n with indices[n] = m, in their order. A task is some rows of dtable. */
export function scatterRows(
  call: usize, dy: usize, indices: usize, dtable: usize, N: i32, P: i32, M: i32,
): void {
  const perTask = max(1, max(M >> 4, BLOCK / max(1, P)));
  for (let first = firstTask(call, M, perTask); first >= 0; first = nextTask()) {
    const count = min(perTask, M - first);
    memory.fill(dtable + ((<usize> (first * P)) << 2), 0, (<usize> (count * P)) << 2);
    for (let n = 0; n < N; n++) {
      const row = load<u32>(indices + ((<usize> n) << 2)) - first;
      if (row >= <u32> count) continue;
      const from = dy + ((<usize> (n * P)) << 2);
      const to = dtable + ((<usize> ((first + row) * P)) << 2);
      for (let p = 0; p < P; p += 4) {
        const at: usize = (<usize> p) << 2;
        storeFirst(to + at, add(v128.load(to + at), v128.load(from + at)), P - p);
      }
    }
  }
}

/** y[a][s][b] = x[a][index[a][s][b]][b]. A task is a block of elements. */
export function pick(call: usize, x: usize, index: usize, y: usize, A: i32, R: i32, B: i32, S: i32): void {
  for (let i = firstRow(call, A * S * B, BLOCK); i >= 0; i = nextRow()) {
    const at: usize = (<usize> i) << 2;
    const from = (i / (S * B) * R + load<i32>(index + at)) * B + i % B;
    store<f32>(y + at, load<f32>(x + ((<usize> from) << 2)));
  }
}

/** dx is dy at the picked positions, else 0; picks of run s lie from s `chunk` on. A task is a run of a plane. */
export function place(
  call: usize, dy: usize, index: usize, dx: usize, A: i32, R: i32, B: i32, S: i32, chunk: i32,
): void {
  for (let task = firstTask(call, A * S); task >= 0; task = nextTask()) {
    const a = task / S;
    const start = task % S * chunk;
    const end = min(R, start + chunk);
    const to = dx + ((<usize> (a * R * B)) << 2);
    memory.fill(to + ((<usize> (start * B)) << 2), 0, (<usize> ((end - start) * B)) << 2);
    for (let b = 0; b < B; b++) {
      const at: usize = (<usize> (task * B + b)) << 2;
      store<f32>(to + ((<usize> (load<i32>(index + at) * B + b)) << 2), load<f32>(dy + at));
    }
  }
}
