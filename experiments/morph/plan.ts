import type { Dataset } from "../data/dataset.ts";
import { RunError } from "../run/atomic_write.ts";
import { ConfigError, flagOf } from "../settings/setting.ts";
import type { MorphConfig } from "../settings/tasks/morph.ts";
import type { ImageSize } from "../../viz/mod.ts";
import type { End } from "./ends.ts";
import { interpolationGif, interpolationRows } from "./interpolation.ts";
import type { Look, Morph } from "./morph.ts";
import { otherClasses } from "./other_classes.ts";

/** What is known of the network and its images before anything is computed. */
export interface MorphPlan {
  /** The classes under which images come back, where they are asked for. */
  readonly classes: readonly number[] | null;
  readonly size: ImageSize;
  /** Number of classes of the network; 0 without. */
  readonly ofNetwork: number;
  /** With the test images, where some are asked for. */
  readonly data: Dataset | undefined;
  /** The line below the picture. */
  readonly note: string;
}

/**
 * Plans what a command line asks for.
 *
 * @throws {ConfigError} if there is no such test image
 * @throws {RunError} if the picture cannot be drawn: it would be too large, or the images have other than 1 or 3 channels
 */
export function planMorph(config: MorphConfig, { classes, size, ofNetwork, data, note }: MorphPlan): Morph {
  for (const name of ["from", "to"] as const) checkImages(name, config[name], data);
  if (size[0] !== 1 && size[0] !== 3) {
    throw new RunError(`Cannot draw images of ${size[0]} channels as a picture (expected 1 or 3)`);
  }
  const className = (label: number) => data?.classNames?.[label] ?? `${label}`;
  const labels = data?.test.labels;
  const numbers = data?.testNumbers;
  const look: Look = {
    note,
    className,
    nameOf(end) {
      if ("drawn" in end) {
        return ofNetwork > 0 && !classes ? className(end.drawn % ofNetwork) : `noise ${end.drawn}`;
      }
      return labels ? className(labels[end.image]) : `image ${numbers?.[end.image] ?? end.image}`;
    },
  };
  const { from, to, count, frames, out } = config;
  const rows = (from ?? to)?.length ?? count;
  const end = (images: readonly number[] | null, row: number, drawn: number): End =>
    images ? { image: numbers ? numbers.indexOf(images[row]) : images[row] } : { drawn };
  const each = <T>(make: (row: number) => T) => Array.from({ length: rows }, (_, row) => make(row));
  try {
    if (classes) return otherClasses(each((row) => end(from, row, row)), classes, size, look);
    const drawnOnly = !from && !to;
    const pairs = each((row) =>
      [
        end(from, row, drawnOnly ? 2 * row : row),
        end(to, row, drawnOnly ? 2 * row + 1 : row),
      ] as const
    );
    return (out.endsWith(".gif") ? interpolationGif : interpolationRows)(pairs, { frames, size, look });
  } catch (error) {
    throw error instanceof RangeError ? new RunError(error.message) : error;
  }
}

/** @throws {ConfigError} if there is no such test image */
function checkImages(name: "from" | "to", images: readonly number[] | null, data: Dataset | undefined): void {
  const { count = 0 } = data?.test ?? {};
  const missing = images?.find((image) => image >= count);
  if (missing === undefined) return;
  throw new ConfigError(
    `Cannot use ${flagOf(name)} ${missing}: ${data?.name} has ${count} test images (expected 0 to ${
      count - 1
    })`,
  );
}
