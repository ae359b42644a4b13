import { defineOp } from "../../op.ts";
import { checkCount } from "../../core/count.ts";
import { checkedSizeOf, type Shape } from "../../core/shape.ts";
import type { NumberArray } from "../../devices/device.ts";
import type { Tensor } from "../../core/tensor.ts";
import { reshape } from "../layout/movement.ts";
import normalWgsl from "./normal.wgsl" with { type: "text" };
import { normalPair, randomBits, uniforms } from "./threefry.ts";
import threefryWgsl from "./threefry.wgsl" with { type: "text" };

const keys = { key: Uint32Array.of(46020, 2, 7) };
const samples = [1, 2, 9].map((n) => ({ shapes: { key: [3] }, attributes: { n }, values: keys }));

const uniform = defineOp({
  name: "randomUniform",
  signature: "key:u32[3] -> y[n]",
  attributes: { n: "u32" },
  wgsl: `${threefryWgsl}
fn kernel(i: u32) {
  let bits = threefry(vec2u(key[0], key[1]), vec2u(i / 2u, key[2]));
  y[i] = f32(select(bits.x, bits.y, i % 2u == 1u) >> 8u) * 0x1p-24;
}`,
  reference: ({ key, y }) => y.set(uniforms(key[0], key[1], key[2], y.length)),
  wasm: "randomUniform",
  samples,
});

/** Box and Muller: two normals from two uniforms, with our own log and cosine, so that all devices agree. */
const normal = defineOp({
  name: "randomNormal",
  signature: "key:u32[3] -> y[n]",
  attributes: { n: "u32" },
  invocations: ({ n }) => Math.ceil(n / 2),
  wgsl: `${threefryWgsl}\n${normalWgsl}
fn kernel(i: u32) {
  let pair = normals(threefry(vec2u(key[0], key[1]), vec2u(i, key[2])));
  y[2u * i] = pair.x;
  if (2u * i + 1u < dims.n) { y[2u * i + 1u] = pair.y; }
}`,
  reference: ({ key, y }) => fillNormals(y, key[0], key[1], key[2]),
  wasm: "randomNormal",
  samples,
});

function fillNormals(y: NumberArray, seed: number, stream: number, counter: number): void {
  const bits = randomBits(seed, stream, counter, y.length + y.length % 2);
  for (let i = 0; i < y.length; i += 2) {
    const pair = normalPair(bits[i], bits[i + 1]);
    y[i] = pair[0];
    if (i + 1 < y.length) y[i + 1] = pair[1];
  }
}

/**
 * Standard normal numbers on the host, those of `randomNormal` for the key [seed, stream, counter] to 1e-5. Parameters
 * are those of `randomBits`.
 *
 * @returns f32[count]
 * @throws {RangeError} as `randomBits`
 */
export function normals(
  seed: number,
  stream: number,
  counter: number,
  count: number,
): Float32Array<ArrayBuffer> {
  checkCount("draw normal numbers", "count", count, 0);
  const y = new Float32Array(count);
  fillNormals(y, seed, stream, counter);
  return y;
}

/**
 * Uniform random numbers in [0, 1): the same bits for the same key on every device.
 *
 * @param key u32[3]: seed, stream, counter. Element i depends on the key and i alone
 * @returns f32 of the shape
 */
export function randomUniform(key: Tensor, shape: Shape): Tensor {
  return reshape(uniform(key, { n: checkedSizeOf(shape) }), shape);
}

/**
 * Standard normal random numbers: equal to 1e-5 for the same key on every device.
 *
 * @param key u32[3]: seed, stream, counter. Element i depends on the key and i alone
 * @returns f32 of the shape
 * Source: Box and Muller 1958
 */
export function randomNormal(key: Tensor, shape: Shape): Tensor {
  return reshape(normal(key, { n: checkedSizeOf(shape) }), shape);
}
