import { add, gatherRows, ShapeError, slice, type Tensor } from "../../kernels/mod.ts";
import type { Initialiser } from "./initialiser.ts";
import { Module } from "./module.ts";

/**
 * A learned row for each class and one for "none", added to the time embedding; named as an `nn.Embedding` in PyTorch.
 *
 * Initialised as normal with standard deviation 0.02.
 */
export class LabelEmbedding extends Module {
  /** f32[classes + 1, T]; the last row stands for "none". */
  readonly weight: Tensor;

  /** For labels 0 to `classes` - 1, and `classes` for "none", in embeddings of T = `tEmb` features. */
  constructor(
    { classes, tEmb }: { readonly classes: number; readonly tEmb: number },
    initialiser: Initialiser,
  ) {
    super();
    this.weight = initialiser.normal([classes + 1, tEmb], 0.02);
  }

  /**
   * Adds the rows of labels.
   *
   * @param embedding f32[N, T]
   * @param labels u32[N], each at most `classes`; without them all are "none"
   * @returns f32[N, T]
   * @throws {ShapeError} if there is not one label for each row
   */
  forward(embedding: Tensor, labels?: Tensor): Tensor {
    const [none] = this.weight.shape.map((rows) => rows - 1);
    if (!labels) return add(embedding, slice(this.weight, 0, none, 1));
    if (labels.type !== "u32" || `${labels.shape}` !== `${embedding.shape[0]}`) {
      throw new ShapeError(
        `Cannot use the condition ${labels} (expected labels u32[${embedding.shape[0]}], one per image)`,
      );
    }
    return add(embedding, gatherRows(this.weight, labels));
  }
}

/**
 * The embedding of a network's time with its condition.
 *
 * @param labels undefined in a network that was made without classes
 * @throws {TypeError} if a condition is given to a network without classes
 * @throws {ShapeError} if the condition is not one label for each row
 */
export function withLabels(
  labels: LabelEmbedding | undefined,
  embedding: Tensor,
  condition?: Tensor,
): Tensor {
  if (labels) return labels.forward(embedding, condition);
  if (!condition) return embedding;
  throw new TypeError(
    `Cannot use the condition ${condition}: the network was made without one (expected a network with classes)`,
  );
}
