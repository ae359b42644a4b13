import {
  add,
  concat,
  cos,
  gatherRows,
  gelu,
  multiply,
  reshape,
  ShapeError,
  sin,
  slice,
  Tensor,
  tensor,
  withDevice,
} from "../../kernels/mod.ts";
import { checkCount, describeValue, refuse } from "../../kernels/core/checks.ts";
import { blankInitialiser, defaultInitialiser, type Initialiser } from "./initialiser.ts";
import { Linear } from "./layers.ts";
import { Module } from "./module.ts";

/** How t is encoded before the time embedding. */
export interface TimeFeatures {
  /** One line for `--help`. */
  readonly doc: string;
  /** Number of features for an embedding of T. */
  width(tEmb: number): number;
  /** Times f32[N] in [0, 1] -> f32[N, width], using only device ops. */
  of(t: Tensor, width: number): Tensor;
}

/** Ratio of the longest wave to the shortest. */
const longest = 10_000;

/** How a network encodes t. */
export type TimeEmbeddingName = "scalar" | "sinusoidal";

/** Encodings of t, by name. */
export const timeFeatures: Readonly<Record<TimeEmbeddingName, TimeFeatures>> = {
  scalar: { doc: "t itself", width: () => 1, of: (t) => reshape(t, [t.size, 1]) },
  /**
   * cos(1000 t f) and sin(1000 t f) for T/2 frequencies f from 1 down to about 1/10,000.
   *
   * Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5; cosines first as in Peebles and Xie 2022,
   * arXiv:2212.09748; t times 1000 for the 1000 steps of Ho et al. 2020, arXiv:2006.11239
   */
  sinusoidal: {
    doc: "waves of 1000 t, as in DiT",
    width(tEmb) {
      if (tEmb % 2 === 0) return tEmb;
      refuse(RangeError, `make a sinusoidal time embedding of ${tEmb} features`, "an even number");
    },
    of(t, width) {
      const half = width / 2;
      const frequencies = Float32Array.from({ length: half }, (_, k) => 1000 * longest ** (-k / half));
      const waves = withDevice(t.device, () => tensor(frequencies, [1, half]));
      const angles = multiply(reshape(t, [t.size, 1]), waves);
      return concat([cos(angles), sin(angles)], 1);
    },
  },
};

/** All names of {@linkcode timeFeatures}. */
export const timeEmbeddingNames = Object.keys(timeFeatures) as readonly TimeEmbeddingName[];

/**
 * Time embedding Linear(F -> T), GELU, Linear(T -> T) of F features of t, with the field names of a PyTorch Sequential.
 * By default there is one feature, t.
 */
export class TimeEmbedding extends Module {
  /** F -> T. */
  readonly 0: Linear;
  /** T -> T. Layer 1 is the GELU. */
  readonly 2: Linear;
  readonly #features: (t: Tensor) => Tensor;

  /** With T = `tEmb` features. */
  constructor(
    { tEmb, timeEmbedding = "scalar" }: { tEmb: number; timeEmbedding?: TimeEmbeddingName },
    initialiser: Initialiser = defaultInitialiser,
  ) {
    super();
    const width = timeFeatures[timeEmbedding].width(tEmb);
    this.#features = (t) => timeFeatures[timeEmbedding].of(t, width);
    this[0] = new Linear(width, tEmb, initialiser);
    this[2] = new Linear(tEmb, tEmb, initialiser);
  }

  /** Times f32[N] in [0, 1] -> f32[N, T]. */
  forward(t: Tensor): Tensor {
    return this[2].forward(gelu(this[0].forward(this.#features(t))));
  }
}

/**
 * Embedding of the length d of a step, or of its guidance, added to the time embedding: Linear(1 -> T), GELU, Linear(T
 * -> T). The last layer is zero at start, so that a flow map begins as the flow whose weights it takes, for any d.
 */
export class StepEmbedding extends Module {
  /** 1 -> T. */
  readonly 0: Linear;
  /** T -> T, zero at start. Layer 1 is the GELU. */
  readonly 2: Linear;

  /** With T = `tEmb` features. */
  constructor({ tEmb }: { tEmb: number }, initialiser: Initialiser = defaultInitialiser) {
    super();
    this[0] = new Linear(1, tEmb, initialiser);
    this[2] = new Linear(tEmb, tEmb, blankInitialiser);
  }

  /** Lengths f32[N] in [0, 1] -> f32[N, T]. */
  forward(d: Tensor): Tensor {
    return this[2].forward(gelu(this[0].forward(reshape(d, [d.size, 1]))));
  }
}

/**
 * A learned row per index, such as a class or a position.
 *
 * Initialised as in PyTorch: normal with standard deviation 1.
 */
export class Embedding extends Module {
  /** f32[rows, width] */
  readonly weight: Tensor;

  /** For indices below `rows`. */
  constructor(rows: number, width: number, initialiser: Initialiser = defaultInitialiser) {
    super();
    for (const [name, size] of Object.entries({ rows, width })) checkCount("make an Embedding", name, size);
    this.weight = initialiser.normal([rows, width], 1);
  }

  /**
   * u32[...] -> f32[..., width], the row of each index. An index out of range gives NaN, as a device cannot check it.
   */
  forward(indices: Tensor): Tensor {
    const values: unknown = indices;
    if (!(values instanceof Tensor && values.type === "u32")) {
      const shown = values instanceof Tensor ? values : describeValue(values);
      refuse(TypeError, `run an Embedding: the indices are ${shown}`, "u32[...]");
    }
    const rows = gatherRows(this.weight, reshape(values, [values.size]));
    return reshape(rows, [...values.shape, this.weight.shape[1]]);
  }
}

/**
 * A learned row per class and one for "none", added to the time embedding. Named like PyTorch's `nn.Embedding`.
 *
 * Initialised as normal with standard deviation 0.02.
 */
export class LabelEmbedding extends Module {
  /** f32[classes + 1, T]; the last row means "none". */
  readonly weight: Tensor;

  /** For labels 0 to `classes` - 1, and `classes` for "none", in embeddings of T = `tEmb` features. */
  constructor({ classes, tEmb }: { classes: number; tEmb: number }, initialiser = defaultInitialiser) {
    super();
    this.weight = initialiser.normal([classes + 1, tEmb], 0.02);
  }

  /**
   * Adds the rows of labels.
   *
   * @param embedding f32[N, T]
   * @param labels u32[N], each at most `classes`; by default all "none"
   * @returns f32[N, T]
   */
  forward(embedding: Tensor, labels?: Tensor): Tensor {
    const [none] = this.weight.shape.map((rows) => rows - 1);
    if (!labels) return add(embedding, slice(this.weight, 0, none, 1));
    if (labels.type !== "u32" || `${labels.shape}` !== `${embedding.shape[0]}`) {
      refuse(ShapeError, `use the condition ${labels}`, `labels u32[${embedding.shape[0]}], one per image`);
    }
    return add(embedding, gatherRows(this.weight, labels));
  }
}
