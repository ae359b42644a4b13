import {
  encodeApng,
  encodeRasterPng,
  filmstrip,
  flowFrames,
  type FlowFramesOptions,
  flowGif,
  type FlowRow,
  rasterizer,
} from "../../viz/mod.ts";
import type { AnimateConfig } from "../settings/tasks/animate.ts";
import { RunError } from "../run/atomic_write.ts";
import { inRows } from "./flow_words.ts";
import type { FlowRows } from "./flow_rows.ts";

/** Most samples of one run that stand in one row. */
const mostInRow = 6;

/** The name of a picture's file where none is given. */
export function pictureName(
  { field, pacing, format }: Pick<AnimateConfig, "field" | "pacing" | "format">,
): string {
  return `flow_${field}_${pacing}.${format === "gif" ? "gif" : "png"}`;
}

/**
 * Draws flows: an animation, or a strip of stills with a row for each sample.
 *
 * @returns the bytes of the file, and a line on what it holds
 * @throws {RunError} if the flows cannot be drawn: the picture is too large, or a snapshot holds NaN
 */
export async function drawFlows(
  flows: Omit<FlowRows, "warning">,
  config: AnimateConfig,
): Promise<{ readonly bytes: Uint8Array; readonly holds: string }> {
  try {
    return await drawn(flows, config);
  } catch (error) {
    if (error instanceof RangeError) throw new RunError(error.message);
    throw error;
  }
}

async function drawn(
  { rows, columnTitles, columns, remark }: Omit<FlowRows, "warning">,
  { format, field, map, pacing, frames, scale, delay, hold }: AnimateConfig,
): Promise<{ readonly bytes: Uint8Array; readonly holds: string }> {
  const draw = await rasterizer();
  const options: FlowFramesOptions = {
    field,
    pacing,
    ...map && { map },
    ...frames !== null && { frames },
    ...scale !== null && { scale },
  };
  if (format === "png") {
    const still = draw(filmstrip(stripRows(rows, columnTitles), options));
    return { bytes: encodeRasterPng(still), holds: `${still.width} x ${still.height} pixels` };
  }
  const grid = rows.length === 1 ? gridOf(rows[0], columns) : rows;
  const isOfClasses = grid.length > 1 && rows.length === 1 && columns !== undefined;
  const titled = columnTitles.length > 1 && (rows.length > 1 || grid.length === 1 || isOfClasses);
  const titles = titled && { columnTitles: columnTitles.slice(0, grid[0].trajectories.length) };
  const animation = flowFrames(grid, { ...options, ...titles, ...remark && { remark } });
  const bytes = format === "gif"
    ? flowGif(animation, draw, { delay, hold })
    : encodeApng(animation.times.map((_, i) => draw(animation.svg(i))), { delay, hold });
  return {
    bytes,
    holds: `${animation.times.length} frames of ${animation.width} x ${animation.height} pixels`,
  };
}

/** The samples of one run: one column a class; else in one row, or many of them in a grid that is nearly square. */
function gridOf({ trajectories }: FlowRow, columns?: number): FlowRow[] {
  const length = trajectories.length;
  const square = length <= mostInRow ? length : Math.ceil(Math.sqrt(length));
  return inRows(trajectories, columns ?? square).map((trajectories) => ({ trajectories }));
}

/** A strip has a row for each sample, labelled with its run and number. */
function stripRows(rows: readonly FlowRow[], titles: readonly string[]): FlowRow[] {
  return rows.flatMap(({ label, trajectories }) =>
    trajectories.map((trajectory, i) => {
      const words = [label, trajectories.length > 1 ? titles[i] : undefined].filter((word) =>
        word !== undefined
      );
      return { trajectories: [trajectory], ...words.length > 0 && { label: words.join(", ") } };
    })
  );
}
