// Element by element: functions of one or two arrays, and copies. A task is a block of elements.

import { nextTask, number, pointer, word } from "./call.ts";
import { exp, gelu, geluSlope, logistic } from "./maths.ts";
import { Binary, Unary } from "./opcodes.ts";
import { add, madd, mul, splat, storeFirst, sub } from "./simd.ts";

/** Elements of a task. */
const BLOCK: i32 = 8192;

/** The end of a block that starts at `first`, for arrays of n. */
function endOf(first: i32, n: i32): i32 {
  return min(n, first + BLOCK);
}

function valueOf(f: i32, x: v128): v128 {
  switch (f) {
    case Unary.gelu:
      return gelu(x);
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
    default:
      return exp(x);
  }
}

/** y = f(x). */
export function unary(call: usize): void {
  const x = pointer(call, 0), y = pointer(call, 1), n = word(call, 2), f = word(call, 3);
  for (let i = nextTask(call) * BLOCK; i < n; i = nextTask(call) * BLOCK) {
    for (let j = i; j < endOf(i, n); j += 4) {
      const at: usize = (<usize> j) << 2;
      storeFirst(y + at, valueOf(f, v128.load(x + at)), n - j);
    }
  }
}

/** dx = f'(x) dy. */
export function unaryGradient(call: usize): void {
  const x = pointer(call, 0),
    dy = pointer(call, 1),
    dx = pointer(call, 2),
    n = word(call, 3),
    f = word(call, 4);
  for (let i = nextTask(call) * BLOCK; i < n; i = nextTask(call) * BLOCK) {
    for (let j = i; j < endOf(i, n); j += 4) {
      const at: usize = (<usize> j) << 2;
      storeFirst(dx + at, mul(v128.load(dy + at), slopeOf(f, v128.load(x + at))), n - j);
    }
  }
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
      return f32x4.div(a, b);
  }
}

/** y = f(a, b), both read in order. */
export function binary(call: usize): void {
  const a = pointer(call, 0),
    b = pointer(call, 1),
    y = pointer(call, 2),
    n = word(call, 3),
    f = word(call, 4);
  for (let i = nextTask(call) * BLOCK; i < n; i = nextTask(call) * BLOCK) {
    for (let j = i; j < endOf(i, n); j += 4) {
      const at: usize = (<usize> j) << 2;
      storeFirst(y + at, combine(f, v128.load(a + at), v128.load(b + at)), n - j);
    }
  }
}

/** Four elements, `step` apart. */
function loadEvery(at: usize, step: usize): v128 {
  if (step == 4) return v128.load(at);
  let v = v128.load_splat<f32>(at);
  if (step == 0) return v;
  v = v128.load_lane<f32>(at + step, v, 1);
  v = v128.load_lane<f32>(at + 2 * step, v, 2);
  return v128.load_lane<f32>(at + 3 * step, v, 3);
}

/** y = f(a, b), each walked by strides along four axes n0 .. n3. A task is some rows along the last axis. */
export function broadcast(call: usize): void {
  const a = pointer(call, 0), b = pointer(call, 1), y = pointer(call, 2), f = word(call, 3);
  const n0 = word(call, 4), n1 = word(call, 7), n2 = word(call, 10), n3 = word(call, 13);
  const aStep: usize = pointer(call, 14) << 2, bStep: usize = pointer(call, 15) << 2;
  const rows = n0 * n1 * n2, perTask = max(1, BLOCK / n3);
  for (let first = nextTask(call) * perTask; first < rows; first = nextTask(call) * perTask) {
    for (let row = first; row < min(rows, first + perTask); row++) {
      const i2 = row % n2, i1 = row / n2 % n1, i0 = row / (n2 * n1);
      const u = a + ((<usize> (i0 * word(call, 5) + i1 * word(call, 8) + i2 * word(call, 11))) << 2);
      const v = b + ((<usize> (i0 * word(call, 6) + i1 * word(call, 9) + i2 * word(call, 12))) << 2);
      const to = y + ((<usize> (row * n3)) << 2);
      for (let j = 0; j < n3; j += 4) {
        const lane = <usize> j;
        storeFirst(
          to + (lane << 2),
          combine(f, loadEvery(u + lane * aStep, aStep), loadEvery(v + lane * bStep, bStep)),
          n3 - j,
        );
      }
    }
  }
}

/** y = scale x + shift. */
export function affine(call: usize): void {
  const x = pointer(call, 0), y = pointer(call, 1), n = word(call, 2);
  const scale = splat(number(call, 3)), shift = splat(number(call, 4));
  for (let i = nextTask(call) * BLOCK; i < n; i = nextTask(call) * BLOCK) {
    for (let j = i; j < endOf(i, n); j += 4) {
      const at: usize = (<usize> j) << 2;
      storeFirst(y + at, madd(scale, v128.load(x + at), shift), n - j);
    }
  }
}

/** Every element the same. */
export function fill(call: usize): void {
  const y = pointer(call, 0), n = word(call, 1), value = splat(number(call, 2));
  for (let i = nextTask(call) * BLOCK; i < n; i = nextTask(call) * BLOCK) {
    for (let j = i; j < endOf(i, n); j += 4) storeFirst(y + ((<usize> j) << 2), value, n - j);
  }
}

/** y[index] = x, where there is such an element. */
export function put(call: usize): void {
  const y = pointer(call, 0), x = pointer(call, 1), index = pointer(call, 2), n = word(call, 3);
  if (nextTask(call) > 0) return;
  const at = load<u32>(index);
  if (at < <u32> n) store<f32>(y + ((<usize> at) << 2), load<f32>(x));
}

/** Rows of bytes from one place to another, each with a stride. A task is some rows. */
export function copyRows(call: usize): void {
  const from = pointer(call, 0), to = pointer(call, 1), rows = word(call, 2);
  const bytes = pointer(call, 3), fromStep = pointer(call, 4), toStep = pointer(call, 5);
  const perTask = max(1, BLOCK * 4 / <i32> bytes);
  for (let first = nextTask(call) * perTask; first < rows; first = nextTask(call) * perTask) {
    for (let row = first; row < min(rows, first + perTask); row++) {
      memory.copy(to + (<usize> row) * toStep, from + (<usize> row) * fromStep, bytes);
    }
  }
}

/** Images of bytes picked by index, as scale byte + shift. A task is an image. */
export function gatherImages(call: usize): void {
  const bytes = pointer(call, 0), indices = pointer(call, 1), x = pointer(call, 2);
  const N = word(call, 3), P = word(call, 4);
  const scale = number(call, 5), shift = number(call, 6);
  for (let n = nextTask(call); n < N; n = nextTask(call)) {
    const from = bytes + load<usize>(indices + ((<usize> n) << 2)) * <usize> P;
    const to = x + ((<usize> (n * P)) << 2);
    for (let i: usize = 0; i < <usize> P; i++) {
      store<f32>(to + (i << 2), scale * <f32> load<u8>(from + i) + shift);
    }
  }
}
