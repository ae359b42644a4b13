import { defineOp, type Op } from "../op.ts";
import type { Dims, NumberArray } from "../devices/device.ts";
import { reshape } from "./layout.ts";
import { sum } from "./reduce/reduce.ts";
import type { Tensor } from "../core/tensor.ts";
import { inQuads, nanWgsl } from "./elementwise/shared.ts";
import { square } from "./elementwise/unary.ts";

/** Scale that limits the norm of a gradient with squared norm `norm` to `clip`, as in PyTorch; 0 means no limit. */
const clipWgsl = `${nanWgsl}
fn clipScale() -> f32 {
  let scale = settings[7] / (sqrt(norm[0]) + 1e-6);
  return select(1.0, select(min(1.0, scale), scale, isNan(scale)), settings[7] > 0.0);
}`;
const clipScale = (clip: number, squaredNorm: number) =>
  clip > 0 ? Math.min(1, clip / (Math.sqrt(squaredNorm) + 1e-6)) : 1;

const sampleOf = (n: number, settings: readonly number[]) => ({
  shapes: { p: [n], m: [n], v: [n], g: [n], norm: [1], settings: [8] },
  values: { v: [0, 1e-4, 0.5, 2, 1, 0.1, 3, 0.2].slice(0, n), norm: [9], settings },
});

/** Signature of AdamW and Adam. */
export type Adam = Op<"p[n], m[n], v[n], g[n], norm[1], settings[8] -> p[n], m[n], v[n]">;

function defineAdam(name: string, decoupled: boolean): Adam {
  return defineOp({
    name,
    signature: "p[n], m[n], v[n], g[n], norm[1], settings[8] -> p[n], m[n], v[n]",
    ...inQuads(["p", "m", "v", "g"], ({ n }) => n),
    wgsl: `${clipWgsl}
fn kernel(i: u32) {
  let lr = settings[0]; let beta1 = settings[1]; let beta2 = settings[2]; let decay = settings[4];
  ${
      decoupled
        ? "let before = p[i] * (1.0 - lr * decay);\n  let d = g[i] * clipScale();"
        : "let before = p[i];\n  let d = g[i] * clipScale() + decay * before;"
    }
  let first = beta1 * m[i] + (1.0 - beta1) * d;
  let second = beta2 * v[i] + (1.0 - beta2) * d * d;
  m[i] = first;
  v[i] = second;
  p[i] = before - lr / settings[5] * first / (sqrt(second / settings[6]) + settings[3]);
}`,
    reference({ p, m, v, g, norm, settings }: Record<string, NumberArray>, { n }: Dims) {
      const [lr, beta1, beta2, epsilon, decay, correction1, correction2, clip] = settings;
      const scale = clipScale(clip, norm[0]);
      for (let i = 0; i < n; i++) {
        const before = decoupled ? p[i] * (1 - lr * decay) : p[i];
        const d = g[i] * scale + (decoupled ? 0 : decay * before);
        m[i] = beta1 * m[i] + (1 - beta1) * d;
        v[i] = beta2 * v[i] + (1 - beta2) * d * d;
        p[i] = before - lr / correction1 * m[i] / (Math.sqrt(v[i] / correction2) + epsilon);
      }
    },
    wasm: (addresses, { n }) => [
      { kernel: "adamUpdate", args: { ...addresses, n, decoupled: decoupled ? 1 : 0 } },
    ],
    samples: [
      sampleOf(7, [0.01, 0.9, 0.999, 1e-8, 0.1, 0.1, 0.001, 1]),
      sampleOf(8, [0.01, 0.9, 0.999, 1e-8, 0, 0.19, 0.002, 0]),
    ],
  });
}

/**
 * A step of AdamW on flat parameters p, with moments m and v and gradient g, all f32[n]. Updates p, m and v in place.
 *
 * `norm`, f32[1], is the squared norm of the whole gradient. `settings`, f32[8], is [learning rate, beta1, beta2,
 * epsilon, weight decay, 1 - beta1^k, 1 - beta2^k, largest norm of the gradient (0: any)], with k = 1 at the first
 * step.
 *
 * Source: Loshchilov and Hutter 2017, arXiv:1711.05101
 */
export const adamUpdate: Adam = defineAdam("adamUpdate", true);

/**
 * Adam with weight decay added to the gradient; arguments as of `adamUpdate`.
 * Source: Kingma and Ba 2014, arXiv:1412.6980
 */
export const adamL2Update: Adam = defineAdam("adamL2Update", false);

/**
 * A step of gradient descent with momentum: d = g + decay p, m = momentum m + d, p -= lr m.
 * Updates p and m in place; p, m and g are f32[n].
 *
 * `norm`, f32[1], is the squared norm of the whole gradient. `settings`, f32[8], is [learning rate, momentum, -, -,
 * weight decay, -, -, largest norm of the gradient (0: any)]; `-` has no effect.
 */
export const sgdUpdate: Op<"p[n], m[n], g[n], norm[1], settings[8] -> p[n], m[n]"> = defineOp({
  name: "sgdUpdate",
  signature: "p[n], m[n], g[n], norm[1], settings[8] -> p[n], m[n]",
  wgsl: `${clipWgsl}
fn kernel(i: u32) {
  let d = g[i] * clipScale() + settings[4] * p[i];
  let buffer = settings[1] * m[i] + d;
  m[i] = buffer;
  p[i] -= settings[0] * buffer;
}`,
  reference({ p, m, g, norm, settings }, { n }) {
    const [lr, momentum, , , decay, , , clip] = settings;
    const scale = clipScale(clip, norm[0]);
    for (let i = 0; i < n; i++) {
      const d = g[i] * scale + decay * p[i];
      m[i] = momentum * m[i] + d;
      p[i] -= lr * m[i];
    }
  },
  wasm: "sgdUpdate",
  samples: [{
    shapes: { p: [7], m: [7], g: [7], norm: [1], settings: [8] },
    values: { norm: [9], settings: [0.1, 0.9, 0, 0, 0.01, 0, 0, 1] },
  }],
});

/**
 * A step of an exponential moving average: e = decay e + (1 - decay) p. Updates e in place; e and p are f32[n], and
 * `settings`, f32[1], is [decay].
 */
export const emaUpdate: Op<"e[n], p[n], settings[1] -> e[n]"> = defineOp({
  name: "emaUpdate",
  signature: "e[n], p[n], settings[1] -> e[n]",
  ...inQuads(["e", "p"], ({ n }) => n),
  wgsl: "fn kernel(i: u32) { e[i] = settings[0] * e[i] + (1.0 - settings[0]) * p[i]; }",
  reference({ e, p, settings }, { n }) {
    for (let i = 0; i < n; i++) e[i] = settings[0] * e[i] + (1 - settings[0]) * p[i];
  },
  wasm: "emaUpdate",
  samples: [7, 8].map((n) => ({ shapes: { e: [n], p: [n], settings: [1] }, values: { settings: [0.9] } })),
});

/**
 * Sum of squares of all elements; 0 if there are none.
 *
 * @param g f32 of any shape
 * @returns f32[1]
 */
export function squaredNorm(g: Tensor): Tensor {
  return reshape(sum(square(g)), [1]);
}
