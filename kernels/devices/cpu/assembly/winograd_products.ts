// Inner loops of the 36 matrix products of a Winograd convolution. A vector of source or target holds four channels,
// [channel / 4][tile][4]; weights are panels [source channel][8 target channels]. Every memory access costs a bounds
// check, so factors are loaded as vectors, and a lane is broadcast in registers.

import { lane0, lane1, lane2, lane3, madd } from "./simd.ts";

/** Tiles multiplied at a time: their eight sums and the factors fill the registers. */
export const TILES: i32 = 4;

/**
 * Four tiles of eight target channels: m[tile][k] = sum over c of v[tile][c] u[c][k].
 *
 * @param v first four channels of the first tile; groups of four are `vStep` bytes apart
 * @param u panel of weights
 * @param quads source channels / 4
 * @param m first four target channels of the first tile; groups of four are `mStep` bytes apart
 */
export function fourTiles(v: usize, vStep: usize, u: usize, quads: i32, m: usize, mStep: usize): void {
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  let t0 = s0, t1 = s0, t2 = s0, t3 = s0;
  for (; quads > 0; quads--, v += vStep, u += 128) {
    const a = v128.load(v), b = v128.load(v, 16), c = v128.load(v, 32), d = v128.load(v, 48);
    let p = v128.load(u), q = v128.load(u, 16);
    s0 = madd(lane0(a), p, s0), t0 = madd(lane0(a), q, t0);
    s1 = madd(lane0(b), p, s1), t1 = madd(lane0(b), q, t1);
    s2 = madd(lane0(c), p, s2), t2 = madd(lane0(c), q, t2);
    s3 = madd(lane0(d), p, s3), t3 = madd(lane0(d), q, t3);
    p = v128.load(u, 32), q = v128.load(u, 48);
    s0 = madd(lane1(a), p, s0), t0 = madd(lane1(a), q, t0);
    s1 = madd(lane1(b), p, s1), t1 = madd(lane1(b), q, t1);
    s2 = madd(lane1(c), p, s2), t2 = madd(lane1(c), q, t2);
    s3 = madd(lane1(d), p, s3), t3 = madd(lane1(d), q, t3);
    p = v128.load(u, 64), q = v128.load(u, 80);
    s0 = madd(lane2(a), p, s0), t0 = madd(lane2(a), q, t0);
    s1 = madd(lane2(b), p, s1), t1 = madd(lane2(b), q, t1);
    s2 = madd(lane2(c), p, s2), t2 = madd(lane2(c), q, t2);
    s3 = madd(lane2(d), p, s3), t3 = madd(lane2(d), q, t3);
    p = v128.load(u, 96), q = v128.load(u, 112);
    s0 = madd(lane3(a), p, s0), t0 = madd(lane3(a), q, t0);
    s1 = madd(lane3(b), p, s1), t1 = madd(lane3(b), q, t1);
    s2 = madd(lane3(c), p, s2), t2 = madd(lane3(c), q, t2);
    s3 = madd(lane3(d), p, s3), t3 = madd(lane3(d), q, t3);
  }
  const n = m + mStep;
  v128.store(m, s0), v128.store(n, t0);
  v128.store(m, s1, 16), v128.store(n, t1, 16);
  v128.store(m, s2, 32), v128.store(n, t2, 32);
  v128.store(m, s3, 48), v128.store(n, t3, 48);
}

/** The same for one tile, to the bit: for the last one or two of a chunk, because three would cost as much as four. */
export function oneTile(v: usize, vStep: usize, u: usize, quads: i32, m: usize, mStep: usize): void {
  let s = f32x4.splat(0), t = s;
  for (; quads > 0; quads--, v += vStep, u += 128) {
    const a = v128.load(v);
    s = madd(lane0(a), v128.load(u), s), t = madd(lane0(a), v128.load(u, 16), t);
    s = madd(lane1(a), v128.load(u, 32), s), t = madd(lane1(a), v128.load(u, 48), t);
    s = madd(lane2(a), v128.load(u, 64), s), t = madd(lane2(a), v128.load(u, 80), t);
    s = madd(lane3(a), v128.load(u, 96), s), t = madd(lane3(a), v128.load(u, 112), t);
  }
  v128.store(m, s), v128.store(m + mStep, t);
}

/**
 * Four source by eight target channels, summed over tiles: u[c][k] = sum over tiles of v[tile][c] d[tile][k].
 *
 * @param v, d first tile; the second four target channels are `dStep` bytes after the first
 * @param u panel, [4][8]
 * @param more whether to add to the sums in the panel
 */
export function overTiles(v: usize, d: usize, dStep: usize, tiles: i32, u: usize, more: bool): void {
  let s0 = f32x4.splat(0), t0 = s0, s1 = s0, t1 = s0, s2 = s0, t2 = s0, s3 = s0, t3 = s0;
  if (more) {
    s0 = v128.load(u), t0 = v128.load(u, 16);
    s1 = v128.load(u, 32), t1 = v128.load(u, 48);
    s2 = v128.load(u, 64), t2 = v128.load(u, 80);
    s3 = v128.load(u, 96), t3 = v128.load(u, 112);
  }
  for (; tiles > 0; tiles--, v += 16, d += 16) {
    const a = v128.load(v), p = v128.load(d), q = v128.load(d + dStep);
    s0 = madd(lane0(a), p, s0), t0 = madd(lane0(a), q, t0);
    s1 = madd(lane1(a), p, s1), t1 = madd(lane1(a), q, t1);
    s2 = madd(lane2(a), p, s2), t2 = madd(lane2(a), q, t2);
    s3 = madd(lane3(a), p, s3), t3 = madd(lane3(a), q, t3);
  }
  v128.store(u, s0), v128.store(u, t0, 16);
  v128.store(u, s1, 32), v128.store(u, t1, 48);
  v128.store(u, s2, 64), v128.store(u, t2, 80);
  v128.store(u, s3, 96), v128.store(u, t3, 112);
}
