// In-place updates of flat parameters. A task is a block of elements.

import { nextTask } from "../call.ts";

const BLOCK: i32 = 8192;

/** Scale that limits a gradient of squared norm `norm` to the norm `clip`; 1 without clipping. */
function clipScale(clip: f32, norm: f32): f32 {
  return clip > 0 ? min<f32>(1, clip / (sqrt(norm) + <f32> 1e-6)) : 1;
}

function setting(settings: usize, i: usize): f32 {
  return load<f32>(settings + (i << 2));
}

/** Adam, with decoupled weight decay or with decay added to the gradient. */
export function adamUpdate(
  call: usize,
  p: usize,
  m: usize,
  v: usize,
  g: usize,
  norm: usize,
  settings: usize,
  n: i32,
  decoupled: i32,
): void {
  const lr = setting(settings, 0), beta1 = setting(settings, 1), beta2 = setting(settings, 2);
  const epsilon = setting(settings, 3), decay = setting(settings, 4);
  const correction2 = setting(settings, 6), rate = lr / setting(settings, 5);
  const scale = clipScale(setting(settings, 7), load<f32>(norm));
  const keep: f32 = decoupled ? 1 - lr * decay : 1;
  for (let first = nextTask(call) * BLOCK; first < n; first = nextTask(call) * BLOCK) {
    for (let i = first; i < min(n, first + BLOCK); i++) {
      const at: usize = (<usize> i) << 2;
      const before = load<f32>(p + at) * keep;
      let d = load<f32>(g + at) * scale;
      if (!decoupled) d += decay * before;
      const mean = beta1 * load<f32>(m + at) + (1 - beta1) * d;
      const square = beta2 * load<f32>(v + at) + (1 - beta2) * d * d;
      store<f32>(m + at, mean);
      store<f32>(v + at, square);
      store<f32>(p + at, before - rate * mean / (sqrt(square / correction2) + epsilon));
    }
  }
}

/** Gradient descent with momentum. */
export function sgdUpdate(
  call: usize,
  p: usize,
  m: usize,
  g: usize,
  norm: usize,
  settings: usize,
  n: i32,
): void {
  const lr = setting(settings, 0), momentum = setting(settings, 1), decay = setting(settings, 4);
  const scale = clipScale(setting(settings, 7), load<f32>(norm));
  for (let first = nextTask(call) * BLOCK; first < n; first = nextTask(call) * BLOCK) {
    for (let i = first; i < min(n, first + BLOCK); i++) {
      const at: usize = (<usize> i) << 2;
      const d = load<f32>(g + at) * scale + decay * load<f32>(p + at);
      const buffer = momentum * load<f32>(m + at) + d;
      store<f32>(m + at, buffer);
      store<f32>(p + at, load<f32>(p + at) - lr * buffer);
    }
  }
}

/** e = decay e + (1 - decay) p. */
export function emaUpdate(call: usize, e: usize, p: usize, settings: usize, n: i32): void {
  const decay = setting(settings, 0);
  for (let first = nextTask(call) * BLOCK; first < n; first = nextTask(call) * BLOCK) {
    for (let i = first; i < min(n, first + BLOCK); i++) {
      const at: usize = (<usize> i) << 2;
      store<f32>(e + at, decay * load<f32>(e + at) + (1 - decay) * load<f32>(p + at));
    }
  }
}
