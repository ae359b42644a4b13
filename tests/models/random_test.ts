import assert from "node:assert/strict";
import { multiply, tensor } from "../../kernels/mod.ts";
import { noise, slerp, solveFlow, type VelocityField } from "../../models/mod.ts";
import { assertClose, testOnDevices } from "../testing.ts";

const shares = [0, 0.1, 0.25, 0.5, 0.9, 1];
const norm = (x: Float32Array) => Math.hypot(...x);

testOnDevices("noise() is standard normal, and row n does not depend on N", async () => {
  const [many, few] = [400, 3].map((N) => noise(7, [N, 1, 5, 4]));
  const values = await many.read();
  assert.deepEqual(await few.read(), values.slice(0, 60));
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const variance = values.reduce((sum, x) => sum + x * x, 0) / values.length;
  assert.ok(Math.abs(mean) < 4 / Math.sqrt(8000), `mean ${mean}`);
  assert.ok(Math.abs(variance - 1) < 4 * Math.sqrt(2 / 8000), `variance ${variance}`);
});

Deno.test("slerp() turns one vector into another at an even pace", () => {
  for (const angle of [0.01, 1, Math.PI / 2, 3]) {
    const [x, y] = [Float32Array.of(2, 0), Float32Array.of(2 * Math.cos(angle), 2 * Math.sin(angle))];
    for (const share of shares) {
      const expected = [2 * Math.cos(share * angle), 2 * Math.sin(share * angle)];
      assertClose(slerp(x, y, share), expected, 1e-6);
    }
  }
});

Deno.test("slerp() follows White's formula for vectors of any length", () => {
  const [x, y] = [Float32Array.of(1, -2, 0.5), Float32Array.of(0.3, 4, 2)];
  const cosine = x.reduce((sum, value, i) => sum + value * y[i], 0) / norm(x) / norm(y);
  const angle = Math.acos(cosine);
  for (const share of shares) {
    const expected = x.map((value, i) =>
      (Math.sin((1 - share) * angle) * value + Math.sin(share * angle) * y[i]) / Math.sin(angle)
    );
    assertClose(slerp(x, y, share), expected, 1e-6);
  }
});

Deno.test("slerp() starts and ends exactly at its vectors", () => {
  const [x, y] = [Float32Array.of(0.1, -0, 3e-39), Float32Array.of(-7, 0.3, -0)];
  assert.deepEqual(slerp(x, y, 0), x);
  assert.deepEqual(slerp(x, y, 1), y);
});

Deno.test("slerp() is linear between vectors that are nearly parallel or zero", () => {
  const x = Float32Array.of(1, 2, 3);
  const [longer, beside, none] = [
    x.map((value) => 3 * value),
    Float32Array.of(1, 2, 3.0000005),
    x.map(() => 0),
  ];
  for (const y of [x, longer, beside, none]) {
    for (const share of shares) {
      assertClose(slerp(x, y, share), x.map((value, i) => (1 - share) * value + share * y[i]), 1e-6);
    }
  }
});

Deno.test("slerp() refuses opposite vectors, different lengths and shares outside [0, 1]", () => {
  const x = Float32Array.of(1, 2);
  assert.throws(() => slerp(x, Float32Array.of(-2, -4), 0.5), {
    name: "RangeError",
    message: "Cannot interpolate between opposite noises: no arc is the shortest (expected other noise)",
  });
  assert.throws(() => slerp(x, Float32Array.of(1), 0.5), {
    name: "RangeError",
    message: "Cannot interpolate between noises of 2 and 1 elements (expected equal numbers)",
  });
  for (const share of [-0.1, 1.1, NaN]) {
    assert.throws(() => slerp(x, x, share), {
      name: "RangeError",
      message: `Cannot interpolate noise at share ${share} (expected a number in [0, 1])`,
    });
  }
});

testOnDevices("slerp() keeps the length of noise, unlike linear interpolation", async () => {
  const P = 784;
  const both = await noise(5, [2, P]).read();
  const [x, y] = [both.subarray(0, P), both.subarray(P)];
  const middle = slerp(x, y, 0.5);
  assert.ok(Math.abs(norm(middle) / Math.sqrt(P) - 1) < 0.05, `${norm(middle)}`);
  assert.ok(norm(x.map((value, i) => (value + y[i]) / 2)) / Math.sqrt(P) < 0.8);
});

testOnDevices(
  "a linear flow maps slerp() between noises to slerp() between images",
  async () => {
    const field: VelocityField = { velocity: (x) => multiply(x, 0.7) };
    const how = { solver: "rk4", steps: 20 } as const;
    const P = 48;
    const data = await noise(9, [2, 3, 4, 4]).read();
    const back = await solveFlow(field, tensor(data, [2, 3, 4, 4]), { ...how, from: 1, to: 0 });
    assertClose(back.samples, data.map((value) => value * Math.exp(-0.7)), 1e-5);
    const part = (values: Float32Array, n: number) => values.subarray(n * P, (n + 1) * P);
    const arcs = shares.map((share) => slerp(part(back.samples, 0), part(back.samples, 1), share));
    const x0 = Float32Array.from(arcs.flatMap((arc) => [...arc]));
    const { samples } = await solveFlow(field, tensor(x0, [shares.length, 3, 4, 4]), how);
    shares.forEach((share, k) => {
      assertClose(part(samples, k), slerp(part(data, 0), part(data, 1), share), 1e-5);
    });
  },
);
