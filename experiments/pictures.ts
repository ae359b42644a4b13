import { join } from "node:path";
import { type Model, sample, type SolverName, trajectory } from "../models/mod.ts";
import { encodePng, flowGif, grid, type Pacing } from "../viz/mod.ts";
import type { Normalization } from "./image_source.ts";
import { writeAtomic } from "./run_folder.ts";

/** A model to draw from, with the images it knows. */
export interface Drawable {
  readonly model: Model;
  readonly normalization: Normalization;
  /** Height and width. */
  readonly imageSize: readonly [number, number];
}

/** How to follow the flow. */
export interface Drawing {
  readonly count: number;
  readonly seed: number;
  readonly steps: number;
  readonly solver: SolverName;
}

/** Values of the network that are black and white. */
function rangeOf({ scale, shift }: Normalization): [number, number] {
  return [shift, shift + scale];
}

/** Samples as pixels in [0, 1] (values beyond are kept), f32[count, H, W] on the host. Synchronous up to the read-back. */
export function drawSamples(
  { model, normalization, imageSize }: Drawable,
  drawing: Drawing,
): Promise<Float32Array> {
  const x1 = sample(model, { ...drawing, shape: [1, ...imageSize] });
  return x1.read().then((values) => values.map((x) => (x - normalization.shift) / normalization.scale));
}

/** A grid of samples as a PNG. */
export function samplesPng(
  pixels: Float32Array,
  count: number,
  imageSize: readonly [number, number],
  columns = 0,
): Uint8Array {
  return encodePng(grid(pixels, [count, ...imageSize], { scale: 3, gap: 2, ...columns > 0 && { columns } }));
}

/** An animation of samples on their way from noise, as a GIF. Its recording takes place before it returns. */
export function drawFlow(
  { model, normalization, imageSize }: Drawable,
  { pacing, frames, ...drawing }: Drawing & { readonly pacing: Pacing; readonly frames: number },
): Promise<Uint8Array> {
  const snapshots = trajectory(model, { ...drawing, shape: [1, ...imageSize] });
  return Array.fromAsync(snapshots).then((all) =>
    flowGif(all.map(({ image }) => image), all.map(({ t }) => t), [drawing.count, ...imageSize], {
      range: rangeOf(normalization),
      pacing,
      frames,
      scale: 2,
      gap: 2,
      hold: 1500,
    })
  );
}

/** Writes `samples.png` and `flow_<pacing>.gif` of a run. */
export async function writePictures(
  run: string,
  drawable: Drawable,
  settings: Drawing & { readonly pacing: Pacing; readonly frames: number; readonly flowCount: number },
  withWeights: <T>(draw: () => T) => T,
): Promise<void> {
  const { pacing, frames, flowCount, ...drawing } = settings;
  if (drawing.count > 0) {
    const pixels = await withWeights(() => drawSamples(drawable, drawing));
    await writeAtomic(join(run, "samples.png"), samplesPng(pixels, drawing.count, drawable.imageSize));
  }
  if (flowCount > 0) {
    const steps = Math.max(drawing.steps, frames);
    const flow = { ...drawing, count: flowCount, steps, pacing, frames };
    await writeAtomic(join(run, `flow_${pacing}.gif`), await withWeights(() => drawFlow(drawable, flow)));
  }
}
