import { nearestNeighbours, type Points } from "../../models/mod.ts";
import { firstIndices, type LabelledImages, subsetOrder } from "../data/dataset.ts";
import { pixelsOf } from "../data/images.ts";
import { type PrincipalComponents, principalComponents, project } from "./principal_components.ts";

/** Maximum number of real images for components and voting, and of images for testing the classifier. */
const most = { real: 2000, tried: 1000 };
/** Number of components that the classifier uses. */
const components = 20;
/** Number of neighbours that vote. */
const neighbours = 5;

/**
 * Finds the nearest real images by their first principal components. With labels it is a small classifier: the most
 * frequent class among the nearest images wins. It depends only on the data set, which makes runs comparable.
 */
export class NearestImages {
  readonly pca: PrincipalComponents;
  /** Number of real images. */
  readonly count: number;
  /** Their classes, u32[count], if the data set has labels. */
  readonly labels: Uint32Array | undefined;
  /** Their principal coordinates, f32[count, K]. */
  readonly coordinates: Float32Array;
  readonly #K: number;

  /**
   * @param train images of a data set; 2,000 are used: the first, or random ones if they are sorted by class
   * @param P values per image, C H W
   */
  constructor(train: LabelledImages, P: number) {
    this.count = Math.min(train.count, most.real);
    this.#K = Math.max(2, Math.min(components, P)); // at least the two axes of a plane, even for images of one pixel
    const { labels } = train;
    const chosen = subsetOrder(train).subarray(0, this.count);
    this.labels = labels && Uint32Array.from(chosen, (n) => labels[n]);
    const images = pixelsOf(train.images, chosen, P);
    this.pca = principalComponents(images, P, this.#K);
    this.coordinates = project(images, this.pca, this.#K);
  }

  /**
   * Classifies images.
   *
   * @param images f32[N, P] with 0 black and 1 white
   * @returns u32[N], or undefined without labels
   */
  async classify(images: Float32Array): Promise<Uint32Array | undefined> {
    const { labels } = this;
    if (!labels) return undefined;
    const points = this.#points(project(images, this.pca, this.#K));
    const k = Math.min(neighbours, this.count);
    const { indices } = await nearestNeighbours(points, this.#points(this.coordinates), k);
    return Uint32Array.from({ length: points.rows }, (_, n) => {
      return mostFrequent(Array.from(indices.subarray(n * k, (n + 1) * k), (row) => labels[row]));
    });
  }

  /** Tests the classifier on up to 1,000 held-out images; undefined without labels. */
  async tryOn(
    test: LabelledImages,
    P: number,
  ): Promise<{ readonly right: number; readonly tried: number } | undefined> {
    const { labels } = test;
    const tried = Math.min(test.count, most.tried);
    const classes = labels && await this.classify(pixelsOf(test.images, firstIndices(tried), P));
    if (!classes) return undefined;
    return { right: classes.reduce((sum, label, n) => sum + (label === labels[n] ? 1 : 0), 0), tried };
  }

  #points(values: Float32Array): Points {
    return { values, rows: values.length / this.#K, width: this.#K };
  }
}

/** The most frequent label; a tie goes to the label that comes first, so to the nearest image. */
function mostFrequent(labels: readonly number[]): number {
  const votes = new Map<number, number>();
  for (const label of labels) votes.set(label, (votes.get(label) ?? 0) + 1);
  return [...votes].reduce((best, vote) => vote[1] > best[1] ? vote : best)[0];
}
