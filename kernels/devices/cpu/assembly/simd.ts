// Operations on four f32 at a time. The kernels are built twice: with fused multiply-add, and for engines without it.

/** a b + c. */
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** c - a b. */
export function nmadd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_nmadd(a, b, c);
  return f32x4.sub(c, f32x4.mul(a, b));
}

/**
 * Four copies of the number at an address. Use it for constants: engines build a vector constant with several
 * instructions at every use, but load one from memory with a single instruction.
 */
export function at(address: usize): v128 {
  return v128.load_splat<f32>(address);
}

export function splat(x: f32): v128 {
  return f32x4.splat(x);
}

export function add(a: v128, b: v128): v128 {
  return f32x4.add(a, b);
}

export function sub(a: v128, b: v128): v128 {
  return f32x4.sub(a, b);
}

export function mul(a: v128, b: v128): v128 {
  return f32x4.mul(a, b);
}

const MASKS = memory.data<i32>([0, 0, 0, 0, -1, 0, 0, 0, -1, -1, 0, 0, -1, -1, -1, 0, -1, -1, -1, -1]);

/** Mask of the first `count` lanes; all lanes from 4 on. */
export function firstLanes(count: i32): v128 {
  return v128.load(MASKS + ((<usize> min(count, 4)) << 4));
}

/** The largest of the four lanes; NaN if any is NaN. */
export function topOf(v: v128): f32 {
  return max(
    max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)),
    max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  );
}

/**
 * Square root of a number, by an instruction for vectors: V8 encodes the one for numbers in the old way, which on some
 * processors takes 130 ns after code with wide vectors.
 */
export function squareRoot(x: f32): f32 {
  return f32x4.extract_lane(f32x4.sqrt(splat(x)), 0);
}

/** Sum of the four lanes. */
export function total(v: v128): f32 {
  return (f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1)) +
    (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

/** Loads four elements that are `step` bytes apart. */
export function loadEvery(at: usize, step: usize): v128 {
  if (step == 4) return v128.load(at);
  let v = v128.load_splat<f32>(at);
  if (step == 0) return v;
  v = v128.load_lane<f32>(at + step, v, 1);
  v = v128.load_lane<f32>(at + 2 * step, v, 2);
  return v128.load_lane<f32>(at + 3 * step, v, 3);
}

/** Stores the first `left` lanes of v, at most four: loads may pass the end of an array, stores may not. */
export function storeFirst(to: usize, v: v128, left: i32): void {
  if (left >= 4) {
    v128.store(to, v);
    return;
  }
  store<f32>(to, f32x4.extract_lane(v, 0));
  if (left > 1) store<f32>(to, f32x4.extract_lane(v, 1), 4);
  if (left > 2) store<f32>(to, f32x4.extract_lane(v, 2), 8);
}
