/// <reference lib="dom" />
import type { Features, Share } from "../judging_library.ts";
import type { JudgePayload } from "../payload.ts";
import { bytesOf, decode } from "./decode.ts";
import { byId } from "./dom.ts";
import type { AnyLibrary } from "./engine.ts";

/** Sets of test images that are judged in place of samples, to tell how far so few can be trusted. */
const mostSets = 8;

/** What a judge says of some samples. */
export interface Judged {
  /** The most likely class of each, and its probability. */
  readonly classes: readonly number[];
  readonly confidence: readonly number[];
  readonly precision: Share;
  readonly recall: Share;
  /** Precision and recall of as many test images, the mean over some sets of them; none where there are too few. */
  readonly real?: { readonly precision: number; readonly recall: number };
  /** How many test images the samples are compared with. */
  readonly references: number;
  /** Share of test images whose class the judge tells. */
  readonly accuracy: number;
}

/** Judges fresh samples of a run, by a judge and what it sees in test images. */
export class SampleJudge {
  readonly #judge: ReturnType<AnyLibrary["loadJudge"]>;
  readonly #reference: Features;
  readonly #real = new Map<number, Judged["real"]>();

  constructor(readonly library: AnyLibrary, { script, reference, rows, width }: JudgePayload) {
    this.#judge = library.loadJudge(bytesOf(byId(`judge-${script}`).textContent!), "the judge");
    this.#reference = { values: decode(reference), rows, width };
  }

  /** Judges `count` samples, f32[N, C, H, W] in pixels, as a file of images would hold them. */
  async judge(pixels: Float32Array, count: number): Promise<Judged> {
    const { probabilities, features } = await this.#judge.judge(this.library.asBytes(pixels));
    const { classes: K, accuracy } = this.#judge.info;
    const each = Array.from({ length: count }, (_, n) => probabilities.subarray(n * K, (n + 1) * K));
    const confidence = each.map((shares) => Math.max(...shares));
    const { precision, recall } = await this.library.prdc(this.#reference, features);
    if (!this.#real.has(count)) this.#real.set(count, await this.#realOf(count));
    const real = this.#real.get(count);
    return {
      classes: each.map((shares, n) => shares.indexOf(confidence[n])),
      confidence,
      ...{ precision, recall, accuracy, references: this.#reference.rows },
      ...real && { real },
    };
  }

  /** Sets of `count` test images against the others. */
  async #realOf(count: number): Promise<Judged["real"]> {
    const { rows } = this.#reference;
    const sets = Math.min(mostSets, Math.floor(rows / count));
    if (sets < 2) return undefined;
    let [precision, recall] = [0, 0];
    for (let set = 0; set < sets; set++) {
      const [some, others] = this.#split(set * count, count);
      const found = await this.library.prdc(others, some, { resamples: 1 });
      precision += found.precision.value / sets;
      recall += found.recall.value / sets;
    }
    return { precision, recall };
  }

  /** `count` test images from one on, and the others. */
  #split(from: number, count: number): [some: Features, others: Features] {
    const { values, rows, width } = this.#reference;
    const [start, end] = [from * width, (from + count) * width];
    const others = new Float32Array(values.length - count * width);
    others.set(values.subarray(0, start));
    others.set(values.subarray(end), start);
    return [
      { values: values.slice(start, end), rows: count, width },
      { values: others, rows: rows - count, width },
    ];
  }
}
