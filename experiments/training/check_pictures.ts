import type { ImageSize } from "../../viz/mod.ts";
import { roundToRows } from "../draw/conditioning.ts";
import { checkGrid } from "../draw/sample_grid.ts";
import { ConfigError, flagOf } from "../settings/setting.ts";
import type { TrainingConfig } from "../settings/training.ts";

/** Most numbers that the flows, or the ends of the paths, of a run may be: 1 GiB of them. */
const mostValues = 2 ** 28;
/** Pixels of the widest GIF, and those between its images. */
const gif = { width: 65_535, gap: 6 };

/**
 * Checks what a run is to draw at its end, before it begins.
 *
 * @param size of its images
 * @param classes that they are asked to be of, one column each; 0 without
 * @throws {ConfigError} naming the setting that asks for more than can be drawn
 * @throws {RunError} if the samples do not fit in one grid
 */
export function checkPictures(config: TrainingConfig, size: ImageSize, classes = 0): void {
  const { flowSteps, pathSamples } = config;
  const [samples, flowSamples] = [config.samples, config.flowSamples].map((n) => roundToRows(n, classes));
  const values = size.reduce((product, length) => product * length, 1);
  if (samples > 0) checkGrid(samples, size);
  const flowValues = 2 * values * (flowSteps + 1); // images and velocities of one sample
  const inRow = Math.floor(gif.width / (size[2] + gif.gap));
  atMost("flowSamples", flowSamples, Math.min(inRow, Math.floor(mostValues / flowValues)));
  atMost("pathSamples", pathSamples, Math.floor(mostValues / values));
}

function atMost(name: "flowSamples" | "pathSamples", count: number, most: number): void {
  if (count <= most) return;
  throw new ConfigError(
    `Cannot use ${
      flagOf(name)
    } ${count} here: there would be too much to draw at the end (expected at most ${most})`,
  );
}
