// Normalisation of rows. A task is some rows.

import { firstRow, firstTask, nextRow, nextTask } from "../call.ts";
import { LONG_SUM, meanOf, sumOf } from "../rows.ts";
import { add, firstLanes, madd, mul, splat, squareRoot, storeFirst, sub, total } from "../simd.ts";

/** Approximate number of elements per task. */
const BLOCK: i32 = 4096;

/** 1 / standard deviation of a row with mean m. */
function inverseDeviation(x: usize, C: i32, m: f32, epsilon: f32): f32 {
  return 1 / squareRoot(sumOf(x, C, m, true) / <f32> C + epsilon);
}

/** y = (x - mean) / deviation gamma + beta. */
export function layerNorm(
  call: usize, x: usize, gamma: usize, beta: usize, y: usize, R: i32, C: i32, epsilon: f32,
): void {
  const perTask = max(1, BLOCK / C);
  const row: usize = (<usize> C) << 2;
  for (let r = firstRow(call, R, perTask); r >= 0; r = nextRow()) {
    const from = x + (<usize> r) * row, to = y + (<usize> r) * row;
    const m = meanOf(from, C);
    const deviation = splat(inverseDeviation(from, C, m, epsilon));
    const centre = splat(m);
    for (let c = 0; c < C; c += 4) {
      const at: usize = (<usize> c) << 2;
      const xhat = mul(sub(v128.load(from + at), centre), deviation);
      storeFirst(to + at, madd(xhat, v128.load(gamma + at), v128.load(beta + at)), C - c);
    }
  }
}

/** With g = gamma dy: dx = (g - mean(g) - xhat mean(g xhat)) / deviation. */
export function layerNormGradient(
  call: usize, x: usize, gamma: usize, dy: usize, dx: usize, R: i32, C: i32, epsilon: f32,
): void {
  const perTask = max(1, BLOCK / C);
  const row: usize = (<usize> C) << 2;
  for (let r = firstRow(call, R, perTask); r >= 0; r = nextRow()) {
    const offset: usize = (<usize> r) * row;
    const from = x + offset, slope = dy + offset, to = dx + offset;
    const m = meanOf(from, C);
    const inverse = inverseDeviation(from, C, m, epsilon);
    const centre = splat(m), deviation = splat(inverse);
    let scale: f64 = 0, shift: f64 = 0;
    for (let start = 0; start < C; start += LONG_SUM) {
      let byXhat = splat(0), sum = splat(0);
      for (let c = start; c < min(C, start + LONG_SUM); c += 4) {
        const at: usize = (<usize> c) << 2;
        const left = C - c;
        let g = mul(v128.load(gamma + at), v128.load(slope + at));
        let xhat = mul(sub(v128.load(from + at), centre), deviation);
        if (left < 4) {
          g = v128.and(g, firstLanes(left));
          xhat = v128.and(xhat, firstLanes(left));
        }
        byXhat = madd(g, xhat, byXhat);
        sum = add(sum, g);
      }
      scale += total(byXhat);
      shift += total(sum);
    }
    const meanScale = <f32> scale / <f32> C;
    const meanShift = splat(-inverse * (<f32> shift / <f32> C));
    const byX = splat(-inverse * inverse * meanScale);
    for (let c = 0; c < C; c += 4) {
      const at: usize = (<usize> c) << 2;
      const g = mul(v128.load(gamma + at), v128.load(slope + at));
      const rest = madd(sub(v128.load(from + at), centre), byX, meanShift);
      storeFirst(to + at, madd(g, deviation, rest), C - c);
    }
  }
}

/** scales[s] = sum of dy xhat over run s of rows. A task is a run. */
export function layerNormScales(
  call: usize, x: usize, dy: usize, scales: usize, R: i32, C: i32, S: i32, run: i32, epsilon: f32,
): void {
  const row: usize = (<usize> C) << 2;
  for (let s = firstTask(call, S); s >= 0; s = nextTask()) {
    const to = scales + (<usize> s) * row;
    memory.fill(to, 0, row);
    for (let r = s * run; r < min(R, (s + 1) * run); r++) {
      const from = x + (<usize> r) * row, slope = dy + (<usize> r) * row;
      const m = meanOf(from, C);
      const deviation = splat(inverseDeviation(from, C, m, epsilon));
      const centre = splat(m);
      for (let c = 0; c < C; c += 4) {
        const at: usize = (<usize> c) << 2;
        const xhat = mul(sub(v128.load(from + at), centre), deviation);
        storeFirst(to + at, madd(v128.load(slope + at), xhat, v128.load(to + at)), C - c);
      }
    }
  }
}
