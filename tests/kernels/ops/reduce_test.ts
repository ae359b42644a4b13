import assert from "node:assert/strict";
import {
  argmax,
  crossEntropy,
  exp,
  full,
  gradients,
  groupNorm,
  layerNorm,
  logSoftmax,
  max,
  min,
  multiply,
  normals,
  square,
  sum,
  tensor,
  uniforms,
  zeros,
} from "../../../kernels/mod.ts";
import { sizeOf } from "../../../kernels/core/shape.ts";
import { registry } from "../../../kernels/op.ts";
import { assertClose, testOnAllKernels, testOnDevices } from "../../testing.ts";
import { type Arrays, oracle } from "../op_reference.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

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
      const overImages = (values: Arrays[number]) =>
        Float64Array.from(
          { length: C },
          (_, c) => Array.from(values).reduce((s, v, i) => i % C === c ? s + v : s, 0),
        );

      const parameters = [tensor(gamma), tensor(beta)];
      const y = groupNorm(tensor(x, image), parameters[0], parameters[1], { groups: G, activation });
      const [dgamma, dbeta] = gradients(sum(multiply(y, tensor(dy, image))), parameters);
      const what = `of ${activation} in [${N}, ${C}, ${H}, ${W}]`;
      assertClose(await dgamma.read(), overImages(exact.sums.subarray(0, N * C)), 3e-6, `dgamma ${what}`);
      assertClose(await dbeta.read(), overImages(exact.sums.subarray(N * C)), 3e-6, `dbeta ${what}`);
    }
  }
});
