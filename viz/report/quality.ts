/** A measured number of a run, with what it means. */
export interface QualityFigure {
  /** What is measured, in a few words. */
  readonly title: string;
  /** One sentence for a reader who has not met it. */
  readonly meaning: string;
  /** Which values are better: high ones, low ones, or those near what real images give. */
  readonly better: "higher" | "lower" | "real";
  /** Whether it is a share, shown in per cent. */
  readonly share?: boolean;
  /** What was measured. */
  readonly value: number;
  /** Lower end of its 95 % interval. */
  readonly low: number;
  /** Upper end of it. */
  readonly high: number;
  /** What real images give. */
  readonly real?: number;
  /** What noise gives. */
  readonly noise?: number;
  /** What it cost, in words. */
  readonly cost: string;
}

/** Samples as a judge sees them, least confident first, each beside real images. */
export interface JudgedSamples {
  /** Samples, nearest training images of each, channels, height and width. */
  readonly shape: readonly [N: number, K: number, C: number, H: number, W: number];
  /** Pixels, 0 black to 1 white, f32[N, C, H, W]. */
  readonly image: Float32Array;
  /** The nearest training images, nearest first, f32[N, K, C, H, W]. */
  readonly nearest: Float32Array;
  /** Probability of the most likely class, f32[N]. */
  readonly confidence: Float32Array;
  /** The most likely class, integers [N]. */
  readonly classes: ArrayLike<number>;
  /** Share of all samples below each in confidence, in [0, 1], f32[N]. */
  readonly rank: Float32Array;
}

/** Samples by one solver. */
export interface SolverQuality {
  /** Its name, which results with other settings share. */
  readonly solver: string;
  /** Solver and settings. */
  readonly words: string;
  /** Evaluations of the network for a sample. */
  readonly evaluations: number;
  /** Fréchet distance, and the ends of its 95 % interval. */
  readonly frechet: { readonly value: number; readonly low: number; readonly high: number };
  /** Share of samples of which the judge is certain. */
  readonly confident: number;
  /** Whether it is the cheapest that may be as good as the best. */
  readonly chosen: boolean;
}

/** How good a network is. */
export interface Quality {
  /** What was measured and how, some sentences. */
  readonly how: string;
  /** In the order in which they are shown. */
  readonly figures: readonly QualityFigure[];
  /** Some samples to look at. */
  readonly samples?: JudgedSamples;
  /** Means over samples on their way: times in [0, 1), and figures at them. */
  readonly course?: {
    readonly t: readonly number[];
    readonly straightness: readonly number[];
    readonly curvature: readonly number[];
  };
}
