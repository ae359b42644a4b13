/** Frames of flows, and GIFs of them. */

import assert from "node:assert/strict";
import { Indexer } from "../../../viz/flow/flow_gif.ts";
import * as viz from "../../../viz/mod.ts";
import { readGif } from "../image/gif_reading.ts";
import { madeUpColourFlow, madeUpFlow } from "./made_up_flow.ts";

const draw = await viz.rasterizer();

/** One bright pixel on black that moves right by one pixel per snapshot. */
function moving(M: number, velocity = 0): viz.Trajectory {
  const image = new Float32Array(M * M);
  for (let m = 0; m < M; m++) image[m * M + m] = 1;
  return {
    t: Float32Array.from({ length: M }, (_, m) => m / (M - 1)),
    image,
    velocity: new Float32Array((M - 1) * M).fill(velocity),
    shape: [M, 1, M],
  };
}

/** Index of the brightest pixel in a cell at (left, top) of a picture drawn with `gray`. */
function brightest(svg: string, count: number, scale: number, [left, top]: [number, number]): number {
  const { width, rgba } = draw(svg);
  const values = Array.from({ length: count }, (_, i) => rgba[4 * (top * width + left + i * scale)]);
  return values.indexOf(Math.max(...values));
}

Deno.test("flowFrames() shows the paced snapshots, from the first to the last", () => {
  for (const pacing of viz.pacings) {
    const frames = viz.flowFrames([{ trajectories: [moving(21)] }], {
      pacing,
      frames: 7,
      field: "none",
      map: "gray",
      scale: 10,
    });
    assert.deepEqual([frames.width, frames.height], [210, 28 + 10]);
    const places = frames.times.map((_, i) => brightest(frames.svg(i), 21, 10, [5, 33]));
    assert.deepEqual(places, viz.pace(pacing, 21, 7));
    assert.match(frames.svg(6), />t = 1.00</);
  }
});

Deno.test("flowFrames() shows all cells at the times of the finest trajectory, for any spacing", () => {
  const uneven = { ...moving(11), t: Float32Array.from({ length: 11 }, (_, m) => (m / 10) ** 2) };
  const rows = [{ label: "even", trajectories: [moving(11)] }, { label: "uneven", trajectories: [uneven] }];
  const options = { field: "none", map: "gray", scale: 20 } as const;
  const frames = viz.flowFrames(rows, { ...options, frames: 11, pacing: "quadratic" });
  frames.times.forEach((t, i) => {
    assert.equal(brightest(frames.svg(i), 11, 20, [30, 38]), Math.round(10 * t));
    const distances = Array.from(uneven.t, (time) => Math.abs(time - t));
    const shown = brightest(frames.svg(i), 11, 20, [30, 38 + 26]);
    assert.ok(distances[shown] <= Math.min(...distances) + 1e-6, `${shown} at t = ${t}`);
    assert.match(frames.svg(i), new RegExp(`t = ${t.toFixed(2)}, quadratic pacing`));
  });
  const fine = viz.flowFrames([rows[0], { trajectories: [madeUpFlow(0, 101, [1, 11])] }], { frames: 5 });
  assert.deepEqual(fine.times, [0, 0.25, 0.5, 0.75, 1]);
  const alone = viz.flowFrames([{ trajectories: [uneven] }], { ...options, frames: 3 });
  assert.deepEqual(alone.times, [0, uneven.t[7], 1]); // 0.49 is nearest to 0.5
  assert.match(alone.svg(1), />t = 0.49</);
  assert.equal(brightest(alone.svg(1), 11, 20, [10, 38]), 7);
  assert.match(viz.filmstrip([{ trajectories: [uneven] }], { frames: 3 }), />t = 0.49</);
});

Deno.test("flowFrames() explains its arrows, and draws none without velocity", () => {
  const frames = viz.flowFrames([{ trajectories: [madeUpFlow(0, 5)] }], { frames: 5 });
  assert.deepEqual([frames.width, frames.height], [392, 440]);
  assert.match(frames.svg(0), /arrows: towards higher velocity, mean of 4 × 4 pixels/);
  const arrows = (svg: string) => /fill-opacity=".8" d="([^"]*)"/.exec(svg)?.[1].split("M").length ?? 0;
  assert.equal(arrows(frames.svg(0)), 50); // 49 arrows
  assert.equal(arrows(frames.svg(4)), 0);
});

Deno.test("flowFrames() escapes text, breaks a row label at its middle comma, and cuts what is too long", () => {
  const svgOf = (label: string, columnTitles?: string[]) => {
    const options = { frames: 2, scale: 4, ...columnTitles && { columnTitles } };
    return viz.flowFrames([{ label, trajectories: [madeUpFlow(1, 3)] }], options).svg(0);
  };
  const hostile = svgOf(`<script>"&'\u0000`, ["a<b".repeat(99)]);
  assert.ok(hostile.includes(">&lt;script&gt;&quot;&amp;'\ufffd<"));
  assert.match(hostile, />(a&lt;b)+(a|a&lt;)?…</);
  const broken = />base, no attn,<\/text><text [^>]*>equal arithmetic<\/text>/;
  assert.match(svgOf("base, no attn, equal arithmetic"), broken);
  assert.match(svgOf("base, no attn"), />base, no attn<\/text>/);
  assert.match(svgOf("one that has no comma at all"), />one that has no comma at…<\/text>/);
});

Deno.test("flowFrames() draws every field of a single snapshot, and of one-pixel images", () => {
  for (const field of viz.flowFields satisfies readonly viz.FlowField[]) {
    for (const trajectory of [madeUpFlow(1, 1), madeUpFlow(1, 2, [1, 1]), madeUpFlow(1, 3, [5, 3])]) {
      const frames = viz.flowFrames([{ trajectories: [trajectory] }], { field, frames: 3 });
      assert.equal(frames.times.length, 3);
      for (let i = 0; i < 3; i++) assert.equal(draw(frames.svg(i)).width, frames.width);
    }
  }
});

/** One pixel with three channels at t = 0, 0.5 and 1. */
const pixel: viz.Trajectory = {
  t: Float32Array.of(0, 0.5, 1),
  image: Float32Array.of(0.2, 0.4, 0.6, 1, 0.5, 0, 0, 0, 1),
  velocity: Float32Array.of(0.6, -0.2, 0.2, 1, 0, -1),
  shape: [3, 3, 1, 1],
};

Deno.test("flowFrames() draws three channels in colour, and their mean velocity", () => {
  const colours = (field: viz.FlowField) => {
    const frames = viz.flowFrames([{ trajectories: [pixel] }], { field, frames: 3, scale: 120 });
    return [0, 1, 2].map((i) => {
      const { width, rgba } = draw(frames.svg(i));
      const at = 4 * (40 * width + (width >> 1));
      return [...rgba.subarray(at, at + 3)];
    });
  };
  assert.deepEqual(colours("none"), [[51, 102, 153], [255, 128, 0], [0, 0, 255]]);
  assert.deepEqual(colours("quiver"), colours("none"), "a single block has no arrow");
  // x + (1 - t) v, clamped
  assert.deepEqual(colours("prediction"), [[204, 51, 204], [255, 128, 0], [0, 0, 255]]);
  // the mean velocities are 0.2, which brightens, and 0
  const [rising, still, last] = colours("velocity");
  assert.ok(rising[0] > rising[2] + 50, `${rising} is red`);
  assert.ok(still.every((value) => value > 230), `${still} is white`);
  assert.deepEqual(last, still);
  for (const field of ["velocity", "quiver"] as const) {
    const frames = viz.flowFrames([{ trajectories: [madeUpColourFlow(0, 3)] }], { field });
    assert.match(frames.svg(0), /mean over channels/);
  }
});

Deno.test("flowFrames() and filmstrip() reject what they cannot draw", () => {
  const three = moving(3);
  const rows = (...trajectories: viz.Trajectory[]) => [{ trajectories }];
  const two = {
    ...pixel,
    image: new Float32Array(6),
    velocity: new Float32Array(4),
    shape: [3, 2, 1, 1] as const,
  };
  const field = "quivr" as viz.FlowField;
  const cases: [viz.FlowRow[], message: RegExp, options?: viz.FlowFramesOptions][] = [
    [[], /^RangeError: Cannot draw flow: a row has no trajectories/],
    [[...rows(three), ...rows()], /a row has no trajectories/],
    [rows(three, moving(4)), /: images are 1 x 3 but also 1 x 4 \(expected one size\)$/],
    [rows(pixel, madeUpFlow(0, 3, [1, 1])), /images are 3 x 1 x 1 but also 1 x 1 /],
    [rows(two), /: images have 2 channels \(expected 1 for grey, or 3 for red, green and blue\)$/],
    [rows({ ...three, velocity: new Float32Array(2) }), /velocity holds 2 values \(expected 6/],
    [rows(three), /scale is 0/, { scale: 0 }],
    [rows(three), /^RangeError: Cannot draw a picture of \d+ x \d+ pixels \(expected at most 67108864/, {
      scale: 1e5,
    }],
    [rows(three), /^TypeError: .* no field is named "quivr", did you mean "quiver"\?/, { field }],
  ];
  for (const [rows, message, options] of cases) {
    assert.throws(() => viz.flowFrames(rows, options), message);
    assert.throws(() => viz.filmstrip(rows, options), message);
  }
  const holed = { ...three, image: three.image.map(() => NaN) };
  const frames = viz.flowFrames([{ trajectories: [holed] }], { frames: 2 });
  assert.throws(() => frames.svg(1), /Cannot draw quiver at t = 1: image 0 is NaN at row 0, column 0/);
  for (const value of [NaN, Infinity]) {
    const flow = madeUpFlow(0, 3);
    const trajectories = [{ ...flow, velocity: flow.velocity.with(30, value) }];
    const wild = viz.flowFrames([{ trajectories }], { frames: 3 });
    const where = `velocity is ${value} at row 1, column 2 \\(expected finite numbers\\)$`;
    assert.throws(() => wild.svg(0), new RegExp(`^RangeError: Cannot draw quiver at t = 0: ${where}`));
    assert.doesNotMatch(wild.svg(1), /NaN|Infinity/);
  }
});

/** Largest and mean difference of each frame from its true colours. */
function differences(frames: viz.FlowFrames, drawn: readonly Uint8Array[]) {
  return drawn.map((frame, i) => {
    const { rgba } = draw(frames.svg(i));
    let [sum, most] = [0, 0];
    for (let p = 0; p < rgba.length; p += 4) {
      const difference = Math.hypot(...[0, 1, 2].map((c) => rgba[p + c] - frame[p + c]));
      sum += difference;
      most = Math.max(most, difference);
    }
    return { mean: 4 * sum / rgba.length, most };
  });
}

Deno.test("flowGif() writes a small file, with colours near the true ones in all frames", () => {
  const frames = viz.flowFrames([{ trajectories: [madeUpFlow(0, 101)] }], {
    frames: 6,
    pacing: "logarithmic",
  });
  const bytes = viz.flowGif(frames, draw, { hold: 1500 });
  const gif = readGif(bytes);
  assert.deepEqual([gif.width, gif.height, gif.frames.length], [392, 440, 6]);
  assert.deepEqual(gif.delays, [...new Array(5).fill(50), 1500]);
  // The edge of an arrow may lie between two mixtures of the palette.
  differences(frames, gif.frames).forEach(({ most }, i) =>
    assert.ok(most <= 40, `frame ${i} is off by ${most}`)
  );
  assert.ok(bytes.length < 6 * 20_000, `${bytes.length} bytes`);
});

Deno.test("Indexer keeps the previous pixel only within the tolerance", () => {
  const palette = viz.colormap("gray");
  const raster = (...levels: number[]) => ({
    width: levels.length,
    height: 1,
    rgba: Uint8Array.from(levels.flatMap((level) => [level, level, level, 255])),
  });
  const indexer = new Indexer(palette);
  assert.deepEqual([...indexer.index(raster(100, 100, 100), 9).pixels], [100, 100, 100]);
  // A change by 5 in R, G and B is a distance of 8.7, by 6 of 10.4.
  assert.deepEqual([...indexer.index(raster(105, 106, 95), 9).pixels], [100, 106, 100]);
  assert.deepEqual([...indexer.index(raster(106, 106, 94), 9).pixels], [106, 106, 94]);
  assert.deepEqual([...indexer.index(raster(105, 107, 95), 0).pixels], [105, 107, 95]);
});

Deno.test("flowGif() fits its palette to the colours of three channels", () => {
  const flows = [0, 1].map((seed) => madeUpColourFlow(seed, 21));
  const frames = viz.flowFrames([{ trajectories: flows }], { frames: 5, field: "none" });
  const gif = readGif(viz.flowGif(frames, draw));
  differences(frames, gif.frames).forEach(({ mean, most }, i) => {
    // Noise fills the whole RGB cube, but a GIF has 256 colours.
    assert.ok(most <= 90 && mean <= 25, `frame ${i} is off by ${most}, ${mean} on average`);
  });
  assert.equal(new Set(gif.paletteOffsets).size, 1);
});
