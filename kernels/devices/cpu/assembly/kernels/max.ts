// Positions of maxima.

import { firstRow, nextRow } from "../call.ts";
import { mul, splat, storeFirst } from "../simd.ts";

/** Approximate number of elements per task. */
const BLOCK: i32 = 8192;

/** Lanes where v is above the top so far, with NaN above all numbers. */
function isAbove(v: v128, top: v128): v128 {
  return v128.andnot(v128.or(f32x4.gt(v, top), f32x4.ne(v, v)), f32x4.ne(top, top));
}

/** Index of the first NaN of sign x, or else of the first maximum, among contiguous elements from `start` to `end`. */
function firstTop(x: usize, start: i32, end: i32, sign: v128): i32 {
  const last = end - 4;
  let at = i32x4.splat(start);
  let here = i32x4.add(at, i32x4(0, 1, 2, 3));
  let top = mul(v128.load_splat<f32>(x + ((<usize> start) << 2)), sign);
  let r = start;
  for (; r <= last; r += 4, here = i32x4.add(here, i32x4.splat(4))) {
    const v = mul(v128.load(x + ((<usize> r) << 2)), sign);
    const above = isAbove(v, top);
    top = v128.bitselect(v, top, above);
    at = v128.bitselect(here, at, above);
  }
  let best = i32x4.extract_lane(at, 0), value = f32x4.extract_lane(top, 0);
  for (let lane = 1; lane < 4; lane++) {
    top = i32x4.shuffle(top, top, 1, 2, 3, 0);
    at = i32x4.shuffle(at, at, 1, 2, 3, 0);
    const v = f32x4.extract_lane(top, 0), index = i32x4.extract_lane(at, 0);
    const isTie = v == value || (v != v && value != value);
    if (v > value || (v != v && value == value) || (isTie && index < best)) {
      value = v;
      best = index;
    }
  }
  for (; r < end; r++) {
    const v = load<f32>(x + ((<usize> r) << 2)) * f32x4.extract_lane(sign, 0);
    if (v > value || (v != v && value == value)) {
      value = v;
      best = r;
    }
  }
  return best;
}

/** Index of the first NaN of sign x, or else of the first maximum, in runs along the middle axis. A task is some runs. */
export function indexOfMax(
  call: usize, x: usize, index: usize, A: i32, R: i32, B: i32, S: i32, chunk: i32, sign: f32,
): void {
  const by = splat(sign);
  const step: usize = (<usize> B) << 2;
  const across = B == 1 ? 1 : (B + 3) >> 2;
  const perTask = max(1, BLOCK / (4 * chunk));
  for (let i = firstRow(call, A * S * across, perTask); i >= 0; i = nextRow()) {
    const b = i % across << 2;
    const s = i / across % S;
    const a = i / (across * S);
    const start = s * chunk;
    const end = min(R, start + chunk);
    const plane = x + ((<usize> (a * R)) * step);
    const to = index + ((<usize> ((a * S + s) * B + b)) << 2);
    if (B == 1) {
      store<i32>(to, firstTop(plane, start, end, by));
      continue;
    }
    let from = plane + (<usize> start) * step + ((<usize> b) << 2);
    let at = i32x4.splat(start);
    let top = mul(v128.load(from), by);
    for (let r = start + 1; r < end; r++) {
      from += step;
      const v = mul(v128.load(from), by);
      const above = isAbove(v, top);
      top = v128.bitselect(v, top, above);
      at = v128.bitselect(i32x4.splat(r), at, above);
    }
    storeFirst(to, at, B - b);
  }
}
