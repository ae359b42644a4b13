import { captionedGrid, encodeRasterPng, type ImageSize, rasterizer } from "../../viz/mod.ts";
import type { End } from "./ends.ts";
import type { Look, Morph } from "./morph.ts";

/**
 * The noise of each end drawn under each of some classes: a row for each end, a column for each class. Before them stand
 * a test image and what comes back of it under its own class.
 *
 * @param ends all are test images, or none
 * @throws {RangeError} if the picture would be too large to draw
 */
export function otherClasses(
  ends: readonly End[],
  classes: readonly number[],
  size: ImageSize,
  look: Look,
): Morph {
  const hasImages = "image" in ends[0];
  const columns = [...hasImages ? ["test image", "and back"] : [], ...classes.map(look.className)];
  const grid = captionedGrid([ends.length, columns.length], size, {
    captions: { columns, rows: ends.map(look.nameOf), note: look.note },
  });
  const each = classes.length + (hasImages ? 1 : 0);
  return {
    ends,
    count: ends.length * each,
    words: `${ends.length} row${ends.length === 1 ? "" : "s"} of ${each} images`,
    starts: (found) =>
      found.flatMap(({ noise, image, label = 0 }) =>
        [...image ? [label] : [], ...classes].map((label) => ({ noise, label }))
      ),
    returned: (found, drawn) =>
      found.flatMap(({ image }, n) => image ? [[image, drawn[n * each]] as const] : []),
    async picture(found, drawn) {
      const images = found.flatMap(({ image }, n) => [
        ...image ? [image] : [],
        ...drawn.slice(n * each, (n + 1) * each),
      ]);
      return encodeRasterPng((await rasterizer())(grid.svg(images)));
    },
  };
}
