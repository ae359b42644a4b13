import assert from "node:assert/strict";
import { slice, tensor } from "../../../kernels/mod.ts";
import { bitsOf, bitsPerDimension, dequantized, type Normalization, toPixels } from "../../../models/mod.ts";
import { assertClose, largestDifference, testOnCpu, testOnDevices } from "../../testing.ts";
import { GaussianFlow } from "./gaussian_flow.ts";

/** Normalizations to [0, 1], to [-1, 1], and an unusual one. */
const normalizations: readonly Normalization[] = [
  { scale: 1, shift: 0 },
  { scale: 2, shift: -1 },
  { scale: -3, shift: 0.5 },
];
/** Six images of four bytes. */
const bytes = Uint8Array.from({ length: 24 }, (_, i) => i === 0 ? 0 : i === 1 ? 255 : (i * 89) % 256);
const [mean, deviation] = [[0.5, 0.4, 0.6, 0.3], [0.4, 0.15, 0.3, 0.5]];

/** Images in the network's units, and a flow whose pixels are distributed as N(mean, Q diag(deviation^2) Q^T). */
function seen({ scale, shift }: Normalization) {
  return {
    x1: tensor(Float32Array.from(bytes, (byte) => scale * byte / 255 + shift), [6, 4]),
    flow: new GaussianFlow(mean.map((m) => scale * m + shift), deviation.map((s) => Math.abs(scale) * s)),
  };
}

testOnCpu("dequantized() spreads each level over its width", async () => {
  for (const normalization of normalizations) {
    const { x1 } = seen(normalization);
    const values = toPixels(await dequantized(x1, normalization, 5).read(), normalization);
    const u = [...values].map((value, i) => 256 * value - bytes[i]);
    assert.ok(u.every((u) => u > -1e-4 && u < 1 + 1e-4), `${u}`);
    assert.ok(Math.max(...u) - Math.min(...u) > 0.5, `${u}`);
    const first = toPixels(await dequantized(slice(x1, 0, 0, 2), normalization, 5).read(), normalization);
    assert.deepEqual(first, values.slice(0, 8));
    const other = toPixels(await dequantized(x1, normalization, 6).read(), normalization);
    assert.ok(largestDifference(other, values) > 1e-3);
  }
});

Deno.test("bitsOf() adds the bits of the scaling: 8 for pixels in [0, 1], 7 for [-1, 1]", () => {
  assert.equal(bitsOf(0, 4, normalizations[0]), 8);
  assert.equal(bitsOf(0, 4, normalizations[1]), 7);
  assert.equal(bitsOf(-4 * Math.LN2, 4, normalizations[1]), 8);
  assert.equal(bitsOf(0, 4, { scale: -0.5, shift: 1 }), 9);
});

testOnCpu("bitsPerDimension() of a known density is exact for every normalization", async () => {
  for (const normalization of normalizations) {
    const { x1, flow } = seen(normalization);
    const options = { normalization, solver: "rk4", steps: 40, seed: 5 } as const;
    const found = await bitsPerDimension(flow, x1, { ...options, exact: true });
    const values = toPixels(await dequantized(x1, normalization, 5).read(), normalization);
    const ofPixels = new GaussianFlow(mean, deviation);
    // In units of levels, the density is divided by 256 per dimension.
    const expected = Array.from(
      { length: 6 },
      (_, n) => 8 - ofPixels.logp(values.subarray(4 * n, 4 * n + 4)) / (4 * Math.LN2),
    );
    assertClose(found.bits, expected, 1e-4);
    assert.equal(found.evaluations, 160);
    assert.equal(found.products, 4 * 160);
    assert.ok(Math.abs(found.mean - expected.reduce((a, b) => a + b) / 6) < 1e-3);
    assert.ok(Number.isNaN(found.probeError));
  }
});

testOnDevices("bitsPerDimension() has standard errors over images and over random signs", async () => {
  const { x1, flow } = seen(normalizations[1]);
  const options = {
    normalization: normalizations[1],
    solver: "heun",
    steps: 10,
    seed: 5,
    probes: 4,
  } as const;
  const found = await bitsPerDimension(flow, x1, options);
  const errorOf = (values: readonly number[]) => {
    const mean = values.reduce((a, b) => a + b) / values.length;
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / (values.length - 1);
    return Math.sqrt(variance / values.length);
  };
  assert.equal(found.bits.length, 6);
  assert.equal(found.probes.length, 4);
  assertClose([found.standardError, found.probeError], [errorOf(found.bits), errorOf(found.probes)], 1e-12);
  assertClose([found.mean], [found.probes.reduce((a, b) => a + b) / 4], 1e-12);
  assert.ok(found.probeError > 1e-4 && found.probeError < found.standardError);
  const exact = await bitsPerDimension(flow, x1, {
    ...{ normalization: normalizations[1], solver: "heun", steps: 10, seed: 5 },
    exact: true,
  });
  assert.ok(Math.abs(found.mean - exact.mean) < 5 * found.probeError);
  const one = await bitsPerDimension(flow, slice(x1, 0, 0, 1), options);
  assert.ok(Number.isNaN(one.standardError));
  assertClose(one.bits, found.bits.slice(0, 1), 1e-5);
});

testOnCpu("bitsPerDimension() refuses guided fields and invalid seeds", async () => {
  const { x1, flow } = seen(normalizations[0]);
  const options = { normalization: normalizations[0], steps: 2, seed: 5 };
  await assert.rejects(
    bitsPerDimension(Object.assign(flow, { guided: true }), x1, options),
    /^TypeError: Cannot take the likelihood of a guided field/,
  );
  await assert.rejects(
    bitsPerDimension(new GaussianFlow(), x1, { ...options, seed: 0.5 }),
    /^RangeError: Cannot draw from the seed 0\.5/,
  );
});
