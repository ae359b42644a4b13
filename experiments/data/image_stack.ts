import { DataError } from "./idx.ts";
import type { Pixels } from "./decode_png.ts";

/** Most bytes of all images: what one array holds. */
const mostBytes = 2 ** 32;

/** Images of one size in one array, each put in its place as it is read. */
export class ImageStack {
  readonly #count: number;
  #first: { readonly path: string; readonly height: number; readonly width: number } | undefined;
  #channels: 1 | 3 = 1;
  #bytes = new Uint8Array();

  /** @param count number of images, N */
  constructor(count: number) {
    this.#count = count;
  }

  /** The images, u8[N, C, H, W]. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** C, H and W: three channels as soon as one image is in colour. */
  get size(): { readonly channels: 1 | 3; readonly height: number; readonly width: number } {
    const { height, width } = this.#first ?? { height: 0, width: 0 };
    return { channels: this.#channels, height, width };
  }

  /**
   * Puts an image in its place.
   *
   * @param n which of the N images it is
   * @param path its file, for messages
   * @throws {DataError} if it is of another size than the first, or all images do not fit into one array
   */
  put(n: number, image: Pixels, path: string): void {
    const { channels, height, width, rgba } = image;
    this.#first ??= this.#begin(image, path);
    const first = this.#first;
    if (height !== first.height || width !== first.width) {
      throw new DataError(
        `Cannot use ${path}: it is ${height}x${width} (expected ${first.height}x${first.width} as ${first.path}); ` +
          "scale all images to one size",
      );
    }
    if (channels > this.#channels) this.#addColour();
    const pixels = height * width;
    for (let channel = 0; channel < this.#channels; channel++) {
      const plane = (n * this.#channels + channel) * pixels;
      for (let i = 0; i < pixels; i++) this.#bytes[plane + i] = rgba[4 * i + channel];
    }
  }

  #begin({ channels, height, width }: Pixels, path: string) {
    this.#bytes = this.#allocate(channels, height * width, path);
    this.#channels = channels;
    return { path, height, width };
  }

  /** Gives the grey images that are there three equal channels. */
  #addColour(): void {
    const { path, height, width } = this.#first!;
    const pixels = height * width;
    const planes = this.#allocate(3, pixels, path);
    for (let n = 0; n < this.#count; n++) {
      const grey = this.#bytes.subarray(n * pixels, (n + 1) * pixels);
      for (let channel = 0; channel < 3; channel++) planes.set(grey, (3 * n + channel) * pixels);
    }
    [this.#bytes, this.#channels] = [planes, 3];
  }

  #allocate(channels: number, pixels: number, path: string): Uint8Array<ArrayBuffer> {
    const size = this.#count * channels * pixels;
    if (size <= mostBytes) return new Uint8Array(size);
    throw new DataError(
      `Cannot load ${this.#count} images as large as ${path}: they are ${size} bytes (expected at most ${mostBytes}); ` +
        "take fewer or smaller images",
    );
  }
}
