import { join } from "node:path";
import { IDX_NAMES } from "../../../experiments/data/idx.ts";

/** Height and width of the made-up images. */
export const imageSize = 12;
/** Numbers of made-up images. */
const counts = { train: 96, test: 24 };

/**
 * An IDX file of unsigned bytes: the magic number, the lengths, the values.
 *
 * @param lengths one per axis; the magic number follows from their number
 * @param valueAt value by position, by default 0, 1, 2, ...; only its lowest byte counts
 * @param size number of values, which may differ from the lengths
 */
export function idxFile(
  lengths: readonly number[],
  valueAt = (i: number): number => i,
  size = lengths.reduce((product, length) => product * length, 1),
): Uint8Array<ArrayBuffer> {
  const start = 4 + 4 * lengths.length;
  const bytes = Uint8Array.from({ length: start + size }, (_, i) => valueAt(i - start));
  const view = new DataView(bytes.buffer);
  [0x800 + lengths.length, ...lengths].forEach((value, i) => view.setUint32(4 * i, value));
  return bytes;
}

/** Images of a bright spot on black, each at another place, starting with number `from`. Later channels are darker. */
function images(count: number, channels: number, from = 0): Uint8Array {
  const lengths = [count, imageSize, imageSize, ...channels === 1 ? [] : [channels]];
  return idxFile(lengths, (i) => {
    const [pixel, channel] = [Math.floor(i / channels), i % channels];
    const image = from + Math.floor(pixel / imageSize ** 2);
    const y = Math.floor(pixel / imageSize) % imageSize - (3 + image * 5 % 7);
    const x = pixel % imageSize - (3 + image * 3 % 7);
    return Math.round(255 * Math.exp(-(x * x + y * y) / 6) / (channel + 1));
  });
}

/** Writes a made-up data set of a few kilobytes as IDX files, always the same bytes. */
export async function writeTinyIdx(
  folder: string,
  { train = counts.train, test = counts.test, channels = 1, classes = 10 }: {
    train?: number;
    test?: number;
    channels?: number;
    classes?: number;
  } = {},
): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const files: [string, Uint8Array][] = [
    [IDX_NAMES.trainImages, images(train, channels)],
    [IDX_NAMES.trainLabels, idxFile([train], (i) => i % classes)],
    [IDX_NAMES.testImages, images(test, channels, 3)], // different from the first training images
    [IDX_NAMES.testLabels, idxFile([test], (i) => i % classes)],
  ];
  for (const [name, bytes] of files) await Deno.writeFile(join(folder, name), bytes);
}
