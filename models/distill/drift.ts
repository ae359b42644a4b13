import {
  add,
  assign,
  concat,
  currentDevice,
  divide,
  exp,
  full,
  gatherRows,
  log,
  matmul,
  matmulTransposedB,
  max,
  maximum,
  mean,
  meanSquaredError,
  multiply,
  randomNormal,
  reshape,
  scope,
  slice,
  softmax,
  sqrt,
  square,
  subtract,
  sum,
  Tensor,
  tensor,
  uniforms,
  zeros,
} from "../../kernels/mod.ts";
import { meanVelocityOf } from "../flow/field.ts";
import type { NamedTensors } from "../nn/flat_parameters.ts";
import { permutation, streams } from "../random.ts";
import { batchOf } from "../train/batches.ts";
import type { StepLoss } from "../train/trainer.ts";
import { detached, type Distillation } from "./distillation.ts";

/** Temperatures of the attraction, from the nearest images only to all of them. */
const temperatures = [0.02, 0.05, 0.2];
/** Real images of its class that a group of samples is drawn to in a step. */
const positives = 128;
/** Most bytes of the features of real images. */
const maxBytes = 2 ** 31;
/** Images of the data that are encoded at once. */
const encodedAtOnce = 128;

/** Options of a drift stage. */
export interface DriftOptions {
  /** Spaces besides pixels in which images at time r of the flow are compared: f32[N, C, H, W] to f32[N, ...]. */
  readonly encode: (images: Tensor, r: number) => readonly Tensor[];
  /** Indices of the real images, in random order; as many are used as have features of 2 GiB. */
  readonly references: Uint32Array;
  /** Weight of images of other classes, which push samples away, in (0, 1]; half of it in shorter steps. */
  readonly others: number;
  /** Share by which the push away outweighs the pull: it makes up for variety that a network loses. */
  readonly push: number;
  /** Number of classes; 0 without labels. */
  readonly classes: number;
}

type Features = DriftStage["features"][number];

/** A drift stage: a loss for each grid of times from 0, whose last evaluation learns. All share their real images. */
export class DriftStage {
  /** In the order of the grids. */
  readonly losses: readonly StepLoss[];
  /** Features of the real images in each space, f32[M, D], and the squared length of each row, f32[M, 1]. */
  readonly features: readonly (readonly [rows: Tensor, lengths: Tensor])[];
  /** Their rows of each class that has any, and those of the other classes. */
  readonly byClass: ReadonlyMap<number, readonly [own: Uint32Array, rest: Uint32Array]>;

  /** Reserves the memory of the features; {@linkcode encode} computes them. */
  constructor(
    readonly distillation: Distillation,
    readonly options: DriftOptions,
    grids: readonly (readonly number[])[],
  ) {
    const widths: number[] = [];
    scope(() => widths.push(...this.#spaces(0, 1).map(({ size }) => size)));
    const all = widths.reduce((sum, width) => sum + width);
    const most = Math.min(currentDevice().maxRangeBytes / Math.max(...widths), maxBytes / all) / 4;
    const references = options.references.slice(0, Math.floor(most));
    const M = references.length;
    this.features = widths.map((D) => [zeros([M, D]), zeros([M, 1])]);
    this.byClass = placesByClass(references, options.classes, distillation.source.host?.labels?.(references));
    this.losses = grids.map((times) => new DriftLoss(this, times));
  }

  /**
   * Encodes the real images, which must happen before the first step.
   *
   * @param onImages called with the number of images encoded so far, and of all; throw to stop
   */
  async encode(onImages: (done: number, all: number) => void | Promise<void> = () => {}): Promise<void> {
    const [count] = this.features[0][0].shape;
    for (let from = 0; from < count; from += encodedAtOnce) {
      const n = Math.min(encodedAtOnce, count - from);
      // A scope drops the activations.
      scope(() =>
        this.#spaces(from, from + n).forEach((space, s) =>
          featuresOf(space, n).forEach((own, part) => {
            const { storage, shape: [, D] } = this.features[s][part];
            assign(new Tensor(storage, own.shape, "f32", from * D), own);
          })
        )
      );
      await currentDevice().finished();
      await onImages(from + n, count);
    }
  }

  #spaces(from: number, to: number): readonly Tensor[] {
    const { x1 } = batchOf(this.distillation.source, this.options.references.slice(from, to));
    return [x1, ...this.options.encode(x1, 1)];
  }
}

/**
 * Drift: moves what the map makes of noise up to time r towards real images of its class with noise, r x + (1 - r) z, and
 * away from each other, in several feature spaces, until both forces balance: then the distributions at r are equal. The
 * last of the evaluations up to r learns; the earlier ones have no gradient. No judge takes part.
 *
 * In a space of D features, with distances divided by their mean, each image x has logits l = -distance / tau to real
 * images (positives), and to the other generated ones and real ones of other classes (negatives). Its weights are
 * e^l / C^p, divided by their sum, where C is the sum of e^l over generated images. With p = 3/4 for positives a real
 * image far from all generated ones still pulls the nearest, so that no mode is lost; for negatives p = 1/2. Images of
 * other classes have a weight, and their C also counts real images of the class, so they push less where these are. From
 * each of their weights its mean over the samples is taken away: on average samples are pushed from zero instead. V is
 * the mean of the positives less x, minus (1 + push) times that of the negatives, scaled to RMS 1 and summed over tau.
 * The loss pulls the features phi = x to x + S V, where S sqrt(D) is the mean distance.
 *
 * Source: Deng et al. 2026, Generative Modeling via Drifting, arXiv:2602.04770; times r below 1 as in arXiv:2605.17244
 */
class DriftLoss implements StepLoss {
  readonly #groups: number;
  readonly #noiseKey = tensor(new Uint32Array(3));
  readonly #targetNoiseKey = tensor(new Uint32Array(3));
  readonly #labels: Tensor;
  readonly #rows: Tensor;

  constructor(readonly stage: DriftStage, readonly times: readonly number[]) {
    const { batchSize } = stage.distillation;
    this.#groups = Math.min(2, stage.byClass.size);
    this.#labels = tensor(new Uint32Array(this.#groups * this.#each(batchSize)));
    this.#rows = tensor(new Uint32Array(this.#groups * (positives + this.#others(batchSize))));
  }

  /** Generated images in a group. */
  #each(batchSize: number): number {
    return Math.max(1, Math.floor(batchSize / this.#groups));
  }

  /** Real images of other classes per group. */
  #others(batchSize: number): number {
    return this.stage.byClass.size > 1 ? this.#each(batchSize) : 0;
  }

  /** Sets the classes, real images and noise of the next run; the examples of the data are not used. */
  write(_examples: Uint32Array, seed: number, step: number): void {
    const { distillation: { batchSize }, byClass } = this.stage;
    const counter = (purpose: number) => 8 * step + purpose;
    const all = [...byClass.keys()];
    const classes = permutation(seed, streams.references, counter(0), all.length)
      .slice(0, this.#groups).map((place) => all[place]);
    const rows = Array.from(classes, (label, group) => {
      const [own, rest] = byClass.get(label)!;
      const order = permutation(seed, streams.references, counter(1 + group), own.length);
      const picks = uniforms(seed, streams.references, counter(3 + group), this.#others(batchSize));
      return [
        ...Array.from({ length: positives }, (_, i) => own[order[i % own.length]]),
        ...Array.from(picks, (u) => rest[Math.floor(u * rest.length)]),
      ];
    });
    this.#rows.write(Uint32Array.from(rows.flat()));
    const each = this.#each(batchSize), length = this.#labels.size;
    this.#labels.write(Uint32Array.from({ length }, (_, i) => classes[Math.floor(i / each)]));
    this.#noiseKey.write(Uint32Array.of(seed, streams.noise, step));
    this.#targetNoiseKey.write(Uint32Array.of(seed, streams.driftNoise, step));
  }

  /** The loss, f32[]. */
  loss(_averaged: NamedTensors, batchSize: number = this.stage.distillation.batchSize): Tensor {
    const { options } = this.stage, [G, n] = [this.#groups, this.#each(batchSize)];
    const real = positives + this.#others(batchSize), r = this.times[this.times.length - 1];
    const generated = this.#generated(G * n);
    const spaces = [generated, ...options.encode(generated, r)];
    const targets = this.#targets(orZeros(this.#rows, G * real), r);
    const isWhole = this.times.length === 2 && r === 1, others = options.others * (isWhole ? 1 : 1 / 2);
    const losses = spaces.map((space, s) =>
      driftLoss(reshape(space, [G, n, space.size / (G * n)]), targets[s], others, options.push)
    );
    return multiply(losses.reduce((a, b) => add(a, b)), 1 / spaces.length);
  }

  /** What the map makes of noise by its evaluations; only the last has a gradient. */
  #generated(N: number): Tensor {
    const { distillation: { source: { shape }, student }, options: { classes } } = this.stage;
    const condition = classes > 0 ? orZeros(this.#labels, N) : undefined;
    return this.times.slice(1).reduce((x, t, i) => {
      const d = t - this.times[i];
      const u = meanVelocityOf(student, detached(x), full([N], this.times[i]), full([N], d), condition);
      return add(x, multiply(u, d));
    }, randomNormal(this.#noiseKey, [N, ...shape]));
  }

  /** Features of the real images at these places, with the noise of the time that the evaluation leads to. */
  #targets(places: Tensor, r: number): readonly Features[] {
    const { features, options, distillation: { source: { shape } } } = this.stage;
    const pick = (all: Tensor) => gatherRows(all, places);
    if (r === 1) return features.map(([rows, lengths]) => [pick(rows), pick(lengths)]);
    const images = reshape(pick(features[0][0]), [places.size, ...shape]);
    const noisy = add(multiply(images, r), multiply(randomNormal(this.#targetNoiseKey, images.shape), 1 - r));
    return [noisy, ...options.encode(noisy, r)].map((space) => featuresOf(space, places.size));
  }
}

function featuresOf(space: Tensor, N: number): Features {
  const rows = reshape(space, [N, space.size / N]);
  return [rows, sum(square(rows), [1], true)];
}

/** Values u32[N], or zeros u32[n] to plan another batch size. */
function orZeros(values: Tensor, n: number): Tensor {
  return values.size === n ? values : tensor(new Uint32Array(n));
}

function placesByClass(
  references: Uint32Array,
  classes: number,
  labels: Uint32Array | undefined,
): DriftStage["byClass"] {
  const all = Uint32Array.from(references.keys());
  if (classes === 0 || !labels) return new Map([[0, [all, new Uint32Array()]]]);
  const byClass = Array.from(
    { length: classes },
    (_, label) => all.filter((place) => labels[place] === label),
  );
  const restOf = (own: Uint32Array) =>
    Uint32Array.from(byClass.flatMap((places) => places === own ? [] : [...places]));
  return new Map(
    byClass.flatMap((own, label) => own.length > 0 ? [[label, [own, restOf(own)]] as const] : []),
  );
}

/** The loss of generated features phi f32[G, n, D] next to real ones of each group, first those of its class. */
function driftLoss(phi: Tensor, [rows, lengths]: Features, others: number, push: number): Tensor {
  const [G, n, D] = phi.shape, P = positives, R = rows.shape[0] / G, M = R + n, T = temperatures.length;
  const x = detached(reshape(phi, [G, n, D])), xx = sum(square(x), [2], true);
  const all = concat([reshape(rows, [G, R, D]), x], 1), yy = concat([reshape(lengths, [G, R, 1]), xx], 1);
  const part = (k: number, size: number): Features => [slice(all, 1, k, size), slice(yy, 1, k, size)];
  const filled = (shape: readonly [number, number], at: (i: number) => number) =>
    tensor(Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => at(i)), shape);
  const distance = distances([x, xx], [all, yy]);
  const isSelf = filled([n, M], (i) => i % M === M - n + Math.floor(i / M) ? 1 : 0);
  const isOther = filled([1, M], (i) => i >= P && i < M - n ? Math.log(others) : 0);
  const apart = multiply(distance, subtract(1, isSelf));
  const scale = multiply(sum(apart), 1 / (G * n * (M - 1))); // the mean distance, S sqrt(D)
  const taus = multiply(tensor(temperatures, [T, 1, 1]), scale);
  const logits = subtract(subtract(isOther, divide(distance, taus)), multiply(isSelf, 1e4));
  const own = slice(logits, 3, 0, P), rest = slice(logits, 3, P, M - P);
  // Real images count in the sums of other classes alone, P of them as much as n generated ones.
  const isNear = filled([1, M - P], (i) => i < R - P ? Math.log(others * n / P) : -1e4);
  const real = subtract(isNear, divide(distances(part(0, P), part(P, M - P)), taus));
  const toward = shares(own, own, 3 / 4), pushes = shares(rest, concat([rest, real], 2), 1 / 2);
  const isForeign = filled([1, M - P], (i) => i < R - P ? 1 : 0);
  const away = subtract(pushes, multiply(mean(pushes, [2], true), isForeign));
  const weights = add(concat([toward, multiply(away, -1 - push)], 3), multiply(isSelf, push)); // x is one of all
  const forces = reshape(matmul(reshape(weights, [G, T * n, M]), all), [G, T, n, D]);
  const sizes = sqrt(maximum(multiply(sum(square(forces), [0, 2, 3], true), 1 / (G * n * D)), 1e-12));
  const V = sum(divide(forces, sizes), [1]);
  const S = multiply(scale, 1 / Math.sqrt(D));
  return divide(meanSquaredError(phi, detached(add(x, multiply(V, S)))), square(S));
}

/** Distances f32[G, 1, A, B] of rows a[G, A, D] to rows b[G, B, D], each given with the squares of their lengths. */
function distances([a, aa]: Features, [b, bb]: Features): Tensor {
  const [G, A] = a.shape, [, B] = b.shape;
  const squares = subtract(add(aa, reshape(bb, [G, 1, B])), multiply(matmulTransposedB(a, b), 2));
  return reshape(sqrt(maximum(squares, 1e-12)), [G, 1, A, B]);
}

/** Weights of columns for each row, with sum 1: exp(logits), each column divided by a power of its sum over `rows`. */
function shares(logits: Tensor, rows: Tensor, power: number): Tensor {
  const highest = max(rows, [2], true);
  const columns = add(log(sum(exp(subtract(rows, highest)), [2], true)), highest);
  return softmax(subtract(logits, multiply(columns, power)));
}
