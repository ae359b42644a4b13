/// <reference lib="dom" />
import { digitPixels } from "../digits_parts.ts";
import { fitted, isIdx, mostImages, parseIdx } from "../own_images.ts";
import { PlaygroundError } from "../settings.ts";

/** Images of the reader's files, u8[N, 28, 28], and their labels if a file holds some. */
export interface ReaderImages {
  readonly images: Uint8Array<ArrayBuffer>;
  readonly labels?: Uint8Array<ArrayBuffer>;
}

/**
 * Reads files that the reader has dropped or chosen: pictures, and IDX files of images or labels, packed or not.
 *
 * @throws {PlaygroundError} if one is none of these
 */
export async function readOwnFiles(files: readonly File[]): Promise<ReaderImages> {
  const images: Uint8Array[] = [];
  let labels: Uint8Array<ArrayBuffer> | undefined;
  for (const file of files.slice(0, mostImages)) {
    const bytes = await unpacked(file);
    if (!isIdx(bytes)) {
      images.push(await pictureOf(file));
      continue;
    }
    const { size, values } = parseIdx(bytes, file.name);
    if (size) images.push(fitted(values, size));
    else labels = Uint8Array.from(values);
  }
  const all = new Uint8Array(
    Math.min(mostImages * digitPixels, images.reduce((sum, { length }) => sum + length, 0)),
  );
  let at = 0;
  for (const each of images) {
    all.set(each.subarray(0, all.length - at), at);
    at = Math.min(all.length, at + each.length);
  }
  if (all.length === 0) {
    throw new PlaygroundError("Cannot train on these files: there is no image among them");
  }
  return { images: all, ...labels && { labels } };
}

/** The content of a file, unpacked if it is gzipped. */
async function unpacked(file: File): Promise<Uint8Array> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    const stream = new Response(bytes).body!.pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new PlaygroundError(`Cannot read ${file.name}: it is a damaged gzip file`);
  }
}

/** A picture in grey, 28 x 28, in the middle of black. */
async function pictureOf(file: File): Promise<Uint8Array> {
  let picture: ImageBitmap;
  try {
    picture = await createImageBitmap(file);
  } catch {
    throw new PlaygroundError(`Cannot use ${file.name}: it is neither a picture nor an IDX file`);
  }
  const scale = 28 / Math.max(picture.width, picture.height);
  const [width, height] = [picture.width * scale, picture.height * scale];
  const canvas = Object.assign(document.createElement("canvas"), { width: 28, height: 28 });
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.fillRect(0, 0, 28, 28);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, (28 - width) / 2, (28 - height) / 2, width, height);
  const { data } = context.getImageData(0, 0, 28, 28);
  return Uint8Array.from(
    { length: digitPixels },
    (_, i) => 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2],
  );
}
