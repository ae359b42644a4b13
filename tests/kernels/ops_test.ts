import assert from "node:assert/strict";
import * as k from "../../kernels/mod.ts";
import {
  assertClose,
  largestDifference,
  testOnAllKernels,
  testOnCpus,
  testOnDevices,
  testOnWebGpu,
} from "../testing.ts";
import { assertSameNumbers } from "../same_numbers.ts";
import { sizeOf } from "../../kernels/core/shape.ts";
import { registry } from "../../kernels/op.ts";
import { type Arrays, hiddenOp, oracle } from "./oracle.ts";
import { threefry } from "../../kernels/ops/random.ts";
import { productWgsl } from "../../kernels/ops/matmul/product.ts";
import { chooseTile, lanesOf, tiles } from "../../kernels/ops/matmul/product_tiles.ts";
import { onNewDevice } from "./devices/webgpu/new_device.ts";

const { abs, add, argmax, concat, conv2d, cos, crossEntropy, divide, exp, full, gatherImages } = k;
const { gatherRows, gradients, greater, groupNorm, layerNorm, less, log, logSoftmax, matmul, max } = k;
const { maximum, mean, meanSquaredError, min, minimum, multiply, normals, packBytes, randomBits } = k;
const { randomNormal, randomNormalRows, randomUniform, sin, softmax, square, sum, tensor, uniforms } = k;
const { linear, matmulTransposedA, matmulTransposedB, subtract, transpose, where, zeros } = k;

// WGSL does not define quotients by numbers beyond 2^126.
testOnCpus("divide() by a number with an inverse outside f32 still divides", async () => {
  const x = tensor([3e38, 1, -2, 0]);
  assertClose(await divide(x, 3e38).read(), [1, 0, 0, 0], 1e-37);
  assert.deepEqual([...await divide(x, 0).read()], [Infinity, Infinity, -Infinity, NaN]);
  assert.deepEqual([...await divide(x, Infinity).read()].map(Math.abs), [0, 0, 0, 0]);
  assertClose(await divide(tensor([1e-39, 0]), 1e-39).read(), [1, 0], 1e-6);
  const y = divide(x, -3e38);
  const [dx] = gradients(sum(multiply(y, tensor([3e38, 0, 0, 0]))), [x]);
  assertClose(await dx.read(), [-1, 0, 0, 0], 0);
});

testOnAllKernels(
  "sin(), cos() and their slopes are within 1e-6 up to 10,000, and bounded beyond",
  async () => {
    const values = Float32Array.from({ length: 4001 }, (_, i) => (i - 2000) * 5 + Math.sin(i));
    const [x, far] = [tensor(values), tensor([1e5, -1e7, 4e9, -3e20, 3.4e38, 1e-40, 0])];
    const minusSine = (x: number) => -Math.sin(x);
    for (const [f, value, slope] of [[sin, Math.sin, Math.cos], [cos, Math.cos, minusSine]] as const) {
      assertClose(await f(x).read(), Float64Array.from(values, value), 1e-6);
      assertClose(await gradients(sum(f(x)), [x])[0].read(), Float64Array.from(values, slope), 1e-6);
      assert.ok((await f(far).read()).every((y) => Math.abs(y) <= 1.0000001));
      assert.deepEqual([...await f(tensor([NaN, Infinity, -Infinity])).read()], [NaN, NaN, NaN]);
    }
    assertClose((await sin(far).read()).slice(0, 1), [Math.sin(1e5)], 1e-2);
  },
);

testOnCpus("sin() and cos() of any number are exact on the CPU device", async () => {
  const x = Float32Array.from({ length: 1000 }, (_, i) => (-1) ** i * Math.exp(10 + i * 0.0787));
  assertClose(await sin(tensor(x)).read(), Float64Array.from(x, Math.sin), 1e-7);
  assertClose(await cos(tensor(x)).read(), Float64Array.from(x, Math.cos), 1e-7);
});

const values = [1, NaN, 2, -Infinity, 3, NaN, 0.5];
const operands = [NaN, 1, 2, Infinity, -4, NaN, 0.25];

testOnAllKernels("maximum() and minimum() keep NaN, and split the gradient at a tie", async () => {
  const [a, b] = [tensor(values), tensor(operands)];
  assert.deepEqual([...await maximum(a, b).read()], [NaN, NaN, 2, Infinity, 3, NaN, 0.5]);
  assert.deepEqual([...await minimum(a, b).read()], [NaN, NaN, 2, -Infinity, -4, NaN, 0.25]);
  const column = tensor([NaN, 1], [2, 1]); // broadcasting uses another CPU kernel
  assert.deepEqual([...await maximum(column, tensor([0, NaN])).read()], [NaN, NaN, 1, NaN]);
  assert.deepEqual([...await minimum(tensor([NaN, -1, 5]), 0).read()], [NaN, -1, 0]);
  const dy = tensor([1, 2, 4, 8, 16, 32, 64]);
  const slopes = { larger: [1, 2, 2, 0, 16, 32, 64], smaller: [1, 2, 2, 8, 0, 32, 0] }; // to both at NaN
  for (const [f, ofA, ofB] of [[maximum, "larger", "smaller"], [minimum, "smaller", "larger"]] as const) {
    const [da, db] = gradients(sum(multiply(f(a, b), dy)), [a, b]);
    assertClose(await da.read(), slopes[ofA], 0);
    assertClose(await db.read(), slopes[ofB], 0);
  }
});

testOnDevices("maximum() is correct for rows longer than a task", async () => {
  const x = Float32Array.from({ length: 3 * 20001 }, (_, i) => (i * 7919) % 1000 - 500);
  const row = Float32Array.from({ length: 20001 }, (_, i) => (i * 104729) % 1000 - 500);
  const a = tensor(x, [3, 20001]), b = tensor(row);
  assertSameNumbers(await maximum(a, b).read(), x.map((value, i) => Math.max(value, row[i % 20001])));
  const [da] = gradients(sum(maximum(a, b)), [a]);
  const share = (a: number, b: number) => a > b ? 1 : a === b ? 0.5 : 0;
  assertSameNumbers(await da.read(), x.map((value, i) => share(value, row[i % 20001])));
});

testOnAllKernels("abs() of NaN is NaN, with slope NaN, and its slope at 0 is 0", async () => {
  const x = tensor([NaN, 0, -Infinity, -1e-30, 2]);
  assert.deepEqual([...await abs(x).read()], [NaN, 0, Infinity, Math.fround(1e-30), 2]);
  assert.deepEqual([...await gradients(sum(abs(x)), [x])[0].read()], [NaN, 0, -1, -1, 1]);
});

testOnAllKernels("greater() and less() return u32, broadcast, and are false for NaN and ties", async () => {
  const a = tensor([1, 2, NaN], [3, 1]), b = tensor([1, NaN, -3, 2]);
  const isGreater = greater(a, b);
  assert.deepEqual([isGreater.type, isGreater.shape], ["u32", [3, 4]]);
  assert.deepEqual([...await isGreater.readWords()], [0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0]);
  assert.deepEqual([...await less(a, b).readWords()], [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual([...await less(b, 1.5).readWords()], [1, 0, 1, 0]);
});

testOnAllKernels("where() gives the unselected value gradient 0, even if it is NaN", async () => {
  const x = tensor([-1, 0, 2]);
  const y = where(greater(x, 0), log(x), multiply(x, 10)); // log(-1) is NaN, log(0) infinite
  assertClose(await y.read(), [-10, 0, Math.log(2)], 1e-6);
  const [ofChosen] = gradients(sum(where(greater(x, 0), x, 5)), [x]);
  assertClose(await ofChosen.read(), [0, 0, 1], 0);

  const [a, b] = [tensor([NaN, 1]), tensor([2, NaN])];
  const chosen = where(tensor(Uint32Array.of(0, 0xffffffff)), a, b);
  assertClose(await chosen.read(), [2, 1], 0);
  const [da, db] = gradients(sum(square(chosen)), [a, b]);
  assertClose(await da.read(), [0, 2], 0);
  assertClose(await db.read(), [4, 0], 0);
});

testOnAllKernels("where() accepts u32 values, and gradients() ignore its condition", async () => {
  const x = tensor([-2, 3]);
  const leaky = where(greater(x, 0), x, multiply(x, 0.1));
  const [dx] = gradients(sum(square(leaky)), [x]);
  assertClose(await dx.read(), [-0.04, 6], 1e-6);
  const [second] = gradients(sum(dx), [x]);
  assertClose(await second.read(), [0.02, 2], 1e-6);
  assert.throws(() => gradients(sum(where(greater(x, 0), 1, 0)), [x]), /does not depend on parameter 0/);
  const words = tensor(Uint32Array.of(7, 8));
  assert.deepEqual([...await where(greater(x, 0), 2 ** 32 - 1, words).readWords()], [7, 2 ** 32 - 1]);
});

testOnAllKernels("max() and min() reduce any axes, and keep them on request", async () => {
  const x = tensor([3, -1, 4, 1, -5, 9, 2, 6, 5, 3, 5, -8], [2, 3, 2]);
  assert.deepEqual([max(x).shape, max(x, [0, 2], true).shape], [[], [1, 3, 1]]);
  assertClose(await max(x).read(), [9], 0);
  assertClose(await max(x, [-1]).read(), [3, 4, 9, 6, 5, 5], 0);
  assertClose(await max(x, [0, 2], true).read(), [6, 5, 9], 0);
  assertClose(await min(x, [1]).read(), [-5, -1, 2, -8], 0);
  assertClose(await max(x, []).read(), await x.read(), 0);
});

testOnAllKernels("max() is NaN if any element is; argmax() finds the first", async () => {
  const x = tensor([1, NaN, 3, 7, 7, 2, -Infinity, -Infinity, -Infinity, NaN, 5, NaN], [4, 3]);
  assert.deepEqual([...await max(x, [1]).read()], [NaN, 7, -Infinity, NaN]);
  assert.deepEqual([...await min(x, [1]).read()], [NaN, 2, -Infinity, NaN]);
  assert.deepEqual([...await max(x).read()], [NaN]);
  const indices = argmax(x, -1);
  assert.deepEqual([indices.type, indices.shape], ["u32", [4]]);
  assert.deepEqual([...await indices.readWords()], [1, 0, 0, 0]);
  assert.deepEqual([...await argmax(x, 0).readWords()], [3, 0, 3]);
});

testOnAllKernels("max() passes the gradient to the first maximum, for any axes", async () => {
  const x = tensor([1, 2, 2, 2, 1, 2, 0, 2], [2, 2, 2]);
  const first = async (axes?: number[]) => [...await gradients(sum(max(x, axes)), [x])[0].read()];
  assert.deepEqual(await first(), [0, 1, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual(await first([0, 2]), [0, 1, 1, 0, 0, 0, 0, 0]);
  assert.deepEqual(await first([2]), [0, 1, 1, 0, 0, 1, 0, 1]);
});

testOnAllKernels("max() and argmax() are correct for long runs, which are split into parts", async () => {
  const values = Float32Array.from({ length: 2 * 9001 * 2 }, (_, i) => (i * 7919) % 9973);
  values[4 * 5000] = values[4 * 6000] = 20000; // ties in different parts
  values[4 * 7000 + 2] = NaN;
  const x = tensor(values, [9001, 2, 2]);
  assert.deepEqual([...await argmax(x, 0).readWords()].slice(0, 3).with(1, 0), [5000, 0, 7000]);
  const [dx] = gradients(sum(square(max(x, [0]))), [x]);
  const slopes = await dx.read();
  assert.equal(slopes[4 * 5000], 40000);
  assert.equal(slopes[4 * 6000], 0);
  assert.equal(slopes.filter((slope) => slope !== 0).length, 4);
});

testOnDevices("sum() of a million values is exact to 1e-6", async () => {
  const values = Float32Array.from({ length: 1 << 20 }, (_, i) => (i % 1000) / 1000);
  const exact = values.reduce((total, v) => total + v, 0);
  assertClose(await sum(tensor(values)).read(), [exact], 1e-6);
});

testOnDevices("sum() and max() over axes of length 1 are views, as documented", async () => {
  for (const reduce of [sum, max]) {
    const x = tensor([1, 2], [2, 1]);
    const [view, copy] = [reduce(x, [1]), reduce(x, [0])];
    const before = await copy.read();
    x.write(Float32Array.of(5, 7));
    assert.deepEqual([...await view.read()], [5, 7]);
    assertSameNumbers(await copy.read(), before);
  }
});

const wild = [1000, 0, -1000, 88, -200, 3];

testOnAllKernels("logSoftmax() is finite where softmax is 0, and keeps NaN in its row", async () => {
  const x = tensor(wild, [2, 3]);
  assertClose(await logSoftmax(x).read(), [0, -1000, -2000, 0, -288, -85], 1e-6);
  assertClose(await sum(exp(logSoftmax(x)), [1]).read(), [1, 1], 1e-6);
  const [dx] = gradients(sum(logSoftmax(x)), [x]);
  assertClose(await dx.read(), [-2, 1, 1, -2, 1, 1], 1e-5);
  const masked = await logSoftmax(tensor([-Infinity, 1, 1, 0, NaN, 0], [2, 3])).read();
  assert.deepEqual([...masked], [-Infinity, masked[1], masked[1], NaN, NaN, NaN]);
  assertClose([masked[1]], [-Math.log(2)], 1e-6);
});

testOnAllKernels("crossEntropy() is finite for extreme logits, and NaN for invalid labels", async () => {
  const logits = tensor(wild, [2, 3]);
  const loss = crossEntropy(logits, tensor(Uint32Array.of(2, 0)));
  assert.deepEqual(loss.shape, []);
  assertClose(await loss.read(), [1000], 1e-6);
  assertClose(await gradients(loss, [logits])[0].read(), [0.5, 0, -0.5, 0, 0, 0], 1e-6);
  for (const label of [3, 0xffffffff]) {
    const invalid = crossEntropy(logits, tensor(Uint32Array.of(2, label)));
    assert.deepEqual([...await invalid.read()], [NaN]);
    const slopes = await gradients(invalid, [logits])[0].read();
    assert.deepEqual([...slopes], [0.5, 0, -0.5, NaN, NaN, NaN]);
  }
});

testOnAllKernels("groupNorm() and layerNorm() of a long row far from 0 are exact to 2e-5", async () => {
  const n = 262_144, x = Float32Array.from(uniforms(7, 1, 2, n), (u) => 0.1 + 1e-4 * (2 * u - 1));
  const m = x.reduce((total, value) => total + value, 0) / n;
  const deviation = Math.sqrt(x.reduce((total, value) => total + (value - m) ** 2, 0) / n + 1e-5);
  const expected = Float64Array.from(x, (value) => (value - m) / deviation);
  const y = groupNorm(tensor(x, [1, 1, 512, 512]), tensor([1]), tensor([0]), { groups: 1 });
  assertClose(await y.read(), expected, 2e-5, "groupNorm");
  assertClose(await layerNorm(tensor(x), full([n], 1), zeros([n])).read(), expected, 2e-5, "layerNorm");
});

/** Images and groups whose sums lose digits in f32 if they are long, or if their values lie far from 0. */
const normalised: [N: number, C: number, H: number, W: number, G: number, offset: number][] = [
  [2, 8, 8, 8, 4, 30],
  [2, 4, 4096, 1, 1, 3],
  [3, 6, 5, 7, 2, 3],
];

testOnAllKernels("groupNorm() has gradients of gamma and beta within 3e-6", async () => {
  for (const [N, C, H, W, G, offset] of normalised) {
    for (const [at, activation] of (["none", "gelu"] as const).entries()) {
      const image = [N, C, H, W], attributes = { G, epsilon: 1e-5, activation: at };
      const shapes = { x: image, gamma: [C], beta: [C], stats: [N, G, 2], dy: image };
      const [noise, gamma, beta, dy] = [image, [C], [C], image].map((shape, i) =>
        Float64Array.from(normals(7, i + 1, 0, sizeOf(shape)))
      );
      const x = noise.map((value) => Math.fround(value + offset));
      const { stats } = oracle(registry.get("groupNorm")!, { shapes, attributes }, [x, gamma, beta]);
      const { G: _, ...settings } = attributes, gradient = registry.get("groupNormGradient")!;
      const exact = oracle(gradient, { shapes, attributes: settings }, [x, gamma, beta, stats, dy]);
      const ofChannel = (values: Arrays[number], c: number) => [...values].filter((_, i) => i % C === c);
      const overImages = (values: Arrays[number]) =>
        Float64Array.from({ length: C }, (_, c) => ofChannel(values, c).reduce((s, v) => s + v, 0));
      const parameters = [tensor(gamma), tensor(beta)];
      const y = groupNorm(tensor(x, image), parameters[0], parameters[1], { groups: G, activation });
      const [dgamma, dbeta] = gradients(sum(multiply(y, tensor(dy, image))), parameters);
      const what = `of ${activation} in [${N}, ${C}, ${H}, ${W}]`;
      assertClose(await dgamma.read(), overImages(exact.sums.subarray(0, N * C)), 3e-6, `dgamma ${what}`);
      assertClose(await dbeta.read(), overImages(exact.sums.subarray(N * C)), 3e-6, `dbeta ${what}`);
    }
  }
});

testOnAllKernels("gatherRows() sums gradients of repeated rows; invalid ones are NaN", async () => {
  const table = tensor([1, 2, 3, 4, 5, 6], [3, 2]);
  const weights = tensor([1, 10, 2, 20, 3, 30, 4, 40, 5, 50], [5, 2]);
  const rows = gatherRows(table, tensor(Uint32Array.of(2, 0, 2, 3, 0xffffffff)));
  assert.deepEqual([...await rows.read()], [5, 6, 1, 2, 5, 6, NaN, NaN, NaN, NaN]);
  const [gradient] = gradients(sum(multiply(rows, weights)), [table]);
  assert.deepEqual([...await gradient.read()], [2, 20, 0, 0, 4, 40]);
});

testOnAllKernels("gatherRows() accepts u32 labels, in one column or several", async () => {
  const labels = gatherRows(tensor(Uint32Array.of(7, 8)), tensor(Uint32Array.of(1, 0, 2, 0x80000000)));
  assert.deepEqual([labels.type, labels.shape], ["u32", [4]]);
  assert.deepEqual(await labels.readWords(), Uint32Array.of(8, 7, 0xffffffff, 0xffffffff));
  const pairs = gatherRows(tensor(Uint32Array.of(1, 2, 3, 4), [2, 2]), tensor(Uint32Array.of(1, 0, 1)));
  assert.deepEqual([pairs.type, pairs.shape], ["u32", [3, 2]]);
  assert.deepEqual(await pairs.readWords(), Uint32Array.of(3, 4, 1, 2, 3, 4));
});

testOnAllKernels("gatherImages() gives NaN for an image out of range", async () => {
  const bytes = packBytes(Uint8Array.of(1, 2, 3, 4, 5, 6));
  const beyond = tensor(Uint32Array.of(1, 2, 0x40000000, 0));
  const images = gatherImages(bytes, beyond, { pixels: 3, scale: 1, shift: 0 });
  assert.deepEqual([...await images.read()], [4, 5, 6, NaN, NaN, NaN, NaN, NaN, NaN, 1, 2, 3]);
});

testOnAllKernels("concat() joins empty tensors and gives them empty gradients", async () => {
  const x = tensor([1, 2], [1, 2]), none = zeros([0, 2]);
  for (const parts of [[none, x], [x, none], [none, x, none]]) {
    const y = concat(parts, 0);
    assert.deepEqual(y.shape, [1, 2]);
    assertClose(await y.read(), [1, 2], 0);
    const [dx, dnone] = gradients(sum(square(y)), [x, none]);
    assertClose(await dx.read(), [2, 4], 0);
    assert.deepEqual(dnone.shape, [0, 2]);
  }
  assert.deepEqual(concat([none, none], 0).shape, [0, 2]);
  assert.deepEqual(concat([none, zeros([0, 3])], 1).shape, [0, 5]);
  assertClose(await add(full([1], 1), 1).read(), [2], 0);
});

testOnAllKernels("sum() of no elements is 0, mean() and losses of none are NaN", async () => {
  assertClose(await sum(zeros([0, 3]), [0]).read(), [0, 0, 0], 0);
  assertClose(await sum(zeros([2, 0, 3]), [-1, 1]).read(), [0, 0], 0);
  assertClose(await sum(zeros([0])).read(), [0], 0);
  assert.deepEqual(sum(zeros([0, 3]), [1]).shape, [0]);
  assert.ok(Number.isNaN((await mean(zeros([0])).read())[0]));
  assertClose(await mean(tensor([1, 2, 3, 5], [2, 2]), [0]).read(), [2, 3.5], 0);
  const none = tensor(new Uint32Array(0));
  for (const loss of [meanSquaredError(zeros([0]), zeros([0])), crossEntropy(zeros([0, 2]), none)]) {
    assert.deepEqual([...await loss.read()], [NaN]);
  }
});

testOnAllKernels(
  "products over a depth of 0 are 0, and empty batches are empty, with gradients of 0",
  async () => {
    assertClose(await matmul(zeros([2, 0]), zeros([0, 3])).read(), new Float32Array(6), 0);
    assert.deepEqual(matmul(zeros([0, 2, 3]), zeros([3, 4])).shape, [0, 2, 4]);
    assert.deepEqual(softmax(zeros([2, 0])).shape, [2, 0]);
    const w = full([2, 1, 3, 3], 1), bias = full([2], 1);
    const y = conv2d(zeros([0, 1, 4, 4]), w, bias, { padding: 1 });
    assert.deepEqual(y.shape, [0, 2, 4, 4]);
    const [dw, dbias] = gradients(sum(square(y)), [w, bias]);
    assertClose(await dw.read(), new Float32Array(18), 0);
    assertClose(await dbias.read(), [0, 0], 0);
  },
);

const count = 1 << 16;
const key = (seed = 46020, stream = 2, counter = 0) => tensor(Uint32Array.of(seed, stream, counter));

Deno.test("threefry() gives the published test vectors", () => {
  // Random123, kat_vectors, threefry2x32 20
  assert.deepEqual(threefry(0, 0, 0, 0), [0x6b200159, 0x99ba4efe]);
  assert.deepEqual(threefry(0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff), [0x1cb996fc, 0xbb002be7]);
  assert.deepEqual(threefry(0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3), [0xc4923a9c, 0x483df7a0]);
});

testOnDevices("randomUniform() has the bits of the host's generator, in [0, 1)", async () => {
  const drawn = await randomUniform(key(), [count]).read();
  assert.deepEqual(drawn, uniforms(46020, 2, 0, count));
  assert.ok(drawn.every((u) => u >= 0 && u < 1));
});

testOnDevices("randomNormal() equals the formula of Box and Muller in f64 within 1e-5", async () => {
  const drawn = await randomNormal(key(), [count]).read();
  const bits = randomBits(46020, 2, 0, count);
  const exact = Float64Array.from(drawn, (_, i) => {
    const radius = Math.sqrt(-2 * Math.log(((bits[i & ~1] >>> 8) + 1) / 2 ** 24));
    const angle = 2 * Math.PI * (bits[i | 1] >>> 8) / 2 ** 24;
    return radius * (i % 2 === 0 ? Math.cos(angle) : Math.sin(angle));
  });
  assert.ok(largestDifference(drawn, exact) < 1e-5);
  // Numbers depend only on key and index, not on the count or earlier draws.
  assertSameNumbers(await randomNormal(key(), [10, 11]).read(), drawn.slice(0, 110));
});

testOnDevices("randomNormalRows() gives a row the same numbers in any batch", async () => {
  const draw = (rows: number[], P: number) =>
    randomNormalRows(key(), tensor(Uint32Array.from(rows)), [rows.length, P]).read();
  for (const P of [1, 6, 7]) {
    const all = await draw([0, 1, 2, 3], P);
    assert.deepEqual(await draw([3, 1], P), Float32Array.of(...all.slice(3 * P), ...all.slice(P, 2 * P)));
  }
  assertClose(await draw([0, 1, 2], 6), await randomNormal(key(), [3, 6]).read(), 1e-5);
  assert.throws(() => randomNormalRows(key(), tensor(Uint32Array.of(1)), [2, 3]), { name: "ShapeError" });
});

/** [M, K] times [K, N], neither a multiple of any tile. */
const [M, K, N] = [70, 37, 261];

/** a[M, K] times b[K, N] in f64. */
function product(a: Float32Array, b: Float32Array, M: number, K: number, N: number): Float64Array {
  return Float64Array.from({ length: M * N }, (_, i) => {
    let total = 0;
    for (let k = 0; k < K; k++) total += a[Math.floor(i / N) * K + k] * b[k * N + i % N];
    return total;
  });
}

const random = (stream: number, count: number) =>
  Float32Array.from(uniforms(3, stream, 1, count), (u) => 2 * u - 1);

testOnAllKernels("products of every depth from 1 to 200 equal those in f64", async () => {
  for (const [rows, columns] of [[7, 21], [23, 17]]) {
    for (let depth = 1; depth <= 200; depth++) {
      const left = random(1, rows * depth), right = random(2, depth * columns);
      const a = tensor(left, [rows, depth]), b = tensor(right, [depth, columns]);
      const expected = product(left, right, rows, depth, columns);
      for (
        const y of [matmul(a, b), matmulTransposedB(a, transpose(b)), matmulTransposedA(transpose(a), b)]
      ) assertClose(await y.read(), expected, 1e-5, `depth ${depth}`);
    }
  }
});

testOnCpus(
  "products of a transposed matrix are exact where the CPU copies its lines, and where columns are left",
  async () => {
    const sizes = [
      [128, 64, 40],
      [256, 81, 130],
      [528, 90, 130],
      [512, 77, 40],
      [512, 91, 200],
      [128, 66, 40],
    ];
    for (const [rows, columns, depth] of sizes) {
      const left = random(1, rows * depth), right = random(2, depth * columns);
      const a = transpose(tensor(left, [rows, depth])), b = tensor(right, [depth, columns]);
      const expected = product(left, right, rows, depth, columns);
      const y = matmulTransposedA(a, b);
      assertClose(await y.read(), expected, 1e-5, `${rows} x ${columns}, depth ${depth}`);
    }
  },
);

testOnAllKernels("products of depth 100,000 are exact to 1e-6, and have their gradients", async () => {
  const depth = 100_003,
    left = random(1, 2 * depth).map(Math.abs),
    right = random(2, depth * 3).map(Math.abs);
  const a = tensor(left, [2, depth]), b = tensor(right, [depth, 3]), dy = tensor(random(3, 6), [2, 3]);
  const expected = product(left, right, 2, depth, 3);
  const [da, db] = await Promise.all(
    [matmulTransposedB(dy, b), matmulTransposedA(a, dy)].map((slope) => slope.read()),
  );
  const products = {
    matmul: () => matmul(a, b),
    matmulTransposedB: () => matmulTransposedB(a, transpose(b)),
    matmulTransposedA: () => matmulTransposedA(transpose(a), b),
    linear: () => subtract(linear(a, transpose(b), full([3], 1)), 1),
  };
  for (const [name, multiplied] of Object.entries(products)) {
    const y = multiplied(), slopes = gradients(sum(multiply(y, dy)), [a, b]);
    assertClose(await y.read(), expected, 1e-6, name);
    assertClose(await slopes[0].read(), da, 1e-6, `da of ${name}`);
    assertClose(await slopes[1].read(), db, 1e-6, `db of ${name}`);
  }
});

testOnWebGpu(
  "productWgsl() multiplies with every tile, along the depth and along the edge",
  () =>
    onNewDevice(async () => {
      const [left, right] = [random(1, M * K), random(2, K * N)], expected = product(left, right, M, K, N);
      const a = tensor(left, [M, K]), b = tensor(right, [K, N]);
      for (const tile of tiles) {
        for (const along of ["depth", "edge"] as const) {
          const { rows, columns } = tile, name = `productOf${rows}x${columns}along${along}`;
          const places = { columnTarget: "column", rowTarget: "row * dims.N", target: "y" };
          const multiplied = hiddenOp({
            name,
            signature: "a[M, K], b[K, N] -> y[M, N]",
            workgroups: () => ({ count: Math.ceil(M / rows) * Math.ceil(N / columns), lanes: lanesOf(tile) }),
            wgsl: productWgsl(tile, {
              ...{ rows: "dims.M", columns: "dims.N", depth: "dims.K", position: "k", ...places },
              a: { along, edge: (m) => m, element: (m) => `a[${m} * dims.K + d]` },
              b: { along, edge: (n) => n, element: (n) => `b[d * dims.N + ${n}]` },
            }),
            reference() {},
            samples: [],
          });
          assertClose(await multiplied(a, b).read(), expected, 1e-5, name);
        }
      }
    }, { checked: true }),
);

Deno.test("chooseTile() picks large tiles for much work, and many small ones for little", () => {
  const chosen = (rows: number, columns: number) => {
    const { rows: down, columns: across } = tiles[chooseTile({ rows, columns, batches: 1 })];
    return [down, across];
  };
  assert.deepEqual(chosen(256, 256 * 784), [128, 128]);
  assert.deepEqual(chosen(64, 256 * 784), [64, 128]);
  assert.deepEqual(chosen(64, 64 * 49), [32, 32]);
  assert.deepEqual(chosen(16, 256 * 784), [16, 128]);
  assert.deepEqual(chosen(1, 256 * 784), [4, 256]);
});

testOnCpus("products with a number keep the sign of zero, as in PyTorch", async () => {
  const zeros = tensor([0, -0]);
  /** Signs of zeros. */
  const signs = async (x: k.Tensor) => (await divide(1, x).read()).map(Math.sign);
  assert.deepEqual(await signs(k.negate(zeros)), Float32Array.of(-1, 1));
  assert.deepEqual(await signs(multiply(zeros, 3)), Float32Array.of(1, -1));
  assert.deepEqual(await signs(multiply(-3, zeros)), Float32Array.of(-1, 1));
  assert.deepEqual(await signs(divide(zeros, 4)), Float32Array.of(1, -1));
  assert.deepEqual(await signs(mean(k.reshape(zeros, [2, 1]), [1])), Float32Array.of(1, -1));
  assert.deepEqual(await signs(subtract(zeros, 0)), Float32Array.of(1, -1));
  assert.deepEqual(await signs(add(zeros, 0)), Float32Array.of(1, 1));
  assert.deepEqual(await signs(subtract(0, zeros)), Float32Array.of(1, 1));
});
