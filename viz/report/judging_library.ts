import type { PixelMap } from "./library.ts";

/** A measured share and the ends of its 95 % interval. */
export interface Share {
  /** In [0, 1]. */
  readonly value: number;
  /** Lower end. */
  readonly low: number;
  /** Upper end. */
  readonly high: number;
}

/** Features of images, one a row. */
export interface Features {
  /** f32[rows, width] */
  readonly values: Float32Array;
  /** Images. */
  readonly rows: number;
  /** Numbers of each. */
  readonly width: number;
}

/** What a judge says of images. */
export interface Verdict {
  /** Of each class, f32[N, classes]. */
  readonly probabilities: Float32Array;
  /** By which sets of images are compared. */
  readonly features: Features;
}

/** The part of the library by which a page says how good images are. */
export interface JudgingLibrary<Model, Tensor> {
  /** Bits per dimension of images of bytes under a network. */
  bitsPerDimension(model: Model, x1: Tensor, options: {
    readonly normalization: PixelMap;
    /** Of the random signs and the dequantisation. */
    readonly seed: number;
    readonly tolerance: number;
    readonly condition?: Tensor;
    /** Hears of the images done, also of parts; may throw to stop. */
    readonly onProgress: (done: number) => Promise<void>;
  }): Promise<{ readonly bits: readonly number[]; readonly evaluations: number; readonly products: number }>;
  /** Makes the judge of a file. */
  loadJudge(bytes: Uint8Array, source: string): {
    /** Of pixels, 0 black to 1 white. */
    judge(pixels: Float32Array): Promise<Verdict>;
    readonly info: { readonly classes: number; readonly accuracy: number };
  };
  /** Rounds pixels to the levels of a file of images. */
  asBytes(pixels: Float32Array): Float32Array;
  /** Precision and recall of samples against a reference. */
  prdc(reference: Features, samples: Features, options?: { readonly resamples?: number }): Promise<
    { readonly precision: Share; readonly recall: Share }
  >;
}
