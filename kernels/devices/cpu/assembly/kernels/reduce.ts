// Sums, squared errors and softmax.

import { firstRow, nextRow } from "../call.ts";
import { copyRow, fillRow } from "../rows.ts";
import { exp } from "../vector_functions.ts";
import { add, firstLanes, madd, mul, splat, storeFirst, sub, topOf, total } from "../simd.ts";

/** Approximate number of elements that a task reads. */
const BLOCK: i32 = 8192;
/** Terms of a partial sum: adding partial sums keeps long f32 sums accurate. */
const RUN: i32 = 256;

function sumRow(x: usize, n: i32): f32 {
  let whole: f32 = 0;
  for (let start = 0; start < n; start += RUN) {
    const end = min(n, start + RUN);
    let s = splat(0);
    let i = start;
    for (; i + 4 <= end; i += 4) s = add(s, v128.load(x + ((<usize> i) << 2)));
    let rest: f32 = 0;
    for (; i < end; i++) rest += load<f32>(x + ((<usize> i) << 2));
    whole += total(s) + rest;
  }
  return whole;
}

/** y[a][s][b] = sum over run s of `chunk` elements of x[a][r][b]. A task is some results. */
export function sumChunks(call: usize, x: usize, y: usize, A: i32, R: i32, B: i32, S: i32, chunk: i32): void {
  if (B == 1) {
    const perTask = max(1, BLOCK / chunk);
    for (let i = firstRow(call, A * S, perTask); i >= 0; i = nextRow()) {
      const start = i % S * chunk;
      const sum = sumRow(x + ((<usize> (i / S * R + start)) << 2), min(chunk, R - start));
      store<f32>(y + ((<usize> i) << 2), sum);
    }
    return;
  }
  // Sixteen columns at a time, which share a line of the cache.
  const across = (B + 15) >> 4;
  const perTask = max(1, BLOCK / (16 * chunk));
  const step: usize = (<usize> B) << 2;
  for (let i = firstRow(call, A * S * across, perTask); i >= 0; i = nextRow()) {
    const b = i % across << 4;
    const s = i / across % S;
    const a = i / (across * S);
    const start = s * chunk;
    const rows = min(R - start, chunk);
    const columns = min(B - b, 16);
    const from = x + ((<usize> ((a * R + start) * B + b)) << 2);
    const to = y + ((<usize> ((a * S + s) * B + b)) << 2);
    if (columns == 16) sumSixteen(from, step, rows, to);
    else {for (let n = 0; n < columns; n += 4) {
        const at: usize = (<usize> n) << 2;
        storeFirst(to + at, sumFour(from + at, step, rows), columns - n);
      }}
  }
}

/** Sums of four columns, `step` bytes from row to row. */
function sumFour(x: usize, step: usize, rows: i32): v128 {
  let whole = splat(0);
  for (; rows > 0; rows -= 32) {
    let part = splat(0);
    for (let k = min(rows, 32); k > 0; k--, x += step) part = add(part, v128.load(x));
    whole = add(whole, part);
  }
  return whole;
}

/** The same for sixteen columns. */
function sumSixteen(x: usize, step: usize, rows: i32, y: usize): void {
  let s0 = splat(0), s1 = s0, s2 = s0, s3 = s0;
  for (; rows > 0; rows -= 32) {
    let t0 = splat(0), t1 = t0, t2 = t0, t3 = t0;
    for (let k = min(rows, 32); k > 0; k--, x += step) {
      t0 = add(t0, v128.load(x));
      t1 = add(t1, v128.load(x, 16));
      t2 = add(t2, v128.load(x, 32));
      t3 = add(t3, v128.load(x, 48));
    }
    s0 = add(s0, t0);
    s1 = add(s1, t1);
    s2 = add(s2, t2);
    s3 = add(s3, t3);
  }
  v128.store(y, s0);
  v128.store(y, s1, 16);
  v128.store(y, s2, 32);
  v128.store(y, s3, 48);
}

/** dx[a][r][b] = dy[a][r / chunk][b]. A task is some rows of results. */
export function spreadChunks(
  call: usize, dy: usize, dx: usize, A: i32, R: i32, B: i32, S: i32, chunk: i32,
): void {
  const perTask = max(1, BLOCK / (chunk * B));
  for (let task = firstRow(call, A * S, perTask); task >= 0; task = nextRow()) {
    const start = task % S * chunk;
    const a = task / S;
    const rows = min(chunk, R - start);
    const from = dy + ((<usize> (task * B)) << 2);
    let to = dx + ((<usize> ((a * R + start) * B)) << 2);
    if (B == 1) fillRow(to, load<f32>(from), rows);
    else for (let r = 0; r < rows; r++, to += (<usize> B) << 2) copyRow(from, to, B);
  }
}

/** Sums of (a - b)^2 over runs. A task is some runs. */
export function squaredErrors(call: usize, a: usize, b: usize, y: usize, n: i32, chunk: i32, S: i32): void {
  const perTask = max(1, BLOCK / chunk);
  for (let s = firstRow(call, S, perTask); s >= 0; s = nextRow()) {
    const end = min(n, (s + 1) * chunk);
    let sum = splat(0);
    let rest: f32 = 0;
    let i = s * chunk;
    for (; i + 4 <= end; i += 4) {
      const d = sub(v128.load(a + ((<usize> i) << 2)), v128.load(b + ((<usize> i) << 2)));
      sum = madd(d, d, sum);
    }
    for (; i < end; i++) {
      const d = load<f32>(a + ((<usize> i) << 2)) - load<f32>(b + ((<usize> i) << 2));
      rest += d * d;
    }
    store<f32>(y + ((<usize> s) << 2), total(sum) + rest);
  }
}

/** da = 2 (a - b) dy, with the dy of the run. A task is some runs. */
export function squaredErrorsGradient(
  call: usize, a: usize, b: usize, dy: usize, da: usize, n: i32, chunk: i32, S: i32,
): void {
  const perTask = max(1, BLOCK / chunk);
  for (let s = firstRow(call, S, perTask); s >= 0; s = nextRow()) {
    const end = min(n, (s + 1) * chunk);
    const slope: f32 = <f32> 2 * load<f32>(dy + ((<usize> s) << 2));
    for (let i = s * chunk; i < end; i += 4) {
      const at: usize = (<usize> i) << 2;
      storeFirst(da + at, mul(sub(v128.load(a + at), v128.load(b + at)), splat(slope)), end - i);
    }
  }
}

/** Softmax of rows. A task is some rows. */
export function softmax(call: usize, x: usize, y: usize, R: i32, C: i32): void {
  const perTask = max(1, BLOCK / C);
  const row: usize = (<usize> C) << 2;
  for (let r = firstRow(call, R, perTask); r >= 0; r = nextRow()) {
    const from = x + (<usize> r) * row, to = y + (<usize> r) * row;
    let top = v128.load_splat<f32>(from);
    for (let c = 0; c < C; c += 4) {
      const v = v128.load(from + ((<usize> c) << 2));
      top = f32x4.max(top, C - c >= 4 ? v : v128.bitselect(v, top, firstLanes(C - c)));
    }
    const most = splat(topOf(top));
    let sum = splat(0);
    for (let c = 0; c < C; c += 4) {
      const at: usize = (<usize> c) << 2;
      const v = exp(sub(v128.load(from + at), most));
      storeFirst(to + at, v, C - c);
      sum = add(sum, C - c >= 4 ? v : v128.and(v, firstLanes(C - c)));
    }
    const scale = splat(1 / total(sum));
    for (let c = 0; c < C; c += 4) {
      const at: usize = (<usize> c) << 2;
      storeFirst(to + at, mul(v128.load(to + at), scale), C - c);
    }
  }
}

/** dx = y (dy - sum(y dy)). A task is some rows. */
export function softmaxGradient(call: usize, y: usize, dy: usize, dx: usize, R: i32, C: i32): void {
  const perTask = max(1, BLOCK / C);
  const row: usize = (<usize> C) << 2;
  for (let r = firstRow(call, R, perTask); r >= 0; r = nextRow()) {
    const first = (<usize> r) * row;
    let sum = splat(0);
    for (let c = 0; c < C; c += 4) {
      const at = first + ((<usize> c) << 2);
      const v = mul(v128.load(y + at), v128.load(dy + at));
      sum = add(sum, C - c >= 4 ? v : v128.and(v, firstLanes(C - c)));
    }
    const dot = splat(total(sum));
    for (let c = 0; c < C; c += 4) {
      const at = first + ((<usize> c) << 2);
      storeFirst(dx + at, mul(v128.load(y + at), sub(v128.load(dy + at), dot)), C - c);
    }
  }
}
