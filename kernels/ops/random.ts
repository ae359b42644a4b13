import { defineOp } from "../op.ts";
import { checkCount, maxU32 } from "../core/checks.ts";
import { checkedSizeOf, type Shape } from "../core/shape.ts";
import type { NumberArray } from "../devices/device.ts";
import type { Tensor } from "../core/tensor.ts";
import { reshape } from "./layout.ts";

/** Two normal numbers from two words, with custom logarithm and sine, so that all devices agree. */
const normalWgsl =
  `// ln x for x in (0, 1]: x = 2^e m with m in [sqrt(1/2), sqrt 2), ln m = 2 artanh(s), s = (m - 1) / (m + 1).
// Exact at 1 and precise near it, where the radius is small.
fn logarithm(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  var e = i32(bits >> 23u) - 127;
  var m = bitcast<f32>((bits & 0x7fffffu) | 0x3f800000u);
  if (m > 1.41421356) { m *= 0.5; e += 1; }
  let s = (m - 1.0) / (m + 1.0);
  let z = s * s;
  let series = 2.0 * s * (1.0 + z * (0.33333333 + z * (0.2 + z * (0.14285714 + z * 0.11111111))));
  return f32(e) * 0.69314718 + series;
}
// (cos, sin) of 2 pi u for u in [0, 1): an exact quarter turn, then series on [-pi/4, pi/4].
fn circle(u: f32) -> vec2f {
  let quarter = floor(4.0 * u + 0.5);
  let a = 6.28318531 * (u - 0.25 * quarter);
  let z = a * a;
  let c = 1.0 + z * (-0.5 + z * (0.041666667 + z * (-0.0013888889 + z * 2.4801587e-5)));
  let s = a * (1.0 + z * (-0.16666667 + z * (0.0083333333 + z * (-1.984127e-4 + z * 2.7557319e-6))));
  switch u32(quarter) & 3u {
    case 1u: { return vec2f(-s, c); }
    case 2u: { return vec2f(-c, -s); }
    case 3u: { return vec2f(s, -c); }
    default: { return vec2f(c, s); }
  }
}
// Two normals from two words, by Box and Muller.
fn normals(words: vec2u) -> vec2f {
  let bits = words >> vec2u(8u);
  let radius = sqrt(-2.0 * logarithm(f32(bits.x + 1u) * 0x1p-24));
  return radius * circle(f32(bits.y) * 0x1p-24);
}`;

/** Threefry-2x32, 20 rounds; see `threefry`. */
const threefryWgsl = `fn round4(v: vec2u, by: vec4u) -> vec2u {
  var x = v.x;
  var y = v.y;
  x += y; y = ((y << by.x) | (y >> (32u - by.x))) ^ x;
  x += y; y = ((y << by.y) | (y >> (32u - by.y))) ^ x;
  x += y; y = ((y << by.z) | (y >> (32u - by.z))) ^ x;
  x += y; y = ((y << by.w) | (y >> (32u - by.w))) ^ x;
  return vec2u(x, y);
}
fn threefry(key: vec2u, counter: vec2u) -> vec2u {
  const even = vec4u(13u, 15u, 26u, 6u);
  const odd = vec4u(17u, 29u, 16u, 24u);
  let third = 0x1bd11bdau ^ key.x ^ key.y;
  var v = counter + key;
  v = round4(v, even) + vec2u(key.y, third + 1u);
  v = round4(v, odd) + vec2u(third, key.x + 2u);
  v = round4(v, even) + vec2u(key.x, key.y + 3u);
  v = round4(v, odd) + vec2u(key.y, third + 4u);
  v = round4(v, even) + vec2u(third, key.x + 5u);
  return v;
}`;

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

/** Box and Muller: two normals from two uniforms, with custom logarithm and cosine, so that all devices agree. */
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
 * Standard normal numbers on the host, equal to those of `randomNormal` for the key [seed, stream, counter] within 1e-5.
 * Parameters as for `randomBits`.
 *
 * @returns f32[count]
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
 * @param key u32[3]: seed, stream, counter. Element i depends only on the key and i
 * @returns f32 of the shape
 */
export function randomUniform(key: Tensor, shape: Shape): Tensor {
  return reshape(uniform(key, { n: checkedSizeOf(shape) }), shape);
}

/**
 * Standard normal random numbers, equal within 1e-5 for the same key on every device.
 *
 * @param key u32[3]: seed, stream, counter. Element i depends only on the key and i
 * @returns f32 of the shape
 * Source: Box and Muller 1958
 */
export function randomNormal(key: Tensor, shape: Shape): Tensor {
  return reshape(normal(key, { n: checkedSizeOf(shape) }), shape);
}

const values = { key: Uint32Array.of(46020, 2, 7), row: Uint32Array.of(5, 0, 1_000_000) };

/** Each row is drawn in pairs, so that rows of odd length share none. */
const normalRows = defineOp({
  name: "randomNormalRows",
  signature: "key:u32[3], row:u32[N] -> y[N, P]",
  attributes: { P: "u32" },
  invocations: ({ N, P }) => N * Math.ceil(P / 2),
  wgsl: `${threefryWgsl}\n${normalWgsl}
fn kernel(i: u32) {
  let pairs = (dims.P + 1u) / 2u;
  let n = i / pairs;
  let p = i % pairs;
  let pair = normals(threefry(vec2u(key[0], key[1]), vec2u(row[n] * pairs + p, key[2])));
  let at = n * dims.P + 2u * p;
  y[at] = pair.x;
  if (2u * p + 1u < dims.P) { y[at + 1u] = pair.y; }
}`,
  reference({ key, row, y }, { N, P }) {
    const pairs = Math.ceil(P / 2);
    for (let n = 0; n < N; n++) {
      for (let p = 0; p < pairs; p++) {
        const index = (Math.imul(row[n], pairs) + p) >>> 0;
        const pair = normalPair(...threefry(key[0], key[1], index, key[2]));
        y[n * P + 2 * p] = pair[0];
        if (2 * p + 1 < P) y[n * P + 2 * p + 1] = pair[1];
      }
    }
  },
  wasm: "randomNormalRows",
  samples: [1, 2, 9].map((P) => ({ shapes: { key: [3], row: [3] }, attributes: { P }, values })),
});

/**
 * Standard normal random numbers for numbered rows: row r does not depend on the other rows drawn, and is equal within
 * 1e-5 on every device.
 *
 * @param key u32[3]: seed, stream, counter
 * @param rows u32[N], the numbers of the rows
 * @param shape [N, ...]
 * @returns f32 of the shape
 * Source: Box and Muller 1958
 */
export function randomNormalRows(key: Tensor, rows: Tensor, shape: Shape): Tensor {
  const P = checkedSizeOf(shape.slice(1));
  return reshape(normalRows(key, rows, { P }), shape);
}

const rotations = [13, 15, 26, 6, 17, 29, 16, 24];

/**
 * Threefry-2x32 with 20 rounds: a keyed bijection of two words whose outputs pass the standard tests of randomness.
 *
 * The words at (index, counter) of (seed, stream) do not depend on earlier draws.
 *
 * Source: Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3
 */
export function threefry(seed: number, stream: number, index: number, counter: number): [number, number] {
  const [x, y] = fill(new Uint32Array(2), seed, stream, index, counter);
  return [x, y];
}

/** Fills an array with the words from an index on. Sums are signed, which is several times faster in engines. */
function fill<Words extends Uint32Array>(
  words: Words,
  seed: number,
  stream: number,
  index: number,
  counter: number,
): Words {
  const keys = [seed | 0, stream | 0, 0x1bd11bda ^ seed ^ stream];
  for (let i = 0; i < words.length; i += 2, index++) {
    let x = (index + keys[0]) | 0;
    let y = (counter + keys[1]) | 0;
    for (let group = 1; group <= 5; group++) {
      const first = group % 2 === 1 ? 0 : 4;
      for (let round = first; round < first + 4; round++) {
        const by = rotations[round];
        x = (x + y) | 0;
        y = ((y << by) | (y >>> (32 - by))) ^ x;
      }
      x = (x + keys[group % 3]) | 0;
      y = (y + keys[(group + 1) % 3] + group) | 0;
    }
    words[i] = x;
    words[i + 1] = y; // typed arrays ignore a write beyond an odd end
  }
  return words;
}

/**
 * Random 32-bit words on the host, equal to those of the devices.
 *
 * @param seed shared by all draws of a program
 * @param stream separates independent sequences of one seed
 * @param counter separates draws of one stream, such as the step
 * @param count number of words; element i does not depend on it
 * @returns u32[count]
 */
export function randomBits(
  seed: number,
  stream: number,
  counter: number,
  count: number,
): Uint32Array<ArrayBuffer> {
  for (const [name, value] of Object.entries({ seed, stream, counter })) {
    checkCount("draw random bits", name, value, 0, maxU32);
  }
  checkCount("draw random bits", "count", count, 0);
  return fill(new Uint32Array(count), seed, stream, 0, counter);
}

/**
 * Uniform numbers in [0, 1) on the host: multiples of 2^-24, equal to those of the devices. Parameters as for
 * `randomBits`.
 *
 * @returns f32[count]
 */
export function uniforms(
  seed: number,
  stream: number,
  counter: number,
  count: number,
): Float32Array<ArrayBuffer> {
  return Float32Array.from(randomBits(seed, stream, counter, count), (bits) => (bits >>> 8) * 2 ** -24);
}

/** Two standard normal numbers from two random words, in f64. Source: Box and Muller 1958 */
function normalPair(first: number, second: number): [number, number] {
  const radius = Math.sqrt(-2 * Math.log(((first >>> 8) + 1) * 2 ** -24));
  const angle = 2 * Math.PI * (second >>> 8) * 2 ** -24;
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}
