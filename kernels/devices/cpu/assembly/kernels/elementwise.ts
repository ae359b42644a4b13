// Elementwise functions of one or two arrays. A task is a block of elements.

import { firstRow, firstTask, nextRow, nextTask } from "../call.ts";
import { Binary, Unary } from "../../elementwise_functions.ts";
import { add, loadEvery, madd, mul, splat, storeFirst, sub } from "../simd.ts";
import { exp, geluRow, geluSlope, logistic } from "../vector_functions.ts";
import { Walk } from "../walk.ts";

/** Elements per task. */
const BLOCK: i32 = 8192;

/** End of the block that starts at `first`, in arrays of n. */
function endOf(first: i32, n: i32): i32 {
  return min(n, first + BLOCK);
}

function valueOf(f: i32, x: v128): v128 {
  switch (f) {
    case Unary.silu:
      return mul(x, logistic(x));
    case Unary.relu:
      return f32x4.max(x, splat(0));
    case Unary.sigmoid:
      return logistic(x);
    case Unary.square:
      return mul(x, x);
    case Unary.sqrt:
      return f32x4.sqrt(x);
    case Unary.abs:
      return f32x4.abs(x);
    default:
      return exp(x);
  }
}

function slopeOf(f: i32, x: v128): v128 {
  switch (f) {
    case Unary.gelu:
      return geluSlope(x);
    case Unary.silu: {
      const s = logistic(x);
      return mul(s, madd(x, sub(splat(1), s), splat(1)));
    }
    case Unary.relu:
      return v128.and(f32x4.gt(x, splat(0)), splat(1));
    case Unary.sigmoid: {
      const s = logistic(x);
      return mul(s, sub(splat(1), s));
    }
    case Unary.square:
      return add(x, x);
    case Unary.sqrt:
      return f32x4.div(splat(0.5), f32x4.sqrt(x));
    case Unary.abs: {
      const sign = v128.or(v128.and(x, splat(-0.0)), splat(1));
      return v128.bitselect(sign, x, v128.or(f32x4.lt(x, splat(0)), f32x4.gt(x, splat(0)))); // keeps 0 and NaN
    }
    default:
      return exp(x);
  }
}

/** y = f(x). */
export function unary(call: usize, x: usize, y: usize, n: i32, f: i32): void {
  for (let i = firstTask(call, n, BLOCK); i >= 0; i = nextTask()) {
    if (f == Unary.gelu) {
      const first: usize = (<usize> i) << 2;
      geluRow(x + first, y + first, endOf(i, n) - i);
      continue;
    }
    for (let j = i; j < endOf(i, n); j += 4) {
      const at: usize = (<usize> j) << 2;
      storeFirst(y + at, valueOf(f, v128.load(x + at)), n - j);
    }
  }
}

/** dx = f'(x) dy. */
export function unaryGradient(call: usize, x: usize, dy: usize, dx: usize, n: i32, f: i32): void {
  for (let i = firstTask(call, n, BLOCK); i >= 0; i = nextTask()) {
    for (let j = i; j < endOf(i, n); j += 4) {
      const at: usize = (<usize> j) << 2;
      storeFirst(dx + at, mul(v128.load(dy + at), slopeOf(f, v128.load(x + at))), n - j);
    }
  }
}

/** Separate from `combine`, whose short switch keeps arithmetic fast. */
function compare(f: i32, a: v128, b: v128): v128 {
  if (f == Binary.maximum) return f32x4.max(a, b);
  if (f == Binary.minimum) return f32x4.min(a, b);
  return v128.and(f32x4.gt(a, b), i32x4.splat(1));
}

function combine(f: i32, a: v128, b: v128): v128 {
  switch (f) {
    case Binary.add:
      return add(a, b);
    case Binary.subtract:
      return sub(a, b);
    case Binary.multiply:
      return mul(a, b);
    default:
      return f == Binary.divide ? f32x4.div(a, b) : compare(f, a, b);
  }
}

/** y = f(a, b) for arrays of one shape. */
export function binary(call: usize, a: usize, b: usize, y: usize, n: i32, f: i32): void {
  for (let i = firstTask(call, n, BLOCK); i >= 0; i = nextTask()) {
    for (let j = i; j < endOf(i, n); j += 4) {
      const at: usize = (<usize> j) << 2;
      storeFirst(y + at, combine(f, v128.load(a + at), v128.load(b + at)), n - j);
    }
  }
}

/** y = f(a, b) for arrays along four axes n0 .. n3. A task is some rows along the last axis. */
export function broadcast(
  call: usize, a: usize, b: usize, y: usize, f: i32, n0: i32, n1: i32, n2: i32, n3: i32, walkA: Walk,
  walkB: Walk,
): void {
  const stepA = walkA.step, stepB = walkB.step;
  const rows = n0 * n1 * n2;
  const perTask = max(1, BLOCK / max(1, n3));
  for (let row = firstRow(call, rows, perTask); row >= 0; row = nextRow()) {
    const i2 = row % n2, i1 = row / n2 % n1, i0 = row / (n2 * n1);
    const rowA = a + walkA.rowAt(i0, i1, i2);
    const rowB = b + walkB.rowAt(i0, i1, i2);
    const to = y + ((<usize> (row * n3)) << 2);
    for (let j = 0; j < n3; j += 4) {
      const lane = <usize> j;
      const left = loadEvery(rowA + lane * stepA, stepA), right = loadEvery(rowB + lane * stepB, stepB);
      storeFirst(to + (lane << 2), combine(f, left, right), n3 - j);
    }
  }
}

/** y = scale x + shift. */
export function affine(call: usize, x: usize, y: usize, S: i32, scale: f32, shift: f32): void {
  const a = splat(scale), b = splat(shift);
  for (let i = firstTask(call, S, BLOCK); i >= 0; i = nextTask()) {
    for (let j = i; j < endOf(i, S); j += 4) {
      const at: usize = (<usize> j) << 2;
      storeFirst(y + at, madd(a, v128.load(x + at), b), S - j);
    }
  }
}
