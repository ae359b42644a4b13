// Group normalisation, optionally followed by GELU. The channels of a group are contiguous in an image.

import { firstTask, nextTask } from "../call.ts";
import { geluRow, geluSlope } from "../vector_functions.ts";
import { LONG_SUM, meanOf, sumOf } from "../rows.ts";
import { add, firstLanes, madd, mul, splat, squareRoot, storeFirst, sub, total } from "../simd.ts";

/** y = (x - mean) / deviation * gamma + beta, then GELU if `activation` is 1. A task is a group of an image. */
export function groupNorm(
  call: usize, x: usize, gamma: usize, beta: usize, y: usize, stats: usize, N: i32, C: i32, H: i32, W: i32,
  G: i32, epsilon: f32, activation: i32,
): void {
  const channels = C / G, pixels = H * W, count = channels * pixels;
  for (let task = firstTask(call, N * G); task >= 0; task = nextTask()) {
    const offset: usize = (<usize> (task * count)) << 2;
    const m = meanOf(x + offset, count);
    const r: f32 = 1 / squareRoot(sumOf(x + offset, count, m, true) / <f32> count + epsilon);
    store<f32>(stats + ((<usize> task) << 3), m);
    store<f32>(stats + ((<usize> task) << 3), r, 4);
    for (let c = 0; c < channels; c++) {
      const channel: usize = (<usize> (task % G * channels + c)) << 2;
      const scale = r * load<f32>(gamma + channel);
      const a = splat(scale), b = splat(load<f32>(beta + channel)), centre = splat(m);
      const at: usize = offset + ((<usize> (c * pixels)) << 2);
      for (let i = 0; i < pixels; i += 4) {
        const j: usize = at + ((<usize> i) << 2);
        storeFirst(y + j, madd(sub(v128.load(x + j), centre), a, b), pixels - i);
      }
      if (activation) geluRow(y + at, y + at, pixels);
    }
  }
}

/** Gradient of x, and of gamma and beta for each image. A task is a group of an image. */
export function groupNormGradient(
  call: usize, x: usize, gamma: usize, beta: usize, stats: usize, dy: usize, dx: usize, scales: usize,
  shifts: usize, N: i32, C: i32, H: i32, W: i32, G: i32, activation: i32,
): void {
  const channels = C / G;
  const pixels = H * W;
  const count = <f32> (channels * pixels);
  for (let task = firstTask(call, N * G); task >= 0; task = nextTask()) {
    const m = load<f32>(stats + ((<usize> task) << 3)), r = load<f32>(stats + ((<usize> task) << 3), 4);
    const centre = splat(m), deviation = splat(r);
    let meanScale: f32 = 0, meanShift: f32 = 0;
    for (let c = 0; c < channels; c++) {
      const own = task % G * channels + c; // in [0, C)
      const image: usize = (<usize> (task / G * C + own)) << 2; // in [N, C]
      const gammaC = load<f32>(gamma + ((<usize> own) << 2)), betaC = load<f32>(beta + ((<usize> own) << 2));
      const a = splat(gammaC), b = splat(betaC);
      let scaleC: f64 = 0, shiftC: f64 = 0;
      let at: usize = image * pixels;
      for (let start = 0; start < pixels; start += LONG_SUM) {
        const end = min(pixels, start + LONG_SUM);
        let scale = splat(0), shift = splat(0);
        for (let i = start; i < end; i += 4, at += 16) {
          let xhat = mul(sub(v128.load(x + at), centre), deviation);
          let dz = v128.load(dy + at);
          if (activation) dz = mul(dz, geluSlope(madd(xhat, a, b)));
          const left = pixels - i;
          if (left < 4) {
            dz = v128.and(dz, firstLanes(left));
            xhat = v128.and(xhat, firstLanes(left));
          }
          storeFirst(dx + at, dz, left); // used by the second pass
          scale = madd(dz, xhat, scale);
          shift = add(shift, dz);
        }
        scaleC += total(scale);
        shiftC += total(shift);
      }
      store<f32>(scales + image, <f32> scaleC);
      store<f32>(shifts + image, <f32> shiftC);
      meanScale += gammaC / count * <f32> scaleC;
      meanShift += gammaC / count * <f32> shiftC;
    }
    // dx = r (gamma dz - meanShift - xhat meanScale), as dz p + (x - m) q + s
    const q = splat(-r * r * meanScale), s = splat(-r * meanShift);
    for (let c = 0; c < channels; c++) {
      const own = task % G * channels + c;
      const p = splat(r * load<f32>(gamma + ((<usize> own) << 2)));
      let at: usize = ((<usize> (task / G * C + own)) << 2) * pixels;
      for (let i = 0; i < pixels; i += 4, at += 16) {
        const value = madd(v128.load(dx + at), p, madd(sub(v128.load(x + at), centre), q, s));
        storeFirst(dx + at, value, pixels - i);
      }
    }
  }
}
