// Pooling and bilinear resizing. A task is a plane.

import { firstTask, nextTask } from "../call.ts";

/**
 * Number of results to advance with `left` remaining: less than four if the last vector would pass the end of the row.
 */
function stride(left: i32): i32 {
  return left > 4 && left < 8 ? left - 4 : 4;
}

/** Maximum of each 2x2 window. */
export function maxPool2d(
  call: usize, x: usize, y: usize, N: i32, C: i32, H: i32, W: i32, P: i32, Q: i32,
): void {
  const row: usize = (<usize> W) << 2;
  for (let plane = firstTask(call, N * C); plane >= 0; plane = nextTask()) {
    let to = y + ((<usize> (plane * P * Q)) << 2);
    for (let p = 0; p < P; p++) {
      let at = x + ((<usize> ((plane * H + 2 * p) * W)) << 2);
      let q = 0;
      while (Q - q >= 4) {
        const a = f32x4.max(v128.load(at), v128.load(at + row));
        const b = f32x4.max(v128.load(at, 16), v128.load(at + row, 16));
        v128.store(to, f32x4.max(i32x4.shuffle(a, b, 0, 2, 4, 6), i32x4.shuffle(a, b, 1, 3, 5, 7)));
        const step = stride(Q - q);
        q += step;
        at += (<usize> step) << 3;
        to += (<usize> step) << 2;
      }
      for (; q < Q; q++, at += 8, to += 4) {
        const top = max(load<f32>(at), load<f32>(at, 4));
        const bottom = max(load<f32>(at + row), load<f32>(at + row, 4));
        store<f32>(to, max(top, bottom));
      }
    }
  }
}

/** Whether b > a, with NaN above all numbers. */
function isLarger(b: f32, a: f32): bool {
  return b > a || (b != b && a == a);
}

/** Lanes where b > a, with NaN above all numbers. */
function larger(b: v128, a: v128): v128 {
  return v128.or(f32x4.gt(b, a), v128.and(f32x4.ne(b, b), f32x4.eq(a, a)));
}

/** dy goes to the first maximum of its window, or to its first NaN. */
export function maxPool2dGradient(
  call: usize, x: usize, dy: usize, dx: usize, N: i32, C: i32, H: i32, W: i32, P: i32, Q: i32,
): void {
  const row: usize = (<usize> W) << 2;
  const pixels: usize = (<usize> H) * row;
  for (let plane = firstTask(call, N * C); plane >= 0; plane = nextTask()) {
    const start: usize = (<usize> plane) * pixels;
    if ((H | W) & 1) memory.fill(dx + start, 0, pixels);
    let from = dy + ((<usize> (plane * P * Q)) << 2);
    for (let p = 0; p < P; p++) {
      let at: usize = start + (<usize> (2 * p)) * row;
      let q = 0;
      while (Q - q >= 4) {
        const e = v128.load(x + at), f = v128.load(x + at, 16);
        const g = v128.load(x + at + row), h = v128.load(x + at + row, 16);
        const a = i32x4.shuffle(e, f, 0, 2, 4, 6), b = i32x4.shuffle(e, f, 1, 3, 5, 7);
        const c = i32x4.shuffle(g, h, 0, 2, 4, 6), d = i32x4.shuffle(g, h, 1, 3, 5, 7);
        const low = larger(b, a), high = larger(d, c);
        const down = larger(v128.bitselect(d, c, high), v128.bitselect(b, a, low));
        const slope = v128.load(from);
        const up = v128.andnot(slope, down), under = v128.and(slope, down);
        const upLeft = v128.andnot(up, low), upRight = v128.and(up, low);
        const underLeft = v128.andnot(under, high), underRight = v128.and(under, high);
        v128.store(dx + at, i32x4.shuffle(upLeft, upRight, 0, 4, 1, 5));
        v128.store(dx + at, i32x4.shuffle(upLeft, upRight, 2, 6, 3, 7), 16);
        v128.store(dx + at + row, i32x4.shuffle(underLeft, underRight, 0, 4, 1, 5));
        v128.store(dx + at + row, i32x4.shuffle(underLeft, underRight, 2, 6, 3, 7), 16);
        const step = stride(Q - q);
        q += step;
        at += (<usize> step) << 3;
        from += (<usize> step) << 2;
      }
      for (; q < Q; q++, at += 8, from += 4) {
        const a = load<f32>(x + at), b = load<f32>(x + at, 4);
        const c = load<f32>(x + at + row), d = load<f32>(x + at + row, 4);
        const slope = load<f32>(from);
        const low = isLarger(b, a);
        const top = low ? b : a;
        const high = isLarger(d, c);
        const bottom = high ? d : c;
        const down = isLarger(bottom, top);
        store<f32>(dx + at, down || low ? 0 : slope);
        store<f32>(dx + at, down || !low ? 0 : slope, 4);
        store<f32>(dx + at + row, !down || high ? 0 : slope);
        store<f32>(dx + at + row, !down || !high ? 0 : slope, 4);
      }
    }
  }
}

/** The elements of d at the first maximum of x in each window, or at its first NaN. */
export function pickMaxima(
  call: usize, x: usize, d: usize, y: usize, N: i32, C: i32, H: i32, W: i32, P: i32, Q: i32,
): void {
  const row: usize = (<usize> W) << 2;
  for (let plane = firstTask(call, N * C); plane >= 0; plane = nextTask()) {
    let to = y + ((<usize> (plane * P * Q)) << 2);
    for (let p = 0; p < P; p++) {
      let at: usize = (<usize> (plane * H + 2 * p)) * row;
      for (let q = 0; q < Q; q++, at += 8, to += 4) {
        const upper = isLarger(load<f32>(x + at, 4), load<f32>(x + at)) ? at + 4 : at;
        const below = at + row;
        const lower = isLarger(load<f32>(x + below, 4), load<f32>(x + below)) ? below + 4 : below;
        store<f32>(to, load<f32>(d + (isLarger(load<f32>(x + lower), load<f32>(x + upper)) ? lower : upper)));
      }
    }
  }
}

/** The source position of target pixel o. */
function source(o: i32, inLength: i32, outLength: i32): f32 {
  return max<f32>((<f32> o + 0.5) * <f32> inLength / <f32> outLength - 0.5, 0);
}

/** Bilinear resize of a plane from H x W to P x Q; with `gradient`, computes dx from dy. */
function resize(x: usize, y: usize, H: i32, W: i32, P: i32, Q: i32, gradient: bool): void {
  if (gradient) memory.fill(x, 0, (<usize> (H * W)) << 2);
  for (let p = 0; p < P; p++) {
    const h = source(p, H, P);
    const below = h - floor(h);
    const top = x + ((<usize> ((<i32> h) * W)) << 2);
    const bottom = x + ((<usize> (min(<i32> h + 1, H - 1) * W)) << 2);
    for (let q = 0; q < Q; q++, y += 4) {
      const w = source(q, W, Q);
      const right = w - floor(w);
      const l: usize = (<usize> <i32> w) << 2;
      const r: usize = (<usize> min(<i32> w + 1, W - 1)) << 2;
      if (gradient) {
        const d = load<f32>(y);
        store<f32>(top + l, load<f32>(top + l) + d * (1 - below) * (1 - right));
        store<f32>(top + r, load<f32>(top + r) + d * (1 - below) * right);
        store<f32>(bottom + l, load<f32>(bottom + l) + d * below * (1 - right));
        store<f32>(bottom + r, load<f32>(bottom + r) + d * below * right);
      } else {
        const a = load<f32>(top + l), b = load<f32>(top + r);
        const c = load<f32>(bottom + l), d = load<f32>(bottom + r);
        const upper = a + (b - a) * right, lower = c + (d - c) * right;
        store<f32>(y, upper + (lower - upper) * below);
      }
    }
  }
}

/** Bilinear resize from H x W to P x Q, or with `gradient` 1 the input gradient x of y. */
export function resizeBilinear(
  call: usize, x: usize, y: usize, N: i32, C: i32, H: i32, W: i32, P: i32, Q: i32, gradient: i32,
): void {
  for (let plane = firstTask(call, N * C); plane >= 0; plane = nextTask()) {
    const ofX = x + ((<usize> (plane * H * W)) << 2), ofY = y + ((<usize> (plane * P * Q)) << 2);
    resize(ofX, ofY, H, W, P, Q, gradient != 0);
  }
}
