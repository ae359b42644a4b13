// Square kernels of five taps a side and more by Winograd's F(4x4, 5x5), on 8x8 tiles: 64 multiplications make 16 pixels
// instead of 400. The points are 0, 1, -1, 2, -2, 1/2, -1/2 and infinity; `winograd_source.ts` has the formulas.
//
// A kernel of more taps is a sum of kernels of four or five taps on images that are shifted by four pixels. That is a
// tile, so the transformed tiles of the shifted images are those of the image. If no part has five taps, the weights
// have a zero at infinity, so tiles need only seven points.

import { add, at as constant, firstLanes, madd, mul, nmadd, splat, sub } from "./simd.ts";
import { storeColumns } from "./gemm.ts";
import { Sizes } from "./winograd_sizes.ts";
import { storeRow } from "./winograd_target.ts";

const EIGHTH = memory.data<f32>([0.125]);
const QUARTER = memory.data<f32>([0.25]);
const HALF = memory.data<f32>([0.5]);
const FIVE_QUARTERS = memory.data<f32>([1.25]);
const TWO = memory.data<f32>([2.0]);
const FIVE_HALVES = memory.data<f32>([2.5]);
const FOUR = memory.data<f32>([4.0]);
const SEVENTEEN_QUARTERS = memory.data<f32>([4.25]);
const FIVE = memory.data<f32>([5.0]);
const TWENTY_ONE_QUARTERS = memory.data<f32>([5.25]);
const EIGHT = memory.data<f32>([8.0]);

/** B' d of eight vectors, at seven or eight points. */
function sourceStep(from: usize, fromStep: usize, to: usize, toStep: usize): void {
  const v0 = v128.load(from), v1 = v128.load(from += fromStep), v2 = v128.load(from += fromStep);
  const v3 = v128.load(from += fromStep), v4 = v128.load(from += fromStep), v5 = v128.load(from += fromStep);
  const v6 = v128.load(from += fromStep), v7 = v128.load(from + fromStep);
  const end = constant(TWENTY_ONE_QUARTERS), middle = constant(SEVENTEEN_QUARTERS);
  v128.store(to, madd(end, sub(v4, v2), sub(v0, v6)));
  let even = nmadd(middle, v4, add(v2, v6)), odd = nmadd(middle, v3, add(v1, v5));
  v128.store(to + toStep, add(even, odd));
  v128.store(to + 2 * toStep, sub(even, odd));
  const half = constant(HALF);
  const two = constant(TWO);
  const third = mul(constant(FIVE_HALVES), v3);
  even = nmadd(constant(FIVE_QUARTERS), v4, madd(constant(QUARTER), v2, v6));
  odd = madd(two, v5, sub(mul(half, v1), third));
  v128.store(to + 3 * toStep, add(even, odd));
  v128.store(to + 4 * toStep, sub(even, odd));
  even = nmadd(constant(FIVE), v4, madd(constant(FOUR), v2, v6));
  odd = madd(half, v5, sub(mul(two, v1), third));
  v128.store(to + 5 * toStep, add(even, odd));
  v128.store(to + 6 * toStep, sub(even, odd));
  if (Sizes.points == 8) v128.store(to + 7 * toStep, madd(end, sub(v3, v5), sub(v7, v1)));
}

/** Copies pixels of four channels, of which `channels` exist, as vectors to their place in a padded image. */
function padFour(image: usize, channels: i32, H: i32, W: i32, to: usize, pitch: usize): void {
  const plane: usize = (<usize> (H * W)) << 2;
  const zero = splat(0);
  for (let h = 0; h < H; h++, to += pitch) {
    for (let w = 0, at = to; w < W; w += 4, at += 64) {
      const from = image + ((<usize> (h * W + w)) << 2);
      const mask = firstLanes(W - w);
      const a = v128.and(v128.load(from), mask);
      const b = channels > 1 ? v128.and(v128.load(from + plane), mask) : zero;
      const c = channels > 2 ? v128.and(v128.load(from + 2 * plane), mask) : zero;
      const d = channels > 3 ? v128.and(v128.load(from + 3 * plane), mask) : zero;
      storeColumns(a, b, c, d, at, 16);
    }
  }
}

/**
 * V = B' d B of all tiles of an image.
 *
 * @param image f32[C][H][W]
 * @param scratch memory of `scratch` bytes (see `winograd_sizes.ts`), all zero at first
 * @param to V of the first tile; elements of the transform are `step` bytes apart, tiles `tile`
 */
export function transformLargeSource(
  image: usize, C: i32, H: i32, W: i32, scratch: usize, to: usize, step: usize, tile: usize,
): void {
  const pitch = Sizes.line;
  const margin = <usize> (Sizes.taps >> 1);
  const padded = scratch + 8 * pitch;
  const part: usize = (<usize> (C + 3 & ~3)) << 2;
  for (let q = 0; q < C; q += 4, to += 16, image += (<usize> (H * W)) << 4) {
    padFour(image, C - q, H, W, padded + margin * pitch + (margin << 4), pitch);
    for (let y = 0; y < Sizes.down + Sizes.parts - 1; y++) {
      const from = padded + <usize> (4 * y) * pitch;
      for (let x: usize = 0; x < pitch; x += 16) sourceStep(from + x, pitch, scratch + x, pitch);
      for (let a = max(0, y - Sizes.down + 1); a <= min(y, Sizes.parts - 1); a++) {
        for (let b = 0; b < Sizes.parts; b++) {
          let at = to + <usize> (a * Sizes.parts + b) * part + <usize> ((y - a) * Sizes.across) * tile;
          for (let x = 0; x < Sizes.across; x++, at += tile) {
            let first = scratch + ((<usize> (x + b)) << 6);
            let there = at;
            for (let i = 0; i < Sizes.points; i++, first += pitch, there += <usize> Sizes.points * step) {
              sourceStep(first, 16, there, step);
            }
          }
        }
      }
    }
  }
}

/** A' m of seven or eight vectors. */
function targetStep(from: usize, fromStep: usize, to: usize, toStep: usize): void {
  const m0 = v128.load(from), m1 = v128.load(from += fromStep), m2 = v128.load(from += fromStep);
  const m3 = v128.load(from += fromStep), m4 = v128.load(from += fromStep), m5 = v128.load(from += fromStep);
  const m6 = v128.load(from += fromStep), m7 = Sizes.points == 8 ? v128.load(from + fromStep) : splat(0);
  const s = add(m1, m2), t = add(m3, m4), u = add(m5, m6), d = sub(m1, m2), e = sub(m3, m4), f = sub(m5, m6);
  v128.store(to, add(add(m0, s), add(t, u)));
  v128.store(to += toStep, madd(constant(HALF), f, madd(constant(TWO), e, d)));
  v128.store(to += toStep, madd(constant(QUARTER), u, madd(constant(FOUR), t, s)));
  v128.store(to + toStep, madd(constant(EIGHTH), f, madd(constant(EIGHT), e, add(d, m7))));
}

/** As `transformTarget`, with scratch for 36 vectors. */
export function transformLargeTarget(
  from: usize, step: usize, tile: usize, y: i32, bias: v128, addend: usize, image: usize, channels: i32,
  H: i32, W: i32, scratch: usize,
): void {
  const pitch: usize = (<usize> W) << 2;
  const plane = (<usize> H) * pitch;
  const row = scratch + 512;
  for (let x = 0; x < Sizes.across; x++, from += tile) {
    for (let j: usize = 0; j < <usize> Sizes.points; j++) {
      targetStep(from + j * step, <usize> Sizes.points * step, scratch + (j << 4), 128);
    }
    for (let r = 0; r < min(4, H - 4 * y); r++) {
      targetStep(scratch + ((<usize> r) << 7), 16, row, 16);
      const y0 = add(bias, v128.load(row)), y1 = add(bias, v128.load(row, 16));
      const y2 = add(bias, v128.load(row, 32)), y3 = add(bias, v128.load(row, 48));
      const at = <usize> (4 * y + r) * pitch + ((<usize> x) << 4);
      storeRow(y0, y1, y2, y3, image + at, addend ? addend + at : 0, plane, channels, W - 4 * x);
    }
  }
}

/** A d of four vectors, at seven or eight points. */
function slopeStep(d0: v128, d1: v128, d2: v128, d3: v128, to: usize, step: usize): void {
  v128.store(to, d0);
  let even = add(d0, d2), odd = add(d1, d3);
  v128.store(to + step, add(even, odd));
  v128.store(to + 2 * step, sub(even, odd));
  even = madd(constant(FOUR), d2, d0);
  odd = madd(constant(EIGHT), d3, mul(constant(TWO), d1));
  v128.store(to + 3 * step, add(even, odd));
  v128.store(to + 4 * step, sub(even, odd));
  even = madd(constant(QUARTER), d2, d0);
  odd = madd(constant(EIGHTH), d3, mul(constant(HALF), d1));
  v128.store(to + 5 * step, add(even, odd));
  v128.store(to + 6 * step, sub(even, odd));
  if (Sizes.points == 8) v128.store(to + 7 * step, d3);
}

/** As `transformGradient`, with scratch for 36 vectors. */
export function transformLargeGradient(
  image: usize, H: i32, W: i32, y: i32, to: usize, step: usize, tile: usize, scratch: usize,
): void {
  const pitch: usize = (<usize> W) << 2;
  const plane = (<usize> H) * pitch;
  const pixels = scratch + 512;
  for (let x = 0; x < Sizes.across; x++, to += tile) {
    for (let r = 0; r < 4; r++) {
      const h = 4 * y + r;
      const mask = firstLanes(h < H ? W - 4 * x : 0);
      const at = image + <usize> min(h, H - 1) * pitch + ((<usize> x) << 4);
      const a = v128.and(v128.load(at), mask), b = v128.and(v128.load(at + plane), mask);
      const c = v128.and(v128.load(at + 2 * plane), mask), d = v128.and(v128.load(at + 3 * plane), mask);
      storeColumns(a, b, c, d, pixels, 16);
      const d0 = v128.load(pixels), d1 = v128.load(pixels, 16);
      const d2 = v128.load(pixels, 32), d3 = v128.load(pixels, 48);
      slopeStep(d0, d1, d2, d3, scratch + ((<usize> r) << 7), 16);
    }
    for (let j: usize = 0; j < <usize> Sizes.points; j++) {
      const at = scratch + (j << 4);
      const d0 = v128.load(at), d1 = v128.load(at, 128), d2 = v128.load(at, 256), d3 = v128.load(at, 384);
      slopeStep(d0, d1, d2, d3, to + j * step, <usize> Sizes.points * step);
    }
  }
}
