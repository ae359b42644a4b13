/** What a page needs to draw samples by itself, and to say something of them. */
export interface Live {
  /** Text of an ES module without imports that offers a `Library` as in `library.ts`, such as `web/flow.js`. */
  readonly library: string;
  /** For each run the bytes of its checkpoint, or why there are none, as the end of a sentence. */
  readonly checkpoints: readonly (Uint8Array | string)[];
  /** For each run what its samples are guided away from, if anything. */
  readonly weaker?: readonly (LiveWeaker | undefined)[];
  /** For each run test images whose bits per dimension a reader can ask for, if there are some. */
  readonly examples?: readonly (Examples | undefined)[];
  /** For each run what judges its fresh samples, if there is a judge. */
  readonly judges?: readonly (LiveJudge | undefined)[];
}

/** A network that another one is guided away from: the same one, early in its training. */
export interface LiveWeaker {
  /** Bytes of its checkpoint. */
  readonly checkpoint: Uint8Array;
  /** The guidance that a reader is offered first; 1 is none. */
  readonly guidance: number;
}

/** Real images that a reader can choose from. */
export interface Examples {
  /** How many, channels, height and width. */
  readonly shape: readonly [N: number, C: number, H: number, W: number];
  /** Pixels as a file of images holds them, 0 black to 1 white in steps of 1 / 255, f32[N, C, H, W]. */
  readonly image: Float32Array;
  /** The class of each, if it is known. */
  readonly labels?: ArrayLike<number>;
  /** What the classes are called, by class; the others go by their numbers. */
  readonly classNames?: readonly string[];
}

/** A judge, and what it sees in test images. */
export interface LiveJudge {
  /** Bytes of its file, for `Library.loadJudge()`. */
  readonly weights: Uint8Array;
  /** Features of test images by this judge, f32[rows, width]. */
  readonly reference: { readonly values: Float32Array; readonly rows: number; readonly width: number };
}
