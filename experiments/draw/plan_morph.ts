import { captionedGrid, encodeRasterPng, flowGif, type ImageSize, rasterizer } from "../../viz/mod.ts";
import type { Dataset } from "../data/dataset.ts";
import { chosenClasses, className, digitNames, type NetworkClasses } from "./classes.ts";
import { RunError } from "../run/run_folder.ts";
import type { Classes } from "../cli/kinds.ts";
import { ConfigError, didYouMean, flagOf } from "../cli/setting.ts";
import { between, type End, type EndNoise, type Returned, shares, type Start } from "./ends.ts";

/** Milliseconds per frame, and for the first and last one. */
const timing = { delay: 60, hold: 900 };

/** The plan of a morph: a picture of images that change into others through noise. */
export interface Morph {
  readonly ends: readonly End[];
  /** Number of images to draw. */
  readonly count: number;
  /** Description, such as `5 rows of 9 images`. */
  readonly words: string;
  /** The noise of all images to draw, row by row. */
  starts(found: readonly EndNoise[]): Start[];
  /** Test images with their reconstructions among the drawn images. */
  returned(found: readonly EndNoise[], drawn: readonly Float32Array[]): Returned[];
  picture(found: readonly EndNoise[], drawn: readonly Float32Array[]): Promise<Uint8Array>;
}

/** A morph, as requested on the command line. */
export interface MorphRequest {
  /** Test images to start from, by number or class; null for drawn noise. */
  readonly from: readonly string[] | null;
  /** Test images to end at; null for drawn noise. */
  readonly to: readonly string[] | null;
  /** The classes to draw each image in; null if absent. */
  readonly class: Classes | null;
  /** Number of rows without test images. */
  readonly count: number;
  readonly frames: number;
  /** The file of the picture; a `.gif` file is an animation. */
  readonly out: string;
}

/** One row: its ends, and the images drawn from the noise between. */
interface MorphRow {
  readonly ends: readonly EndNoise[];
  readonly drawn: readonly Float32Array[];
}

type Painter = (rows: readonly MorphRow[]) => Promise<Uint8Array>;

/**
 * Plans the picture of a request: each row leads from one end to another or, with classes, draws one end in every class.
 *
 * @param network the network's image size, classes, and file (for errors)
 * @param data the data set, if test images are requested
 * @param note the line below the picture
 * @throws {ConfigError} if a test image or a class does not exist
 * @throws {RunError} if the picture would be too large, or the images do not have one or three channels
 */
export function planMorph(
  { from, to, count, frames, out, ...request }: MorphRequest,
  { shape: size, classes, path }: {
    readonly shape: ImageSize;
    readonly classes: NetworkClasses;
    readonly path: string;
  },
  data: Dataset | undefined,
  note: string,
): Morph {
  const drawnClasses = request.class && chosenClasses(request.class, classes, path);
  const [starts, finishes] = [imagesOf("from", from, data), imagesOf("to", to, data)];
  if (size[0] !== 1 && size[0] !== 3) {
    throw new RunError(`Cannot draw images of ${size[0]} channels as a picture (expected 1 or 3)`);
  }
  const { labels } = data?.test ?? {};
  const nameOf = (label: number) => className(label, classes.names);
  const endName = (end: End) => {
    if ("drawn" in end) {
      return classes.count > 0 && !drawnClasses ? nameOf(end.drawn % classes.count) : `noise ${end.drawn}`;
    }
    return labels ? nameOf(labels[end.image]) : `image ${data?.testNumbers?.[end.image] ?? end.image}`;
  };
  const end = (images: readonly number[] | null, row: number, drawn: number): End =>
    images ? { image: images[row] } : { drawn };
  const rows = Array.from({ length: (starts ?? finishes)?.length ?? count }, (_, row): readonly End[] => {
    if (drawnClasses) return [end(starts, row, row)];
    return starts || finishes
      ? [end(starts, row, row), end(finishes, row, row)]
      : [{ drawn: 2 * row }, { drawn: 2 * row + 1 }];
  });
  const names = rows.map((ends) => ends.map(endName).join(" to "));
  const beside = (images: readonly number[] | null) => images ? ["test image"] : [];
  try {
    if (drawnClasses) {
      const columns = [...beside(starts), ...starts ? ["and back"] : [], ...drawnClasses.map(nameOf)];
      const startsOf = ([{ noise, image, label = 0 }]: readonly EndNoise[]) =>
        [...image ? [label] : [], ...drawnClasses].map((label) => ({ noise, label }));
      const each = drawnClasses.length + (starts ? 1 : 0);
      return morphOf(rows, each, startsOf, still(columns, names, size, note));
    }
    const columns = shares(frames).map((share) => `s = ${share.toFixed(2)}`);
    const paint = out.endsWith(".gif")
      ? animation(starts !== null, finishes !== null, names, frames, size, note)
      : still([...beside(starts), ...columns, ...beside(finishes)], names, size, note);
    return morphOf(rows, frames, ([from, to]) => between(from, to, frames), paint);
  } catch (error) {
    throw error instanceof RangeError ? new RunError(error.message) : error;
  }
}

/**
 * The indices of test images; the name of a class means its first test image.
 *
 * @throws {ConfigError} if a test image does not exist
 */
function imagesOf(
  name: "from" | "to",
  images: readonly string[] | null,
  data: Dataset | undefined,
): readonly number[] | null {
  if (!images || !data) return null;
  const { test: { count, labels }, testNumbers, classNames = digitNames } = data;
  return images.map((word) => {
    const label = classNames.indexOf(word);
    const number = /^\d+$/.test(word) ? Number(word) : NaN;
    const image = label >= 0
      ? labels?.indexOf(label) ?? -1
      : testNumbers?.indexOf(number) ?? (number < count ? number : -1);
    if (image >= 0) return image;
    throw new ConfigError(
      `Cannot use ${flagOf(name)} ${word}: ${data.name} has ${count} test images ` +
        `(expected 0 to ${count - 1}, or the name of a class with test images)${
          didYouMean(word, classNames)
        }`,
    );
  });
}

/** A morph with these ends of each row, and `each` images from one to the other. */
function morphOf(
  rows: readonly (readonly End[])[],
  each: number,
  startsOf: (ends: readonly EndNoise[]) => Start[],
  paint: Painter,
): Morph {
  const rowsOf = (found: readonly EndNoise[], drawn: readonly Float32Array[]): MorphRow[] =>
    rows.map(({ length }, n) => ({
      ends: found.slice(n * length, (n + 1) * length),
      drawn: drawn.slice(n * each, (n + 1) * each),
    }));
  return {
    ends: rows.flat(),
    count: rows.length * each,
    words: `${rows.length} row${rows.length === 1 ? "" : "s"} of ${each} images`,
    starts: (found) => rowsOf(found, []).flatMap(({ ends }) => startsOf(ends)),
    returned: (found, drawn) =>
      rowsOf(found, drawn).flatMap(({ ends, drawn }) =>
        ends.flatMap(({ image }, side): Returned[] => image ? [[image, drawn[side * (each - 1)]]] : [])
      ),
    picture: (found, drawn) => paint(rowsOf(found, drawn)),
  };
}

/** Paints rows with their names, and test images at the ends. @throws {RangeError} if the picture is too large */
function still(
  columns: readonly string[],
  rows: readonly string[],
  size: ImageSize,
  note: string,
): Painter {
  const grid = captionedGrid([rows.length, columns.length], size, { captions: { columns, rows, note } });
  return async (rows) => {
    const images = rows.flatMap(({ ends: [from, to], drawn }) => [
      ...from.image ? [from.image] : [],
      ...drawn,
      ...to?.image ? [to.image] : [],
    ]);
    return encodeRasterPng((await rasterizer())(grid.svg(images)));
  };
}

/** Paints rows as moving columns, with test images above and below. @throws {RangeError} if that is too large */
function animation(
  isFrom: boolean,
  isTo: boolean,
  columns: readonly string[],
  frames: number,
  size: ImageSize,
  note: string,
): Painter {
  const rows = [...isFrom ? ["from"] : [], "between", ...isTo ? ["to"] : []];
  const captions = (share: number) => ({
    title: `s = ${share.toFixed(2)}`,
    columns,
    ...rows.length > 1 && { rows },
    note,
  });
  const grid = captionedGrid([rows.length, columns.length], size, { captions: captions(0) });
  const times = shares(frames);
  const there = times.map((_, k) => k);
  const pause = Array.from({ length: Math.round(timing.hold / timing.delay) - 1 }, () => frames - 1);
  const order = [...there, ...pause, ...there.toReversed().slice(1)];
  return async (rows) => {
    const [above, below] = [0, 1].map((side) => rows.flatMap(({ ends }) => ends[side].image ?? []));
    const svg = (i: number) => {
      const moving = rows.map(({ drawn }) => drawn[order[i]]);
      return grid.svg([...above, ...moving, ...below], captions(times[order[i]]));
    };
    const map = size[0] === 1 ? { map: "gray" as const } : {};
    const moving = { ...grid, times: order.map((k) => times[k]), svg, ...map };
    return flowGif(moving, await rasterizer(), timing);
  };
}
