// Elementwise functions of three arrays. A task is some rows along the last axis, or part of one.

import { firstRow, nextRow } from "../call.ts";
import { Ternary } from "../../elementwise_functions.ts";
import { loadEvery, mul, splat, storeFirst } from "../simd.ts";
import { Walk } from "../walk.ts";

/** Elements per task. */
const BLOCK: i32 = 8192;

function combine(f: i32, u: v128, v: v128, w: v128): v128 {
  if (f == Ternary.where) return v128.bitselect(w, v, i32x4.eq(u, i32x4.splat(0)));
  const share = v128.bitselect(mul(w, splat(0.5)), w, f32x4.eq(u, v));
  return v128.andnot(share, f32x4.lt(u, v));
}

/** y = f(u, v, w) for arrays along four axes n0 .. n3. */
export function ternary(
  call: usize, u: usize, v: usize, w: usize, y: usize, f: i32, n0: i32, n1: i32, n2: i32, n3: i32, walkU: Walk,
  walkV: Walk, walkW: Walk,
): void {
  const stepU = walkU.step, stepV = walkV.step, stepW = walkW.step;
  const parts = max(1, (n3 + BLOCK - 1) / BLOCK);
  const pieces = n0 * n1 * n2 * parts;
  const perTask = max(1, BLOCK / max(1, n3));
  for (let piece = firstRow(call, pieces, perTask); piece >= 0; piece = nextRow()) {
    const row = piece / parts;
    const start = piece % parts * BLOCK;
    const i2 = row % n2, i1 = row / n2 % n1, i0 = row / (n2 * n1);
    const rowU = u + walkU.rowAt(i0, i1, i2);
    const rowV = v + walkV.rowAt(i0, i1, i2);
    const rowW = w + walkW.rowAt(i0, i1, i2);
    const to = y + ((<usize> (row * n3)) << 2);
    for (let j = start; j < min(n3, start + BLOCK); j += 4) {
      const lane = <usize> j;
      const first = loadEvery(rowU + lane * stepU, stepU);
      const second = loadEvery(rowV + lane * stepV, stepV);
      const third = loadEvery(rowW + lane * stepW, stepW);
      storeFirst(to + (lane << 2), combine(f, first, second, third), n3 - j);
    }
  }
}
