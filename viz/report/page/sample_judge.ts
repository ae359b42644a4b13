import type * as models from "../../../models/mod.ts";
import type { Estimate, Points } from "../../../models/mod.ts";

type Library = Pick<typeof models, "asBytes" | "loadJudge" | "pickPoints" | "precisionRecall">;

/** Maximum number of sets of test images to judge like samples, as a reference for so few images. */
const maxSets = 8;

/** A judge's verdict on some samples. */
export interface Judged {
  /** The most likely class of each sample. */
  readonly classes: readonly number[];
  readonly confidence: readonly number[];
  readonly precision: Estimate;
  readonly recall: Estimate;
  /** Mean precision and recall of equally large sets of test images; absent if there are too few. */
  readonly real?: { readonly precision: number; readonly recall: number };
  /** Number of test images used as reference. */
  readonly references: number;
  /** Share of test images that the judge classifies right. */
  readonly accuracy: number;
}

/** Judges fresh samples of a run. */
export class SampleJudge {
  readonly #judge: ReturnType<Library["loadJudge"]>;
  readonly #reference: Points;
  readonly #real = new Map<number, Judged["real"]>();

  /** @param reference features of test images */
  constructor(readonly library: Library, weights: Uint8Array, reference: Points) {
    this.#judge = library.loadJudge(weights, "the judge");
    this.#reference = reference;
  }

  /** Judges the first `count` samples of f32[N, C, H, W] in pixels, after rounding to bytes. */
  async judge(pixels: Float32Array, count: number): Promise<Judged> {
    const { probabilities, features } = await this.#judge.judge(this.library.asBytes(pixels));
    const { classes: K, accuracy } = this.#judge.info;
    const each = Array.from({ length: count }, (_, n) => probabilities.subarray(n * K, (n + 1) * K));
    const confidence = each.map((shares) => Math.max(...shares));
    const { precision, recall } = await this.library.precisionRecall(this.#reference, features);
    if (!this.#real.has(count)) this.#real.set(count, await this.#realOf(count));
    const real = this.#real.get(count);
    return {
      classes: each.map((shares, n) => shares.indexOf(confidence[n])),
      confidence,
      precision,
      recall,
      accuracy,
      references: this.#reference.rows,
      real,
    };
  }

  /** Mean precision and recall of sets of `count` test images against the other test images. */
  async #realOf(count: number): Promise<Judged["real"]> {
    const { rows } = this.#reference;
    const sets = Math.min(maxSets, Math.floor(rows / count));
    if (sets < 2) return undefined;
    let precision = 0;
    let recall = 0;
    const all = Array.from({ length: rows }, (_, i) => i);
    for (let set = 0; set < sets; set++) {
      const isIn = (i: number) => Math.floor(i / count) === set;
      const samples = this.library.pickPoints(this.#reference, all.filter(isIn));
      const rest = this.library.pickPoints(this.#reference, all.filter((i) => !isIn(i)));
      const result = await this.library.precisionRecall(rest, samples, { resamples: 1 });
      precision += result.precision.value / sets;
      recall += result.recall.value / sets;
    }
    return { precision, recall };
  }
}
