import assert from "node:assert/strict";
import {
  colormap,
  flowGif,
  type FlowGifOptions,
  grid,
  type ImagesShape,
  pace,
  type Pacing,
} from "../../viz/mod.ts";
import { readGif, rgba } from "./gif_reading.ts";

const magma = colormap("magma");
const shape: ImagesShape = [5, 4, 3];
const times = Array.from({ length: 11 }, (_, m) => m / 10);
const snapshots = times.map((t) =>
  Float32Array.from({ length: 60 }, (_, i) => (1 - t) * Math.sin(i) + t * (i / 59))
);

Deno.test("flowGif() draws the paced snapshots as grids under magma", () => {
  const layout = { scale: 2, gap: 1, columns: 2, range: [-1, 1] } as const;
  for (const pacing of ["linear", "quadratic", "inv_quadratic", "logarithmic"] as const) {
    const gif = readGif(flowGif(snapshots, times, shape, { ...layout, pacing, frames: 7 }));
    assert.equal(gif.frames.length, 7);
    pace(pacing, 11, 7).forEach((m, i) => {
      const { width, height, pixels } = grid(snapshots[m], shape, layout);
      assert.deepEqual([gif.width, gif.height], [width, height + 3]);
      assert.deepEqual([...gif.frames[i].subarray(0, 4 * width * height)], rgba(pixels, magma));
    });
  }
});

Deno.test("flowGif() draws t as the length of a bar in the last three rows", () => {
  const bars = [0, 0.25, 0.5, 1];
  const blank = bars.map(() => new Float32Array(8));
  const gif = readGif(flowGif(blank, bars, [1, 1, 8], { frames: 4 }));
  bars.forEach((t, i) => {
    const row = Uint8Array.from({ length: 8 }, (_, x) => x < 8 * t ? 255 : 64);
    for (const y of [1, 2, 3]) {
      assert.deepEqual([...gif.frames[i].subarray(4 * 8 * y, 4 * 8 * (y + 1))], rgba(row, magma));
    }
  });
});

Deno.test("flowGif() passes on delay, hold and plays, and takes 50 frames by default", () => {
  const gif = readGif(flowGif(snapshots, times, shape, { delay: 30, hold: 1500, plays: 3 }));
  assert.deepEqual(gif.delays, [...new Array(49).fill(30), 1500]);
  assert.equal(gif.loopCount, 2);
});

Deno.test("flowGif() names the snapshot it cannot draw", () => {
  const one = { frames: 1 };
  const draw = (values: Float32Array, t: number, options: FlowGifOptions = one) =>
    flowGif([values], [t], [1, 1, 2], options);
  assert.throws(() => draw(Float32Array.of(0, NaN), 0.5), {
    name: "RangeError",
    message: "Cannot draw snapshot 0 at t = 0.5: image 0 is NaN at row 0, column 1 (expected numbers)",
  });
  assert.throws(() => draw(new Float32Array(3), 1), /snapshot 0 at t = 1: images hold 3 values \(expected 2/);
  for (const t of [-0.1, 1.1, NaN]) {
    assert.throws(() => draw(new Float32Array(2), t), /time 0 is .* \(expected t in \[0, 1\]\)/);
  }
  assert.throws(() => draw(new Float32Array(2), 1, { pacing: "liner" as Pacing }), /did you mean "linear"/);
});

Deno.test("flowGif() rejects no snapshots, and times that are not theirs", () => {
  assert.throws(() => flowGif([], [], shape), /number of snapshots is 0/);
  assert.throws(() => flowGif(snapshots, [0, 1], shape), {
    name: "RangeError",
    message: "Cannot draw flow: 11 snapshots but 2 times (expected a time for each)",
  });
});
