import type { StoredImages } from "./images.ts";

/** What the worker reads: stretches of a file. */
export interface Stretches {
  readonly path: string;
  /** Where they start. */
  readonly starts: readonly number[];
  /** Bytes of each. */
  readonly length: number;
}

/**
 * Reads images of a file before they are needed, in a worker, and drops them: the operating system then has them at hand,
 * and memory stays as it is.
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
    // Whoever needs the images reads them again, and says what is wrong.
    this.#worker.addEventListener("error", (event) => event.preventDefault());
  }

  /** Asks for the images of the steps from `from` up to `to`, those of each step once. */
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
