import { captionedGrid, encodeRasterPng, flowGif, type ImageSize, rasterizer } from "../../viz/mod.ts";
import type { End, FoundEnd } from "./ends.ts";
import type { Look, Morph } from "./morph.ts";
import { between, shares } from "./start.ts";

/** Milliseconds of a frame of an animation, and on both ends. */
const timing = { delay: 60, hold: 900 };

/** What a picture of the way between two ends needs. */
export interface InterpolationOptions {
  /** Images from one end to the other, both included. */
  readonly frames: number;
  readonly size: ImageSize;
  readonly look: Look;
}

/**
 * The way from one end to another as a row of images, test images beside their ends.
 *
 * @param pairs a row for each; on one side all are test images, or none
 * @throws {RangeError} if the picture would be too large to draw
 */
export function interpolationRows(
  pairs: readonly (readonly [from: End, to: End])[],
  { frames, size, look }: InterpolationOptions,
): Morph {
  const besides = (end: End) => "image" in end ? ["test image"] : [];
  const [from, to] = pairs[0];
  const columns = [
    ...besides(from),
    ...shares(frames).map((share) => `s = ${share.toFixed(2)}`),
    ...besides(to),
  ];
  const rows = pairs.map((pair) => nameOf(pair, look));
  const grid = captionedGrid([pairs.length, columns.length], size, {
    captions: { columns, rows, note: look.note },
  });
  return {
    ...interpolated(pairs, frames),
    async picture(found, drawn) {
      const images = pairs.flatMap((_, n) => [
        ...found[2 * n].image ? [found[2 * n].image!] : [],
        ...drawn.slice(n * frames, (n + 1) * frames),
        ...found[2 * n + 1].image ? [found[2 * n + 1].image!] : [],
      ]);
      return encodeRasterPng((await rasterizer())(grid.svg(images)));
    },
  };
}

/**
 * The way from one end to another and back as an animation: a column for each pair, test images above and below.
 *
 * @throws as {@linkcode interpolationRows}
 */
export function interpolationGif(
  pairs: readonly (readonly [from: End, to: End])[],
  { frames, size, look }: InterpolationOptions,
): Morph {
  const sides = pairs[0].map((end) => "image" in end);
  const rows = [...sides[0] ? ["from"] : [], "between", ...sides[1] ? ["to"] : []];
  const columns = pairs.map((pair) => nameOf(pair, look));
  const captions = (share: number) => ({
    title: `s = ${share.toFixed(2)}`,
    columns,
    ...rows.length > 1 && { rows },
    note: look.note,
  });
  const grid = captionedGrid([rows.length, pairs.length], size, { captions: captions(0) });
  return {
    ...interpolated(pairs, frames),
    async picture(found, drawn) {
      const side = (which: 0 | 1) => pairs.flatMap((_, n) => found[2 * n + which].image ?? []);
      const [above, below] = [side(0), side(1)];
      const times = shares(frames);
      const pause = Array.from({ length: Math.round(timing.hold / timing.delay) - 1 }, () => frames - 1);
      const forth = times.map((_, k) => k);
      const order = [...forth, ...pause, ...forth.toReversed().slice(1)];
      const svg = (i: number) => {
        const moving = pairs.map((_, n) => drawn[n * frames + order[i]]);
        return grid.svg([...above, ...moving, ...below], captions(times[order[i]]));
      };
      const animation = { ...grid, times: order.map((k) => times[k]), svg };
      const map = size[0] === 1 ? { map: "gray" as const } : {};
      return flowGif({ ...animation, ...map }, await rasterizer(), timing);
    },
  };
}

/** What both pictures have in common. */
function interpolated(
  pairs: readonly (readonly [from: End, to: End])[],
  frames: number,
): Omit<Morph, "picture"> {
  const ends = (found: readonly FoundEnd[], n: number) => [found[2 * n], found[2 * n + 1]] as const;
  return {
    ends: pairs.flat(),
    count: pairs.length * frames,
    words: `${pairs.length} row${pairs.length === 1 ? "" : "s"} of ${frames} images`,
    starts: (found) => pairs.flatMap((_, n) => between(...ends(found, n), frames)),
    returned: (found, drawn) =>
      pairs.flatMap((_, n) =>
        ends(found, n).flatMap(({ image }, side) => {
          return image ? [[image, drawn[n * frames + side * (frames - 1)]] as const] : [];
        })
      ),
  };
}

function nameOf(pair: readonly [from: End, to: End], look: Look): string {
  return pair.map(look.nameOf).join(" to ");
}
