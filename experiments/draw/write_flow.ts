import { join } from "node:path";
import type { ModelType } from "../../models/mod.ts";
import {
  type Evolution,
  flowFrames,
  type FlowFramesOptions,
  flowGif,
  type Pacing,
  rasterizer,
} from "../../viz/mod.ts";
import { writeAtomic } from "../run/atomic_write.ts";
import type { Drawable, Drawing, WithWeights } from "./drawable.ts";
import { evolve } from "./evolve.ts";
import { writeFlowSnapshots } from "./snapshot_files.ts";

/** Milliseconds that the finished image at the end of an animation is shown. */
const hold = 1500;

/** Writes the evolutions of samples in `flow/` and `flow_<pacing>.gif` of a run, unless the count is 0. */
export async function writeFlow(
  run: string,
  drawable: Drawable,
  drawing: Drawing & { readonly modelType: ModelType },
  { pacing, frames }: { readonly pacing: Pacing; readonly frames: number },
  withWeights: WithWeights,
): Promise<void> {
  if (drawing.count === 0) return;
  const evolutions = await withWeights(() => evolve(drawable, drawing));
  await writeFlowSnapshots(run, evolutions, drawing);
  await writeAtomic(join(run, `flow_${pacing}.gif`), await flowAnimation(evolutions, { pacing, frames }));
}

/** Samples on their way from noise, side by side, as a GIF. */
async function flowAnimation(
  evolutions: readonly Evolution[],
  options: FlowFramesOptions,
): Promise<Uint8Array> {
  const columnTitles = evolutions.length > 1 ? evolutions.map((_, i) => `Sample ${i + 1}`) : undefined;
  const frames = flowFrames([{ evolutions }], { ...options, ...columnTitles && { columnTitles } });
  return flowGif(frames, await rasterizer(), { hold });
}
