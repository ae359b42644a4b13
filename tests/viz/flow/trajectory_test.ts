import assert from "node:assert/strict";
import { assertClose } from "../../testing.ts";
import { checkTrajectory, pace, type Pacing, pacings, quiver, type Trajectory } from "../../../viz/mod.ts";

const trajectory: Trajectory = {
  t: Float32Array.of(0, 1),
  image: new Float32Array(2 * 3 * 4),
  velocity: new Float32Array(3 * 4),
  shape: [2, 3, 2, 2],
};

Deno.test("checkTrajectory() accepts one and three channels, and names a mismatched array", () => {
  for (const shape of [[2, 3, 2, 2], [2, 1, 4, 3], [2, 4, 3]] as const) {
    checkTrajectory("test", { ...trajectory, shape });
  }
  const refused = (shape: Trajectory["shape"], problem: string) =>
    assert.throws(() => checkTrajectory("test", { ...trajectory, shape }), {
      name: "RangeError",
      message: `Cannot test: ${problem}`,
    });
  refused([2, 3, 2, 3], "image holds 24 values (expected 36 for [M, C, H, W] = [2,3,2,3])");
  refused([2, 4, 3, 1], "images have 4 channels (expected 1 for grey, or 3 for red, green and blue)");
});

const counts = [1, 2, 3, 5, 8, 37, 100, 101, 256, 1001];

Deno.test("pace() runs from the first to the last snapshot and never back, for times and for their number", () => {
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
        if (M === 1) continue;
        const times = Float32Array.from({ length: M }, (_, m) => m / (M - 1));
        assert.deepEqual(pace(pacing, times, n), indices, `${label}, of equally spaced times`);
      }
    }
  }
});

Deno.test("pace() follows its formula", () => {
  assert.deepEqual(pace("linear", 101, 5), [0, 25, 50, 75, 100]);
  assert.deepEqual(pace("linear", 37, 37), Array.from({ length: 37 }, (_, i) => i));
  assert.deepEqual(pace("quadratic", 101, 6), [0, 4, 16, 36, 64, 100]);
  assert.deepEqual(pace("inv_quadratic", 101, 5), [0, 50, 71, 87, 100]);
  // M^(k/3) - 1 snapshots before the last, for k = 3, 2, 1, 0.
  assert.deepEqual(pace("logarithmic", 1000, 4), [0, 900, 990, 999]);
});

Deno.test("pace() rejects unknown pacings and wrong counts", () => {
  assert.throws(() => pace("logaritmic" as Pacing, 10, 5), {
    name: "TypeError",
    message: 'Cannot pace frames: no pacing is named "logaritmic", did you mean "logarithmic"? ' +
      "(expected one of linear, quadratic, inv_quadratic, logarithmic)",
  });
  for (const count of [0, -1, 2.5, NaN, Infinity]) {
    const what = `is ${count} \\(expected an integer of at least 1\\)$`;
    assert.throws(() => pace("linear", count, 5), new RegExp(`^RangeError: .*: number of snapshots ${what}`));
    assert.throws(() => pace("linear", 5, count), new RegExp(`^RangeError: .*: number of frames ${what}`));
  }
  assert.equal(pace("linear", 2, 2 ** 20).length, 2 ** 20);
  assert.throws(() => pace("linear", 2, 1e9), /^RangeError: .* \(expected at most 1048576\)$/);
});

Deno.test("pace() spreads frames over t if times are unevenly spaced", () => {
  const times = Float32Array.from({ length: 101 }, (_, m) => (m / 100) ** 2);
  const at = (pacing: Pacing) => pace(pacing, times, 5).map((m) => times[m]);
  const expected: Record<Pacing, number[]> = {
    linear: [0, 0.25, 0.5, 0.75, 1],
    quadratic: [0, 0.0625, 0.25, 0.5625, 1],
    inv_quadratic: [0, 0.5, Math.sqrt(0.5), Math.sqrt(0.75), 1],
    logarithmic: [1, 0.75, 0.5, 0.25, 0].map((share) => 1 - (101 ** share - 1) / 100),
  };
  for (const pacing of pacings) {
    assertClose(at(pacing), expected[pacing], 0.01);
  }
  assert.deepEqual(pace("linear", [0.2, 0.3, 1], 3), [0, 1, 2], "between the first and the last");
});

Deno.test("quiver() points up the gradient of 4 x 4 block means, from block centres", () => {
  const [H, W] = [8, 12];
  // Block means increase by 3 from column to column and by 10 from row to row.
  const velocity = Float32Array.from({ length: H * W }, (_, i) => {
    const [y, x] = [Math.floor(i / W), i % W];
    return 3 * Math.floor(x / 4) + 10 * Math.floor(y / 4) + (y % 4 - 1.5) + (x % 4 - 1.5);
  });
  const arrows = quiver(velocity, [H, W]);
  assert.deepEqual(arrows.map(({ x, y }) => [x, y]), [[2, 2], [6, 2], [10, 2], [2, 6], [6, 6], [10, 6]]);
  for (const { dx, dy } of arrows) assert.deepEqual([dx, dy], [3, 10]);
});

Deno.test("quiver() takes one-sided differences and smaller blocks at borders", () => {
  const squares = Float32Array.from({ length: 4 * 16 }, (_, i) => [0, 1, 4, 9][Math.floor(i % 16 / 4)]);
  assert.deepEqual(quiver(squares, [4, 16]).map(({ dx, dy }) => [dx, dy]), [[1, 0], [2, 0], [4, 0], [5, 0]]);
  const velocity = Float32Array.from({ length: 4 * 6 }, (_, i) => i % 6 < 4 ? 1 : 5);
  assert.deepEqual(quiver(velocity, [4, 6]).map(({ x, dx }) => [x, dx]), [[2, 4], [5, 4]]);
  assert.deepEqual(quiver(Float32Array.of(3, 4), [1, 2]), [{ x: 1, y: 0.5, dx: 0, dy: 0 }], "a single block");
  assert.throws(() => quiver(new Float32Array(5), [2, 2]), {
    name: "RangeError",
    message: "Cannot draw quiver: velocity holds 5 values (expected 4, f32[2, 2])",
  });
});
