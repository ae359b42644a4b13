// In-place updates of flat parameters, four at a time. A task is a block of elements.

import { firstTask, nextTask } from "../call.ts";
import { add, mul, splat, squareRoot, storeFirst, sub } from "../simd.ts";

const BLOCK: i32 = 8192;

/** Scale that limits a gradient of squared norm `norm` to the norm `clip`; 1 without clipping. */
function clipScale(clip: f32, norm: f32): f32 {
  return clip > 0 ? min<f32>(1, clip / (squareRoot(norm) + <f32> 1e-6)) : 1;
}

function setting(settings: usize, i: usize): f32 {
  return load<f32>(settings + (i << 2));
}

/** Adam, with decoupled weight decay or with decay added to the gradient. */
export function adamUpdate(
  call: usize, p: usize, m: usize, v: usize, g: usize, norm: usize, settings: usize, n: i32, decoupled: i32,
): void {
  const lr = setting(settings, 0), beta1 = setting(settings, 1), beta2 = setting(settings, 2);
  const decay = setting(settings, 4);
  const keep = splat(decoupled ? 1 - lr * decay : 1);
  const epsilon = splat(setting(settings, 3)), correction2 = splat(setting(settings, 6));
  const rate = splat(lr / setting(settings, 5));
  const scale = splat(clipScale(setting(settings, 7), load<f32>(norm)));
  const keepM = splat(beta1), takeM = splat(1 - beta1), keepV = splat(beta2), takeV = splat(1 - beta2);
  for (let first = firstTask(call, n, BLOCK); first >= 0; first = nextTask()) {
    for (let i = first; i < min(n, first + BLOCK); i += 4) {
      const at: usize = (<usize> i) << 2;
      const left = n - i;
      const before = mul(v128.load(p + at), keep);
      let d = mul(v128.load(g + at), scale);
      if (!decoupled) d = add(d, mul(splat(decay), before));
      const mean = add(mul(keepM, v128.load(m + at)), mul(takeM, d));
      const square = add(mul(keepV, v128.load(v + at)), mul(mul(takeV, d), d));
      storeFirst(m + at, mean, left);
      storeFirst(v + at, square, left);
      const root = add(f32x4.sqrt(f32x4.div(square, correction2)), epsilon);
      storeFirst(p + at, sub(before, f32x4.div(mul(rate, mean), root)), left);
    }
  }
}

/** Gradient descent with momentum. */
export function sgdUpdate(
  call: usize, p: usize, m: usize, g: usize, norm: usize, settings: usize, n: i32,
): void {
  const lr = splat(setting(settings, 0)), momentum = splat(setting(settings, 1));
  const decay = splat(setting(settings, 4));
  const scale = splat(clipScale(setting(settings, 7), load<f32>(norm)));
  for (let first = firstTask(call, n, BLOCK); first >= 0; first = nextTask()) {
    for (let i = first; i < min(n, first + BLOCK); i += 4) {
      const at: usize = (<usize> i) << 2;
      const before = v128.load(p + at);
      const d = add(mul(v128.load(g + at), scale), mul(decay, before));
      const buffer = add(mul(momentum, v128.load(m + at)), d);
      storeFirst(m + at, buffer, n - i);
      storeFirst(p + at, sub(before, mul(lr, buffer)), n - i);
    }
  }
}

/** e = decay e + (1 - decay) p. */
export function emaUpdate(call: usize, e: usize, p: usize, settings: usize, n: i32): void {
  const decay = setting(settings, 0);
  const keep = splat(decay);
  const take = splat(1 - decay);
  for (let first = firstTask(call, n, BLOCK); first >= 0; first = nextTask()) {
    for (let i = first; i < min(n, first + BLOCK); i += 4) {
      const at: usize = (<usize> i) << 2;
      storeFirst(e + at, add(mul(keep, v128.load(e + at)), mul(take, v128.load(p + at))), n - i);
    }
  }
}
