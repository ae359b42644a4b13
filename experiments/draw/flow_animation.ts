import { type Evolution, flowFrames, type FlowFramesOptions, flowGif, rasterizer } from "../../viz/mod.ts";

/** Milliseconds that the finished image at the end of an animation is shown. */
const hold = 1500;

/** Draws samples on their way from noise, side by side, as a GIF. */
export async function flowAnimation(
  evolutions: readonly Evolution[],
  options: FlowFramesOptions,
): Promise<Uint8Array> {
  const columnTitles = evolutions.length > 1 ? evolutions.map((_, i) => `Sample ${i + 1}`) : undefined;
  const frames = flowFrames([{ evolutions }], { ...options, ...columnTitles && { columnTitles } });
  return flowGif(frames, await rasterizer(), { hold });
}
