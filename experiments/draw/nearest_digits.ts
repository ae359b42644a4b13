import type { LabelledImages } from "../data/dataset.ts";
import { type PrincipalComponents, principalComponents, project } from "./principal_components.ts";

/** Images the components are found on and neighbours are looked for among; images the classifier is tried on. */
const most = { real: 2000, tried: 1000 };
/** Components the classifier compares. */
const components = 20;
/** Neighbours that vote. */
const neighbours = 5;

/**
 * A small classifier that says of itself how often it errs: the class most frequent among the nearest real images, by
 * distance along their first principal components. It depends on the data set alone, so that runs can be compared.
 */
export class NearestDigits {
  readonly pca: PrincipalComponents;
  /** Number of real images. */
  readonly count: number;
  /** Their classes, u8[count]. */
  readonly labels: Uint8Array;
  /** Their coordinates, f32[count, K]. */
  readonly coordinates: Float32Array;
  readonly #K: number;

  /**
   * @param train images of a data set, of which the first 2,000 are taken
   * @param P pixels of an image
   */
  constructor(train: LabelledImages, P: number) {
    this.count = Math.min(train.count, most.real);
    this.#K = Math.min(components, P);
    this.labels = train.labels.slice(0, this.count);
    const images = pixelsOf(train, this.count, P);
    this.pca = principalComponents(images, P, this.#K);
    this.coordinates = project(images, this.pca, this.#K);
  }

  /** The classes of images, f32[N, P] with 0 black and 1 white. */
  classify(images: Float32Array): Uint8Array {
    const points = project(images, this.pca, this.#K);
    return Uint8Array.from({ length: points.length / this.#K }, (_, n) => {
      return this.#vote(points.subarray(n * this.#K, (n + 1) * this.#K));
    });
  }

  /** How many of up to 1,000 held-out images it gets right. */
  tryOn(test: LabelledImages, P: number): { readonly right: number; readonly tried: number } {
    const tried = Math.min(test.count, most.tried);
    const classes = this.classify(pixelsOf(test, tried, P));
    return { right: classes.reduce((sum, label, n) => sum + (label === test.labels[n] ? 1 : 0), 0), tried };
  }

  #vote(point: Float32Array): number {
    const nearest: { label: number; distance: number }[] = [];
    for (let n = 0; n < this.count; n++) {
      let distance = 0;
      for (let k = 0; k < this.#K; k++) distance += (this.coordinates[n * this.#K + k] - point[k]) ** 2;
      if (nearest.length === neighbours && distance >= nearest[neighbours - 1].distance) continue;
      nearest.push({ label: this.labels[n], distance });
      nearest.sort((a, b) => a.distance - b.distance).splice(neighbours);
    }
    // Of classes with equally many votes the one with the nearest image wins: the list is in that order.
    const votes = new Map<number, number>();
    for (const { label } of nearest) votes.set(label, (votes.get(label) ?? 0) + 1);
    return [...votes].reduce((best, vote) => vote[1] > best[1] ? vote : best)[0];
  }
}

function pixelsOf({ images }: LabelledImages, count: number, P: number): Float32Array {
  return Float32Array.from(images.subarray(0, count * P), (byte) => byte / 255);
}
