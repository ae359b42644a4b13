// Log-softmax and cross entropy. A task is a row.

import { firstTask, nextTask } from "../call.ts";
import { add, firstLanes, splat, storeFirst, sub, total } from "../simd.ts";
import { exp } from "../vector_functions.ts";

/** The largest of n adjacent numbers; NaN if any is NaN. */
function topOf(x: usize, n: i32): f32 {
  let top = load<f32>(x);
  for (let c = 1; c < n; c++) top = max(top, load<f32>(x + ((<usize> c) << 2)));
  return top;
}

/** Sum of exp(x - top) over n adjacent numbers; ignores what its loads read beyond the end. */
function sumOfExp(x: usize, n: i32, top: f32): f32 {
  let sum = splat(0);
  for (let c = 0; c < n; c += 4, x += 16) {
    sum = add(sum, v128.and(exp(sub(v128.load(x), splat(top))), firstLanes(n - c)));
  }
  return total(sum);
}

/** y = x - log(sum(exp(x))) of rows. */
export function logSoftmax(call: usize, x: usize, y: usize, R: i32, C: i32): void {
  for (let r = firstTask(call, R); r >= 0; r = nextTask()) {
    const from = x + ((<usize> (r * C)) << 2), to = y + ((<usize> (r * C)) << 2);
    const top = topOf(from, C);
    const rest = Mathf.log(sumOfExp(from, C, top));
    for (let c = 0; c < C; c += 4) {
      const at: usize = (<usize> c) << 2;
      storeFirst(to + at, sub(sub(v128.load(from + at), splat(top)), splat(rest)), C - c);
    }
  }
}

/** dx = dy - exp(y) sum(dy) of rows. */
export function logSoftmaxGradient(call: usize, y: usize, dy: usize, dx: usize, R: i32, C: i32): void {
  for (let r = firstTask(call, R); r >= 0; r = nextTask()) {
    const row: usize = (<usize> (r * C)) << 2;
    let sum: f32 = 0;
    for (let c = 0; c < C; c++) sum += load<f32>(dy + row + ((<usize> c) << 2));
    for (let c = 0; c < C; c += 4) {
      const at: usize = row + ((<usize> c) << 2);
      const part = f32x4.mul(exp(v128.load(y + at)), splat(sum));
      storeFirst(dx + at, sub(v128.load(dy + at), part), C - c);
    }
  }
}

/** y = log(sum(exp(logits))) - logits[label] of rows; NaN if the label is out of range. */
export function crossEntropy(call: usize, logits: usize, labels: usize, y: usize, N: i32, C: i32): void {
  for (let n = firstTask(call, N); n >= 0; n = nextTask()) {
    const from = logits + ((<usize> (n * C)) << 2);
    const label = load<u32>(labels + ((<usize> n) << 2));
    let loss: f32 = NaN;
    if (label < <u32> C) {
      const top = topOf(from, C);
      loss = Mathf.log(sumOfExp(from, C, top)) - (load<f32>(from + ((<usize> label) << 2)) - top);
    }
    store<f32>(y + ((<usize> n) << 2), loss);
  }
}

/** dlogits = (softmax(logits) - one-hot label) dy of rows; NaN if the label is out of range. */
export function crossEntropyGradient(
  call: usize, logits: usize, labels: usize, dy: usize, dlogits: usize, N: i32, C: i32,
): void {
  for (let n = firstTask(call, N); n >= 0; n = nextTask()) {
    const row: usize = (<usize> (n * C)) << 2;
    const from = logits + row;
    const to = dlogits + row;
    const label = load<u32>(labels + ((<usize> n) << 2));
    const top = topOf(from, C);
    const slope = load<f32>(dy + ((<usize> n) << 2));
    const isClass = label < <u32> C;
    const scale: f32 = isClass ? slope / sumOfExp(from, C, top) : NaN;
    for (let c = 0; c < C; c += 4) {
      const at: usize = (<usize> c) << 2;
      storeFirst(to + at, f32x4.mul(exp(sub(v128.load(from + at), splat(top))), splat(scale)), C - c);
    }
    if (isClass) {
      const at = to + ((<usize> label) << 2);
      store<f32>(at, load<f32>(at) - slope);
    }
  }
}
