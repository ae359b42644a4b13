// Inner loops of the 36 matrix products of a Winograd convolution. Source and target hold four channels in a vector,
// [channel / 4][tile][4]; weights are panels [source channel][8 target channels].

import { madd } from "./simd.ts";

/**
 * Six tiles of eight target channels: m[tile][k] = sum over c of v[tile][c] u[c][k].
 *
 * @param v first four channels of the first tile; the next four are `vStep` bytes further
 * @param u panel of weights
 * @param quads source channels / 4
 * @param m first four target channels of the first tile; the next four are `mStep` bytes further
 */
export function sixTiles(v: usize, vStep: usize, u: usize, quads: i32, m: usize, mStep: usize): void {
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0;
  let t0 = s0, t1 = s0, t2 = s0, t3 = s0, t4 = s0, t5 = s0;
  let p = s0, q = s0, b = s0;
  for (; quads > 0; quads--, v += vStep, u += 128) {
    p = v128.load(u, 0), q = v128.load(u, 16);
    b = v128.load_splat<f32>(v, 0), s0 = madd(b, p, s0), t0 = madd(b, q, t0);
    b = v128.load_splat<f32>(v, 16), s1 = madd(b, p, s1), t1 = madd(b, q, t1);
    b = v128.load_splat<f32>(v, 32), s2 = madd(b, p, s2), t2 = madd(b, q, t2);
    b = v128.load_splat<f32>(v, 48), s3 = madd(b, p, s3), t3 = madd(b, q, t3);
    b = v128.load_splat<f32>(v, 64), s4 = madd(b, p, s4), t4 = madd(b, q, t4);
    b = v128.load_splat<f32>(v, 80), s5 = madd(b, p, s5), t5 = madd(b, q, t5);
    p = v128.load(u, 32), q = v128.load(u, 48);
    b = v128.load_splat<f32>(v, 4), s0 = madd(b, p, s0), t0 = madd(b, q, t0);
    b = v128.load_splat<f32>(v, 20), s1 = madd(b, p, s1), t1 = madd(b, q, t1);
    b = v128.load_splat<f32>(v, 36), s2 = madd(b, p, s2), t2 = madd(b, q, t2);
    b = v128.load_splat<f32>(v, 52), s3 = madd(b, p, s3), t3 = madd(b, q, t3);
    b = v128.load_splat<f32>(v, 68), s4 = madd(b, p, s4), t4 = madd(b, q, t4);
    b = v128.load_splat<f32>(v, 84), s5 = madd(b, p, s5), t5 = madd(b, q, t5);
    p = v128.load(u, 64), q = v128.load(u, 80);
    b = v128.load_splat<f32>(v, 8), s0 = madd(b, p, s0), t0 = madd(b, q, t0);
    b = v128.load_splat<f32>(v, 24), s1 = madd(b, p, s1), t1 = madd(b, q, t1);
    b = v128.load_splat<f32>(v, 40), s2 = madd(b, p, s2), t2 = madd(b, q, t2);
    b = v128.load_splat<f32>(v, 56), s3 = madd(b, p, s3), t3 = madd(b, q, t3);
    b = v128.load_splat<f32>(v, 72), s4 = madd(b, p, s4), t4 = madd(b, q, t4);
    b = v128.load_splat<f32>(v, 88), s5 = madd(b, p, s5), t5 = madd(b, q, t5);
    p = v128.load(u, 96), q = v128.load(u, 112);
    b = v128.load_splat<f32>(v, 12), s0 = madd(b, p, s0), t0 = madd(b, q, t0);
    b = v128.load_splat<f32>(v, 28), s1 = madd(b, p, s1), t1 = madd(b, q, t1);
    b = v128.load_splat<f32>(v, 44), s2 = madd(b, p, s2), t2 = madd(b, q, t2);
    b = v128.load_splat<f32>(v, 60), s3 = madd(b, p, s3), t3 = madd(b, q, t3);
    b = v128.load_splat<f32>(v, 76), s4 = madd(b, p, s4), t4 = madd(b, q, t4);
    b = v128.load_splat<f32>(v, 92), s5 = madd(b, p, s5), t5 = madd(b, q, t5);
  }
  const n = m + mStep;
  v128.store(m, s0), v128.store(n, t0);
  v128.store(m, s1, 16), v128.store(n, t1, 16);
  v128.store(m, s2, 32), v128.store(n, t2, 32);
  v128.store(m, s3, 48), v128.store(n, t3, 48);
  v128.store(m, s4, 64), v128.store(n, t4, 64);
  v128.store(m, s5, 80), v128.store(n, t5, 80);
}

/**
 * Four source by eight target channels, summed over tiles and added to u[c][k]:
 * u[c][k] += sum over tiles of v[tile][c] d[tile][k].
 *
 * @param v, d first tile; the second four target channels are `dStep` bytes after the first
 * @param u panel, [4][8]
 */
export function overTiles(v: usize, d: usize, dStep: usize, tiles: i32, u: usize): void {
  let s0 = v128.load(u), t0 = v128.load(u, 16);
  let s1 = v128.load(u, 32), t1 = v128.load(u, 48);
  let s2 = v128.load(u, 64), t2 = v128.load(u, 80);
  let s3 = v128.load(u, 96), t3 = v128.load(u, 112);
  let e = d + dStep;
  for (; tiles >= 2; tiles -= 2, v += 32, d += 32, e += 32) {
    let p = v128.load(d), q = v128.load(e);
    let b = v128.load_splat<f32>(v);
    s0 = madd(b, p, s0), t0 = madd(b, q, t0);
    b = v128.load_splat<f32>(v, 4);
    s1 = madd(b, p, s1), t1 = madd(b, q, t1);
    b = v128.load_splat<f32>(v, 8);
    s2 = madd(b, p, s2), t2 = madd(b, q, t2);
    b = v128.load_splat<f32>(v, 12);
    s3 = madd(b, p, s3), t3 = madd(b, q, t3);
    p = v128.load(d, 16), q = v128.load(e, 16);
    b = v128.load_splat<f32>(v, 16);
    s0 = madd(b, p, s0), t0 = madd(b, q, t0);
    b = v128.load_splat<f32>(v, 20);
    s1 = madd(b, p, s1), t1 = madd(b, q, t1);
    b = v128.load_splat<f32>(v, 24);
    s2 = madd(b, p, s2), t2 = madd(b, q, t2);
    b = v128.load_splat<f32>(v, 28);
    s3 = madd(b, p, s3), t3 = madd(b, q, t3);
  }
  for (; tiles > 0; tiles--, v += 16, d += 16, e += 16) {
    let p = v128.load(d), q = v128.load(e);
    let b = v128.load_splat<f32>(v);
    s0 = madd(b, p, s0), t0 = madd(b, q, t0);
    b = v128.load_splat<f32>(v, 4);
    s1 = madd(b, p, s1), t1 = madd(b, q, t1);
    b = v128.load_splat<f32>(v, 8);
    s2 = madd(b, p, s2), t2 = madd(b, q, t2);
    b = v128.load_splat<f32>(v, 12);
    s3 = madd(b, p, s3), t3 = madd(b, q, t3);
  }
  v128.store(u, s0), v128.store(u, t0, 16);
  v128.store(u, s1, 32), v128.store(u, t1, 48);
  v128.store(u, s2, 64), v128.store(u, t2, 80);
  v128.store(u, s3, 96), v128.store(u, t3, 112);
}
