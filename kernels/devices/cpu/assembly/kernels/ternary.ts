// Elementwise functions of three arrays. A task is some rows along the last axis, or part of one.

import { firstRow, nextRow } from "../call.ts";
import { Ternary } from "../../elementwise_functions.ts";
import { loadEvery, mul, splat, storeFirst } from "../simd.ts";

/** Elements per task. */
const BLOCK: i32 = 8192;

function combine(f: i32, u: v128, v: v128, w: v128): v128 {
  if (f == Ternary.where) return v128.bitselect(w, v, i32x4.eq(u, i32x4.splat(0)));
  const share = v128.bitselect(mul(w, splat(0.5)), w, f32x4.eq(u, v));
  return v128.andnot(share, f32x4.lt(u, v));
}

/** y = f(u, v, w), each read with strides along four axes n0 .. n3. */
export function ternary(
  call: usize, u: usize, v: usize, w: usize, y: usize, f: i32, n0: i32, n1: i32, n2: i32, n3: i32, u0: i32,
  v0: i32, w0: i32, u1: i32, v1: i32, w1: i32, u2: i32, v2: i32, w2: i32, u3: i32, v3: i32, w3: i32,
): void {
  const uStep: usize = (<usize> u3) << 2, vStep: usize = (<usize> v3) << 2, wStep: usize = (<usize> w3) << 2;
  const parts = max(1, (n3 + BLOCK - 1) / BLOCK), pieces = n0 * n1 * n2 * parts;
  const perTask = max(1, BLOCK / max(1, n3));
  for (let piece = firstRow(call, pieces, perTask); piece >= 0; piece = nextRow()) {
    const row = piece / parts, start = piece % parts * BLOCK;
    const i2 = row % n2, i1 = row / n2 % n1, i0 = row / (n2 * n1);
    const uRow = u + ((<usize> (i0 * u0 + i1 * u1 + i2 * u2)) << 2);
    const vRow = v + ((<usize> (i0 * v0 + i1 * v1 + i2 * v2)) << 2);
    const wRow = w + ((<usize> (i0 * w0 + i1 * w1 + i2 * w2)) << 2);
    const to = y + ((<usize> (row * n3)) << 2);
    for (let j = start; j < min(n3, start + BLOCK); j += 4) {
      const lane = <usize> j;
      const first = loadEvery(uRow + lane * uStep, uStep), second = loadEvery(vRow + lane * vStep, vStep);
      const third = loadEvery(wRow + lane * wStep, wStep);
      storeFirst(to + (lane << 2), combine(f, first, second, third), n3 - j);
    }
  }
}
