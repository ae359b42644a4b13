import { flowFrames, type FlowFramesOptions, flowGif, rasterizer } from "../../viz/mod.ts";

import type { FlowSnapshots } from "./snapshot_files.ts";
import { inRows, wordsOf } from "./flow_words.ts";

/** Milliseconds that the finished image at the end of an animation is shown. */
const hold = 1500;

/** Draws samples on their way from noise, side by side, as a GIF. */
export async function flowAnimation(
  samples: readonly FlowSnapshots[],
  options: FlowFramesOptions,
): Promise<Uint8Array> {
  const words = wordsOf(samples);
  const rows = samples.length > 1 ? inRows(samples, words.columns) : [samples];
  const trajectories = rows.map((row) => ({ trajectories: row.map(({ trajectory }) => trajectory) }));
  const titled = samples.length > 1 && { columnTitles: words.titles.slice(0, rows[0].length) };
  const frames = flowFrames(trajectories, {
    ...options,
    ...titled,
    ...words.remark && { remark: words.remark },
  });
  return flowGif(frames, await rasterizer(), { hold });
}
