/// <reference lib="dom" />
import { gunzipSync, unzipSync } from "npm:fflate@0.8.3";
import { byId } from "../../viz/report/page/dom.ts";
import { digitPixels } from "../digits_parts.ts";
import { fitted, isIdx, maxImages, parseIdx } from "../own_images.ts";
import { PlaygroundError } from "../settings.ts";

/** A file from the reader, or from an archive. */
export interface OwnFile {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The images of the reader's files, u8[N, 28, 28], and labels if there are any. */
interface ReaderImages {
  readonly images: Uint8Array<ArrayBuffer>;
  readonly labels?: Uint8Array<ArrayBuffer>;
}

/** Calls `take` with files that the reader drops on the page or chooses. */
export function onFiles(take: (files: readonly File[]) => void): void {
  const offer = (files: FileList | null | undefined) => files?.length && take([...files]);
  const input = byId<HTMLInputElement>("own-files");
  input.addEventListener("change", () => offer(input.files));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    offer(event.dataTransfer?.files);
  });
}

/** Maximum number of unpacked bytes, per file and per archive. */
const maxUnpacked = 2 ** 28;

/** Decodes a picture to an image u8[28, 28]; undefined if the bytes are not a picture. */
export type PictureReader = (bytes: Uint8Array<ArrayBuffer>) => Promise<Uint8Array | undefined>;

/**
 * Reads the reader's files: pictures, IDX files of images or labels (gzipped or not), and ZIP archives of them.
 *
 * @throws {PlaygroundError} if a file is of another kind, or there is no image
 */
export async function readOwnFiles(
  files: readonly OwnFile[],
  readPicture: PictureReader,
): Promise<ReaderImages> {
  const images: Uint8Array[] = [];
  let labels: Uint8Array<ArrayBuffer> | undefined;
  for (const file of files.flatMap(filesIn).slice(0, maxImages)) {
    const bytes = ungzipped(file);
    if (isIdx(bytes)) {
      const { size, values } = parseIdx(bytes, file.name);
      if (size) images.push(fitted(values, size));
      else labels = Uint8Array.from(values);
      continue;
    }
    const picture = await readPicture(file.bytes);
    if (picture) images.push(picture);
    else {
      throw new PlaygroundError(
        `Cannot use ${file.name}: it is not a picture, an IDX file or an archive of these`,
      );
    }
  }
  const all = new Uint8Array(
    Math.min(maxImages * digitPixels, images.reduce((sum, { length }) => sum + length, 0)),
  );
  let at = 0;
  for (const each of images) {
    all.set(each.subarray(0, all.length - at), at);
    at = Math.min(all.length, at + each.length);
  }
  if (all.length > 0) return { images: all, ...labels && { labels } };
  throw new PlaygroundError("Cannot train on these files: they contain no images");
}

/** Unpacks an archive, without hidden system files; returns any other file as it is. */
function filesIn(file: OwnFile): readonly OwnFile[] {
  const { name, bytes } = file;
  if (bytes[0] !== 0x50 || bytes[1] !== 0x4b) return [file];
  let left = maxUnpacked;
  try {
    const found = unzipSync(bytes, {
      filter: ({ name, originalSize }) => {
        if (/(^|\/)(\.|__MACOSX|$)/.test(name)) return false;
        left -= originalSize;
        if (left < 0) throw new PlaygroundError(`Cannot read ${file.name}: ${tooLarge}`);
        return true;
      },
    });
    return Object.entries(found).map(([inside, bytes]) => ({
      name: `${inside} in ${name}`,
      bytes: bytes as Uint8Array<ArrayBuffer>,
    }));
  } catch (error) {
    if (error instanceof PlaygroundError) throw error;
    throw new PlaygroundError(`Cannot read ${name}: it is a damaged archive`);
  }
}

const tooLarge = `it is too large (expected at most ${maxUnpacked / 2 ** 20} MiB unpacked)`;

/** The content of a file, decompressed if it is gzipped. */
function ungzipped({ name, bytes }: OwnFile): Uint8Array {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const size = bytes.length < 18
    ? NaN
    : new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - 4, true);
  if (size > maxUnpacked) throw new PlaygroundError(`Cannot read ${name}: ${tooLarge}`);
  try {
    return gunzipSync(bytes, { out: new Uint8Array(size) });
  } catch {
    throw new PlaygroundError(`Cannot read ${name}: it is a damaged gzip file`);
  }
}

/** Decodes a picture to grey, 28 x 28, centred on black. Runs in the page, because WebKit cannot do so in workers. */
export const pictureOf: PictureReader = async (bytes) => {
  const picture = await createImageBitmap(new Blob([bytes])).catch(() => undefined);
  if (!picture) return undefined;
  const scale = 28 / Math.max(picture.width, picture.height);
  const [width, height] = [picture.width * scale, picture.height * scale];
  const canvas = Object.assign(document.createElement("canvas"), { width: 28, height: 28 });
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.fillRect(0, 0, 28, 28);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, (28 - width) / 2, (28 - height) / 2, width, height);
  picture.close();
  const { data } = context.getImageData(0, 0, 28, 28);
  return Uint8Array.from(
    { length: digitPixels },
    (_, i) => 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2],
  );
};
