import assert from "node:assert/strict";
import {
  randomBits,
  randomNormal,
  randomNormalRows,
  randomUniform,
  type Tensor,
  tensor,
  uniforms,
} from "../../../kernels/mod.ts";
import { threefry } from "../../../kernels/ops/random.ts";
import { assertClose, largestDifference, testOnDevices } from "../../testing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const count = 1 << 16;
const key = (seed = 46020, stream = 2, counter = 0): Tensor => tensor(Uint32Array.of(seed, stream, counter));

function moments(values: Float32Array): { mean: number; variance: number; kurtosis: number } {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  const power = (p: number) => values.reduce((sum, v) => sum + (v - mean) ** p, 0) / values.length;
  return { mean, variance: power(2), kurtosis: power(4) / power(2) ** 2 };
}

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
  const { mean, variance } = moments(drawn);
  assert.ok(Math.abs(mean - 1 / 2) < 0.005, `mean ${mean}`);
  assert.ok(Math.abs(variance - 1 / 12) < 0.002, `variance ${variance}`);
});

testOnDevices("randomNormal() is standard normal and equals the f64 formula within 1e-5", async () => {
  const drawn = await randomNormal(key(), [count]).read();
  const { mean, variance, kurtosis } = moments(drawn);
  assert.ok(Math.abs(mean) < 0.02, `mean ${mean}`);
  assert.ok(Math.abs(variance - 1) < 0.03, `variance ${variance}`);
  assert.ok(Math.abs(kurtosis - 3) < 0.12, `kurtosis ${kurtosis}`);
  const bits = randomBits(46020, 2, 0, count);
  const exact = Float64Array.from(drawn, (_, i) => {
    const radius = Math.sqrt(-2 * Math.log(((bits[i & ~1] >>> 8) + 1) / 2 ** 24));
    const angle = 2 * Math.PI * (bits[i | 1] >>> 8) / 2 ** 24;
    return radius * (i % 2 === 0 ? Math.cos(angle) : Math.sin(angle));
  });
  const difference = largestDifference(drawn, exact);
  assert.ok(difference < 1e-5, `differs by ${difference}`);
  // Numbers depend only on key and index, not on the count or earlier draws.
  assertSameNumbers(await randomNormal(key(), [10, 11]).read(), drawn.slice(0, 110));
});

testOnDevices("random numbers of different seeds, streams or counters are uncorrelated", async () => {
  const base = await randomNormal(key(), [count]).read();
  for (const other of [key(46021), key(46020, 3), key(46020, 2, 1)]) {
    const drawn = await randomNormal(other, [count]).read();
    const correlation = base.reduce((sum, v, i) => sum + v * drawn[i], 0) / count;
    assert.ok(Math.abs(correlation) < 0.02, `correlation ${correlation}`);
  }
});

testOnDevices("randomNormalRows() gives a row the same numbers in any batch", async () => {
  const draw = (rows: number[], P: number) =>
    randomNormalRows(key(), tensor(Uint32Array.from(rows)), [rows.length, P]).read();
  for (const P of [1, 6, 7]) {
    const all = await draw([0, 1, 2, 3], P);
    assert.deepEqual(await draw([3, 1], P), Float32Array.of(...all.slice(3 * P), ...all.slice(P, 2 * P)));
  }
  assertClose(await draw([0, 1, 2], 6), await randomNormal(key(), [3, 6]).read(), 1e-5);
  const many = await draw(Array.from({ length: 500 }, (_, n) => 7 * n), 9);
  const mean = many.reduce((sum, x) => sum + x, 0) / many.length;
  const variance = many.reduce((sum, x) => sum + x * x, 0) / many.length;
  assert.ok(Math.abs(mean) < 4 / Math.sqrt(4500), `mean ${mean}`);
  assert.ok(Math.abs(variance - 1) < 4 * Math.sqrt(2 / 4500), `variance ${variance}`);
  assert.throws(() => randomNormalRows(key(), tensor(Uint32Array.of(1)), [2, 3]), { name: "ShapeError" });
});
