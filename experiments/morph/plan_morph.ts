import { captionedGrid, encodeRasterPng, flowGif, type ImageSize, rasterizer } from "../../viz/mod.ts";
import type { Dataset } from "../data/dataset.ts";
import { RunError } from "../run/atomic_write.ts";
import { ConfigError, flagOf } from "../settings/setting.ts";
import { between, type End, type FoundEnd, type Returned, shares, type Start } from "./ends.ts";

/** Milliseconds of a frame of an animation, and on both ends. */
const timing = { delay: 60, hold: 900 };

/** A picture of images that are led through noise to other ones, before anything is computed. */
export interface Morph {
  /** Where its rows begin and end. */
  readonly ends: readonly End[];
  /** Number of images to draw. */
  readonly count: number;
  /** What it shows, such as `5 rows of 9 images`. */
  readonly words: string;
  /** The noise of all images to draw, row by row. */
  starts(found: readonly FoundEnd[]): Start[];
  /** The drawn images that should equal a test image, each with that test image. */
  returned(found: readonly FoundEnd[], drawn: readonly Float32Array[]): Returned[];
  /** The bytes of the picture. */
  picture(found: readonly FoundEnd[], drawn: readonly Float32Array[]): Promise<Uint8Array>;
}

/** What a command line requests of a morph. */
export interface MorphRequest {
  /** Test images to begin with; null for drawn noise. */
  readonly from: readonly number[] | null;
  readonly to: readonly number[] | null;
  /** Rows if all noise is drawn. */
  readonly count: number;
  readonly frames: number;
  /** The picture's file; a `.gif` is an animation. */
  readonly out: string;
}

/** What is known of the network and its images before anything is computed. */
export interface MorphFacts {
  /** The classes that each image is drawn under, if they were requested. */
  readonly classes: readonly number[] | null;
  readonly size: ImageSize;
  /** Number of classes of the network; 0 without. */
  readonly ofNetwork: number;
  /** With the test images, if any are requested. */
  readonly data: Dataset | undefined;
  /** The line below the picture. */
  readonly note: string;
}

/** How pictures of a morph look. */
interface Look {
  readonly size: ImageSize;
  /** What a row or column is called that begins or ends there. */
  readonly nameOf: (end: End) => string;
  readonly className: (label: number) => string;
  /** The line below the picture. */
  readonly note: string;
}

/**
 * Plans the picture that a command line requests.
 *
 * @throws {ConfigError} if there is no such test image
 * @throws {RunError} if the picture cannot be drawn: it would be too large, or the images have other than 1 or 3 channels
 */
export function planMorph(request: MorphRequest, { classes, ofNetwork, data, ...rest }: MorphFacts): Morph {
  for (const name of ["from", "to"] as const) checkImages(name, request[name], data);
  if (rest.size[0] !== 1 && rest.size[0] !== 3) {
    throw new RunError(`Cannot draw images of ${rest.size[0]} channels as a picture (expected 1 or 3)`);
  }
  const { labels } = data?.test ?? {};
  const numbers = data?.testNumbers;
  const className = (label: number) => data?.classNames?.[label] ?? `${label}`;
  const look: Look = {
    ...rest,
    className,
    nameOf(end) {
      if ("drawn" in end) {
        return ofNetwork > 0 && !classes ? className(end.drawn % ofNetwork) : `noise ${end.drawn}`;
      }
      return labels ? className(labels[end.image]) : `image ${numbers?.[end.image] ?? end.image}`;
    },
  };
  const { from, to, count, frames, out } = request;
  const rows = Array.from({ length: (from ?? to)?.length ?? count }, (_, row) => row);
  const end = (images: readonly number[] | null, row: number, drawn: number): End =>
    images ? { image: numbers ? numbers.indexOf(images[row]) : images[row] } : { drawn };
  try {
    if (classes) return otherClasses(rows.map((row) => end(from, row, row)), classes, look);
    const pairs = rows.map((row): Pair =>
      from || to ? [end(from, row, row), end(to, row, row)] : [{ drawn: 2 * row }, { drawn: 2 * row + 1 }]
    );
    return (out.endsWith(".gif") ? interpolationGif : interpolationRows)(pairs, frames, look);
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
    `Cannot use ${flagOf(name)} ${missing}: ${data?.name} has ${count} test images ` +
      `(expected 0 to ${count - 1})`,
  );
}

/** A row from one end to another; on one side all are test images, or none. */
type Pair = readonly [from: End, to: End];

const isImage = (end: End) => "image" in end;

/** The way between the ends of each pair as a row of images, test images beside their ends. */
function interpolationRows(pairs: readonly Pair[], frames: number, look: Look): Morph {
  const beside = (end: End) => isImage(end) ? ["test image"] : [];
  const [from, to] = pairs[0];
  const columns = [
    ...beside(from),
    ...shares(frames).map((share) => `s = ${share.toFixed(2)}`),
    ...beside(to),
  ];
  const grid = captionedGrid([pairs.length, columns.length], look.size, {
    captions: { columns, rows: pairs.map((pair) => pairName(pair, look)), note: look.note },
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

/** The way between the ends and back as an animation: a column for each pair, test images above and below. */
function interpolationGif(pairs: readonly Pair[], frames: number, look: Look): Morph {
  const [from, to] = pairs[0].map(isImage);
  const rows = [...from ? ["from"] : [], "between", ...to ? ["to"] : []];
  const columns = pairs.map((pair) => pairName(pair, look));
  const captions = (share: number) => ({
    title: `s = ${share.toFixed(2)}`,
    columns,
    ...rows.length > 1 && { rows },
    note: look.note,
  });
  const grid = captionedGrid([rows.length, pairs.length], look.size, { captions: captions(0) });
  return {
    ...interpolated(pairs, frames),
    async picture(found, drawn) {
      const side = (which: 0 | 1) => pairs.flatMap((_, n) => found[2 * n + which].image ?? []);
      const [above, below] = [side(0), side(1)];
      const times = shares(frames);
      const there = times.map((_, k) => k);
      const pause = Array.from({ length: Math.round(timing.hold / timing.delay) - 1 }, () => frames - 1);
      const order = [...there, ...pause, ...there.toReversed().slice(1)];
      const svg = (i: number) => {
        const moving = pairs.map((_, n) => drawn[n * frames + order[i]]);
        return grid.svg([...above, ...moving, ...below], captions(times[order[i]]));
      };
      const animation = { ...grid, times: order.map((k) => times[k]), svg };
      const map = look.size[0] === 1 ? { map: "gray" as const } : {};
      return flowGif({ ...animation, ...map }, await rasterizer(), timing);
    },
  };
}

/** What rows and animations have in common. */
function interpolated(pairs: readonly Pair[], frames: number): Omit<Morph, "picture"> {
  return {
    ends: pairs.flat(),
    count: pairs.length * frames,
    words: rowsInWords(pairs.length, frames),
    starts: (found) => pairs.flatMap((_, n) => between(found[2 * n], found[2 * n + 1], frames)),
    returned: (found, drawn) =>
      found.flatMap(({ image }, i) =>
        image ? [[image, drawn[(i >> 1) * frames + (i % 2) * (frames - 1)]] as const] : []
      ),
  };
}

function pairName(pair: Pair, look: Look): string {
  return pair.map(look.nameOf).join(" to ");
}

/**
 * The noise of each end drawn under each of some classes: a row for each end, a column for each class. Test images come first,
 * each with what comes back of it under its own class.
 *
 * @param ends all are test images, or none
 */
function otherClasses(ends: readonly End[], classes: readonly number[], look: Look): Morph {
  const hasImages = isImage(ends[0]);
  const columns = [...hasImages ? ["test image", "and back"] : [], ...classes.map(look.className)];
  const grid = captionedGrid([ends.length, columns.length], look.size, {
    captions: { columns, rows: ends.map(look.nameOf), note: look.note },
  });
  const each = classes.length + (hasImages ? 1 : 0);
  return {
    ends,
    count: ends.length * each,
    words: rowsInWords(ends.length, each),
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

function rowsInWords(rows: number, images: number): string {
  return `${rows} row${rows === 1 ? "" : "s"} of ${images} images`;
}
