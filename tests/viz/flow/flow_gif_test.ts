import assert from "node:assert/strict";
import { colormap, type FlowFrames, flowFrames, flowGif, rasterizer } from "../../../viz/mod.ts";
import { Indexer } from "../../../viz/flow/flow_gif.ts";
import { readGif } from "../image/gif_reading.ts";
import { madeUpColourFlow, madeUpFlow } from "./made_up_flow.ts";

const draw = await rasterizer();

/** Largest and mean difference of each frame from its true colours. */
function differences(frames: FlowFrames, drawn: readonly Uint8Array[]) {
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
  const frames = flowFrames([{ trajectories: [madeUpFlow(0, 101)] }], { frames: 6, pacing: "logarithmic" });
  const bytes = flowGif(frames, draw, { hold: 1500 });
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
  const palette = colormap("gray");
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
  const frames = flowFrames([{ trajectories: flows }], { frames: 5, field: "none" });
  assert.equal(frames.map, undefined);
  const gif = readGif(flowGif(frames, draw));
  differences(frames, gif.frames).forEach(({ mean, most }, i) => {
    // Noise fills the whole RGB cube, but a GIF has 256 colours.
    assert.ok(most <= 90 && mean <= 25, `frame ${i} is off by ${most}, ${mean} on average`);
  });
  assert.equal(new Set(gif.paletteOffsets).size, 1);
  assert.equal(flowFrames([{ trajectories: flows }], { field: "velocity" }).map, "rdbu");
});
