import { join } from "node:path";
import { randomNormalRows, type Shape, slice, type Tensor, tensor, zeros } from "../../kernels/mod.ts";
import {
  type BatchSource,
  batchSource,
  encodeSafetensors,
  solveFlow,
  streams,
  type VelocityField,
} from "../../models/mod.ts";
import { yieldToEvents } from "../../kernels/core/yield_to_events.ts";
import { makeFolder, readIfThere, writeAtomic } from "../run/run_folder.ts";
import { fileAt, runFile, runFolder } from "../run/files.ts";
import { TensorFile, tensorsOf } from "../run/weights.ts";

/** Pairs per file, which are drawn in one batch. */
const perFile = 256;

/** The number of pairs, and what they are made from. */
export interface PairOptions {
  /** [C, H, W] of an image. */
  readonly shape: Shape;
  readonly count: number;
  /** Classes take turns; 0 without labels. */
  readonly classes: number;
  /** Seed of the noise. */
  readonly seed: number;
}

/**
 * Pairs of noise and the images that a flow generates from it, for reflow. The images are stored in the run's folder.
 */
export class PairStore {
  /** The pairs, once {@linkcode fill} has made them. */
  readonly source: BatchSource;
  readonly #options: PairOptions;
  readonly #noise: Tensor;
  readonly #images: Tensor;

  /** Draws the noise, and reserves the memory of the images. */
  constructor(options: PairOptions) {
    const { count, shape, classes, seed } = options;
    const rows = Uint32Array.from({ length: count }, (_, row) => row);
    const key = tensor(Uint32Array.of(seed, streams.pairNoise, 0));
    this.#options = options;
    this.#noise = randomNormalRows(key, tensor(rows), [count, ...shape]);
    this.#images = zeros([count, ...shape]);
    const labels = classes > 0 && { condition: tensor(rows.map((row) => row % classes)) };
    this.source = batchSource({ x0: this.#noise, x1: this.#images, ...labels });
  }

  /**
   * Reads the stored pairs of a run, and draws and stores the missing ones.
   *
   * @param field the flow to follow, in `steps` steps of Heun's method
   * @param onProgress called with the pairs so far
   * @returns false if it was stopped
   * @throws {RunError} if a file is damaged or cannot be written
   */
  async fill(
    run: string,
    field: VelocityField,
    steps: number,
    { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress: (done: number) => void },
  ): Promise<boolean> {
    const { count, shape } = this.#options;
    const images = new Float32Array(this.#images.size);
    await makeFolder(run, runFolder.pairs);
    for (let first = 0; first < count; first += perFile) {
      const N = Math.min(perFile, count - first);
      const path = join(run, fileAt(runFile.pairs, first / perFile));
      const drawn = await this.#stored(path, run, N) ?? await this.#draw(field, steps, first, N, signal);
      if (!drawn) return false;
      if (drawn.isNew) {
        const file = tensorsOf({ x1: [N, ...shape] }, { x1: drawn.values });
        await writeAtomic(path, encodeSafetensors(file, {}));
      }
      images.set(drawn.values, first * images.length / count);
      onProgress(first + N);
    }
    this.#images.write(images);
    return true;
  }

  async #stored(path: string, run: string, N: number) {
    const bytes = await readIfThere(path, run);
    if (!bytes) return undefined;
    const file = new TensorFile(bytes, path, "delete the file to draw its pairs again");
    return { values: file.read("x1", N, ...this.#options.shape), isNew: false };
  }

  async #draw(field: VelocityField, steps: number, first: number, N: number, signal: AbortSignal) {
    const { classes } = this.#options;
    const rows = Uint32Array.from({ length: N }, (_, n) => first + n);
    const stop = new Error("stopped");
    try {
      const { samples } = await solveFlow(field, slice(this.#noise, 0, first, N), {
        solver: "heun",
        steps,
        ...classes > 0 && { condition: tensor(rows.map((row) => row % classes)) },
        onProgress: async () => {
          await yieldToEvents();
          if (signal.aborted) throw stop;
        },
      });
      return { values: samples, isNew: true };
    } catch (error) {
      if (error === stop) return undefined;
      throw error;
    }
  }
}
