/// <reference lib="dom" />
import { breatheWhile, unlessUnwanted } from "./breathe.ts";
import { countOf } from "./course.ts";
import type { Engine } from "./engine.ts";

/** Error allowed in a step, as in `deno task evaluate`: a smaller one changes the bits by less than the random signs do. */
const tolerance = 1e-2;
/** Bits of a value in the file of an image. */
const plainBits = 8;

/** Measures the bits per dimension of one image, by other random signs each time. */
export class BitsMeter {
  readonly #found: number[] = [];

  /**
   * @param run the network, by its place among all runs
   * @param pixels f32[C, H, W]
   * @param label the class of the image, which a network that knows classes is asked for
   */
  constructor(
    readonly engine: Engine,
    readonly run: number,
    readonly pixels: Float32Array,
    readonly label: number | undefined,
  ) {}

  /** The bits, or a dash as long as they are not known. */
  get short(): string {
    return this.#found.length > 0 ? meanOf(this.#found).toFixed(2) : "\u2013";
  }

  /**
   * Follows the image back to noise.
   *
   * @param onShare called with the share of the way that is done
   * @returns what was found in words; undefined if it is not wanted any more
   */
  async measure(wanted: () => boolean, onShare: (share: number) => void): Promise<string | undefined> {
    const { library, device } = this.engine;
    const { model, shape, normalization, classes } = this.engine.network(this.run);
    const asked = classes > 0 ? this.label : undefined;
    const x1 = library.tensor(library.fromPixels(this.pixels, normalization), [1, ...shape]);
    const started = performance.now();
    const found = await unlessUnwanted(library.bitsPerDimension(model, x1, {
      ...{ normalization, tolerance, seed: this.#found.length },
      ...asked !== undefined && { condition: library.tensor(Uint32Array.of(asked), [1]) },
      onProgress: (share) => {
        onShare(share);
        return breatheWhile(wanted);
      },
    }));
    if (!found) return undefined;
    this.#found.push(found.bits[0]);
    const ms = Math.round(performance.now() - started).toLocaleString("en");
    const condition = asked === undefined ? "" : `, asked for class ${asked}`;
    return `${this.#words}. ${
      countOf(found.evaluations)
    }${condition}, each with a vector-Jacobian product, took ` +
      `${ms} ms on ${device}. Press again for other random signs.`;
  }

  /** The mean over all times, and what it means. */
  get #words(): string {
    const found = this.#found;
    const mean = meanOf(found);
    const variance = found.reduce((sum, bits) => sum + (bits - mean) ** 2, 0) / (found.length - 1);
    const error = found.length > 1 ? ` \u00b1 ${Math.sqrt(variance / found.length).toFixed(3)}` : "";
    const tries = found.length > 1 ? ` (${found.length} draws of random signs)` : "";
    const size = this.pixels.length.toLocaleString("en");
    const meaning = mean < plainBits
      ? `a code built on this network needs about ${
        (mean * this.pixels.length / 8).toFixed(0)
      } bytes for it, ` +
        `where its ${size} values take ${size}`
      : `more than the ${plainBits} of its file, so this network does not expect it at all`;
    return `${mean.toFixed(3)}${error} bits per dimension${tries}: ${meaning}`;
  }
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
