/**
 * Times the frames and encoders of flow pictures: a single sample of 28 x 28 at 392 pixels, and two rows of five.
 *
 * deno run tests/bench/pictures.ts
 */

import { encodeApng, flowFrames, flowGif, rasterizer } from "../../viz/mod.ts";
import { madeUpFlow } from "../viz/flow/made_up_flow.ts";

const count = 100;
const draw = await rasterizer();
const flows = [0, 1, 2, 3, 4].map((seed) => madeUpFlow(seed, 101));
const pictures = {
  "one sample": [{ trajectories: flows.slice(0, 1) }],
  "2 x 5 samples": [{ label: "a", trajectories: flows }, { label: "b", trajectories: flows }],
};

function timed<T>(run: () => T): { value: T; ms: number } {
  const started = performance.now();
  const value = run();
  return { value, ms: (performance.now() - started) / count };
}

for (const [name, rows] of Object.entries(pictures)) {
  const frames = flowFrames(rows, { frames: count });
  for (let i = 0; i < 10; i++) draw(frames.svg(i)); // warm-up
  const svgs = timed(() => frames.times.map((_, i) => frames.svg(i)));
  const rasters = timed(() => svgs.value.map((svg) => draw(svg)));
  const gif = timed(() => flowGif(frames, draw, { hold: 1500 }));
  const apng = timed(() => encodeApng(rasters.value));
  const encoding = gif.ms - svgs.ms - rasters.ms;
  console.log(
    `${name}, ${count} frames of ${frames.width} x ${frames.height}: SVG ${svgs.ms.toFixed(1)} ms a frame, ` +
      `raster ${rasters.ms.toFixed(1)} ms, GIF ${encoding.toFixed(1)} ms (${megabytes(gif.value)} MB), ` +
      `APNG ${apng.ms.toFixed(1)} ms (${megabytes(apng.value)} MB)`,
  );
}

function megabytes(bytes: Uint8Array): string {
  return (bytes.length / 1e6).toFixed(2);
}
