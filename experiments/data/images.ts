/** Images of a data set: in memory, or in a file that may be larger than memory. */

/** A place in a file. */
export interface FilePlace {
  readonly path: string;
  readonly at: number;
}

/** Images u8[N, C, H, W] that are read from a file in batches, when needed. */
export class StoredImages {
  /** Bytes of all images, N P. */
  readonly length: number;

  /**
   * @param rows the rows of the file that these images are, N of them
   * @param P bytes of an image
   * @param readRow reads a row of the file into P bytes, starting at a position
   * @param stored where the rows are, if they can be read ahead
   */
  constructor(
    readonly rows: Uint32Array,
    P: number,
    readonly readRow: (row: number, into: Uint8Array, at: number) => void,
    readonly stored?: (FilePlace & { readonly rowBytes: number }) | undefined,
  ) {
    this.length = rows.length * P;
  }
}

/** Images u8[N, C, H, W], 0 dark and 255 bright. */
export type Images = Uint8Array | StoredImages;

/**
 * Selected images, in host memory.
 *
 * @param indices of the images, N of them
 * @param P bytes of an image
 * @returns u8[N, P]
 * @throws {DataError} if the file cannot be read
 */
export function rowsOf(images: Images, indices: ArrayLike<number>, P: number): Uint8Array<ArrayBuffer> {
  const rows = new Uint8Array(indices.length * P);
  for (let n = 0; n < indices.length; n++) {
    const index = indices[n];
    if (images instanceof StoredImages) images.readRow(images.rows[index], rows, n * P);
    else rows.set(images.subarray(index * P, (index + 1) * P), n * P);
  }
  return rows;
}

/**
 * Selects images and scales their bytes.
 *
 * @param images u8[M, P], 0 black to 255 white
 * @param indices of the images, N of them
 * @param P values of an image
 * @returns f32[N, P], 0 black to 1 white
 */
export function pixelsOf(images: Images, indices: ArrayLike<number>, P: number): Float32Array<ArrayBuffer> {
  const bytes = rowsOf(images, indices, P);
  const pixels = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) pixels[i] = bytes[i] / 255;
  return pixels;
}

/** Stretches of a file for the worker to read. */
export interface Stretches {
  readonly path: string;
  /** Where they start. */
  readonly starts: readonly number[];
  /** Bytes of each. */
  readonly length: number;
}

/**
 * Reads images of a file before they are needed, in a worker, and discards them: the operating system then has them in
 * its cache, and the process needs no more memory.
 */
export class ReadAhead implements Disposable {
  readonly #worker: Worker | undefined;
  readonly #images: StoredImages;
  #to = 0;

  /** Starts the worker, if the images are in one file. */
  constructor(images: StoredImages) {
    this.#images = images;
    if (!images.stored) return;
    this.#worker = new Worker(new URL("./read_ahead_worker.ts", import.meta.url), { type: "module" });
    // The code that needs the images reads them again, and reports the error.
    this.#worker.addEventListener("error", (event) => event.preventDefault());
  }

  /** Requests the images of the steps from `from` up to `to`, each step once. */
  steps(from: number, to: number, batch: (step: number) => Uint32Array): void {
    const { rows, stored } = this.#images;
    if (!this.#worker || !stored) return;
    const { path, at, rowBytes: length } = stored;
    for (let step = Math.max(from, this.#to); step < to; step++) {
      const starts = Array.from(batch(step), (image) => at + rows[image] * length);
      this.#worker.postMessage({ path, starts, length } satisfies Stretches);
    }
    this.#to = Math.max(this.#to, to);
  }

  /** Ends the worker. */
  [Symbol.dispose](): void {
    this.#worker?.terminate();
  }
}
