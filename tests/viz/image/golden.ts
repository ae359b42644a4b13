/**
 * The frames that `grid_test.ts` compares with stored pictures. Draws them again, to look at and commit:
 *
 * deno run --allow-write=tests/golden tests/viz/image/golden.ts
 */

import * as viz from "../../../viz/mod.ts";
import { madeUpFlow } from "../flow/made_up_flow.ts";

/** Where the stored pictures are. */
export const goldenFolder = new URL("../../golden/", import.meta.url);

/** The frames by name. */
export async function goldenFrames(): Promise<Map<string, viz.Raster>> {
  const draw = await viz.rasterizer();
  const flows = [0, 1, 2].map((seed) => madeUpFlow(seed, 11));
  const single = (field: viz.FlowField) =>
    draw(viz.flowFrames([{ trajectories: [flows[0]] }], { field, frames: 11, scale: 8 }).svg(7));
  const rows = [{ label: "base", trajectories: flows }, {
    label: "residual",
    trajectories: flows.toReversed(),
  }];
  const columnTitles = ["Sample 1", "Sample 2", "Sample 3"];
  const grid = viz.flowFrames(rows, {
    frames: 5,
    pacing: "logarithmic",
    scale: 4,
    map: "viridis",
    columnTitles,
  });
  return new Map([
    ...viz.flowFields.map((field) => [field, single(field)] as const),
    ["grid", draw(grid.svg(3))],
    ["strip", draw(viz.filmstrip(rows.slice(0, 1), { frames: 4, scale: 3 }))],
  ]);
}

if (import.meta.main) {
  for (const [name, raster] of await goldenFrames()) {
    await Deno.writeFile(new URL(`${name}.png`, goldenFolder), viz.encodeRasterPng(raster));
  }
}
