import assert from "node:assert/strict";
import { noise, slerp } from "../../models/mod.ts";
import { assertClose, testOnDevices } from "../testing.ts";
import { assertSameNumbers } from "../same_numbers.ts";

const shares = [0, 0.1, 0.25, 0.5, 0.9, 1];
const norm = (x: Float32Array) => Math.hypot(...x);

testOnDevices("noise() is standard normal, and row n does not depend on N", async () => {
  const [many, few] = [400, 3].map((N) => noise(7, [N, 1, 5, 4]));
  const values = await many.read();
  assertSameNumbers(await few.read(), values.slice(0, 60));
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const variance = values.reduce((sum, x) => sum + x * x, 0) / values.length;
  assert.ok(Math.abs(mean) < 4 / Math.sqrt(8000), `mean ${mean}`);
  assert.ok(Math.abs(variance - 1) < 4 * Math.sqrt(2 / 8000), `variance ${variance}`);
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
  for (const angle of [0.01, 3]) {
    const arc = (share: number) => Float32Array.of(2 * Math.cos(share * angle), 2 * Math.sin(share * angle));
    for (const share of shares) assertClose(slerp(arc(0), arc(1), share), arc(share), 1e-6);
  }
  const [start, end] = [Float32Array.of(0.1, -0, 3e-39), Float32Array.of(-7, 0.3, -0)];
  assert.deepEqual([slerp(start, end, 0), slerp(start, end, 1)], [start, end], "to the bit");
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
    message:
      "Cannot interpolate between opposite noise vectors: no arc is the shortest (expected other noise)",
  });
  assert.throws(() => slerp(x, Float32Array.of(1), 0.5), {
    name: "RangeError",
    message: "Cannot interpolate between noise vectors of 2 and 1 elements (expected the same number)",
  });
  for (const share of [-0.1, 1.1, NaN]) {
    assert.throws(() => slerp(x, x, share), {
      name: "RangeError",
      message: `Cannot interpolate noise at share ${share} (expected a number in [0, 1])`,
    });
  }
});
