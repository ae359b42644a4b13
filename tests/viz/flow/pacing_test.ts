import assert from "node:assert/strict";
import { pace, type Pacing, pacings } from "../../../viz/mod.ts";

const counts = [
  ...Array.from({ length: 40 }, (_, i) => i + 1),
  64,
  99,
  100,
  101,
  255,
  256,
  999,
  1000,
  1001,
  1024,
];

Deno.test("pace() runs from the first to the last snapshot and never back, for every M and n", () => {
  for (const pacing of pacings) {
    for (const M of counts) {
      for (const n of counts) {
        const indices = pace(pacing, M, n);
        const label = `${pacing} M=${M} n=${n}`;
        assert.equal(indices.length, n, label);
        if (n >= 2) assert.equal(indices[0], 0, label);
        assert.equal(indices[n - 1], M - 1, label);
        assert.ok(indices.every((m) => Number.isInteger(m) && m >= 0 && m < M), label);
        assert.ok(indices.every((m, i) => i === 0 || m >= indices[i - 1]), label);
      }
    }
  }
});

Deno.test("pace() follows its formula", () => {
  assert.deepEqual(pace("linear", 101, 5), [0, 25, 50, 75, 100]);
  assert.deepEqual(pace("quadratic", 101, 6), [0, 4, 16, 36, 64, 100]);
  assert.deepEqual(pace("inv_quadratic", 101, 5), [0, 50, 71, 87, 100]);
  // M^(k/3) - 1 before the last, for k = 3, 2, 1, 0.
  assert.deepEqual(pace("logarithmic", 1000, 4), [0, 900, 990, 999]);
});

Deno.test("pace() gives every snapshot once where linear frames are as many", () => {
  assert.deepEqual(pace("linear", 37, 37), Array.from({ length: 37 }, (_, i) => i));
});

Deno.test("pace() gives the last snapshot to a single frame", () => {
  for (const pacing of pacings) assert.deepEqual(pace(pacing, 12, 1), [11]);
});

Deno.test("pace() names the nearest pacing when there is none of that name", () => {
  assert.throws(() => pace("logaritmic" as Pacing, 10, 5), {
    name: "TypeError",
    message: 'Cannot pace frames: no pacing is named "logaritmic", did you mean "logarithmic"? ' +
      "(expected one of linear, quadratic, inv_quadratic, logarithmic)",
  });
});

Deno.test("pace() rejects counts that are no positive integers", () => {
  for (const count of [0, -1, 2.5, NaN, Infinity]) {
    assert.throws(() => pace("linear", count, 5), {
      name: "RangeError",
      message: `Cannot pace frames: number of snapshots is ${count} (expected an integer of at least 1)`,
    });
    assert.throws(() => pace("linear", 5, count), {
      name: "RangeError",
      message: `Cannot pace frames: number of frames is ${count} (expected an integer of at least 1)`,
    });
  }
});

Deno.test("pace() refuses more frames than any animation has", () => {
  assert.equal(pace("linear", 2, 2 ** 20).length, 2 ** 20);
  assert.throws(() => pace("linear", 2, 1e9), {
    name: "RangeError",
    message: /\(expected at most 1048576\)$/,
  });
});

Deno.test("pace() takes equally spaced times as their number, to the index", () => {
  for (const pacing of pacings) {
    for (const M of counts.slice(1)) {
      const times = Float32Array.from({ length: M }, (_, m) => m / (M - 1));
      for (const n of [1, 2, 7, 100]) assert.deepEqual(pace(pacing, times, n), pace(pacing, M, n));
    }
  }
});

Deno.test("pace() spreads frames over t where times are not equally spaced", () => {
  const times = Float32Array.from({ length: 101 }, (_, m) => (m / 100) ** 2);
  const at = (pacing: Pacing) => pace(pacing, times, 5).map((m) => times[m]);
  const expected: Record<Pacing, number[]> = {
    linear: [0, 0.25, 0.5, 0.75, 1],
    quadratic: [0, 0.0625, 0.25, 0.5625, 1],
    inv_quadratic: [0, 0.5, Math.sqrt(0.5), Math.sqrt(0.75), 1],
    logarithmic: [1, 0.75, 0.5, 0.25, 0].map((share) => 1 - (101 ** share - 1) / 100),
  };
  for (const pacing of pacings) {
    at(pacing).forEach((t, i) => {
      assert.ok(Math.abs(t - expected[pacing][i]) <= 0.01, `${pacing}: ${t} is not ${expected[pacing][i]}`);
    });
  }
  assert.deepEqual(pace("linear", [0.2, 0.3, 1], 3), [0, 1, 2], "between the first and the last");
});
