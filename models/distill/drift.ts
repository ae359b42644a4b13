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
import { edgeStrengths } from "./edges.ts";

/** Temperatures of the attraction, from the nearest images only to all of them. */
const temperatures = [0.02, 0.05, 0.2];
/** Real images of its class that a group of samples is drawn to in a step. */
const positives = 128;
/** Most bytes of the features of real images. */
const maxBytes = 2 ** 31;
/** Images of the data that are encoded at once. */
const encodedAtOnce = 128;

/** Weight of each space of edges; pixels and each space of `encode` have 1. */
const edgeWeight = 2;

/** Options of a drift stage. */
export interface DriftOptions {
  /** Spaces besides pixels and edges in which images at time r of the flow are compared: f32[N, C, H, W] to f32[N, ...]. */
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

/**
 * Images in one feature space.
 *
 * @internal
 */
export interface Features {
  /** f32[M, D], or f32[G, M, D] in groups */
  readonly rows: Tensor;
  /** Squared length of each row, f32[M, 1] or f32[G, M, 1]. */
  readonly lengths: Tensor;
}

/**
 * Rows of the real images for samples of one class.
 *
 * @internal
 */
export interface ClassRows {
  /** Images of the class. */
  readonly own: Uint32Array;
  /** Images of the other classes. */
  readonly rest: Uint32Array;
}

/** A drift stage: a loss for each grid of times from 0, whose last evaluation learns. All share their real images. */
export class DriftStage {
  /** In the order of the grids. */
  readonly losses: readonly StepLoss[];
  /** The real images in each space. */
  readonly features: readonly Features[];
  /** Their rows by class, of those that have any. */
  readonly byClass: ReadonlyMap<number, ClassRows>;

  /** Reserves the memory of the features; {@linkcode encode} computes them. */
  constructor(
    readonly distillation: Distillation,
    readonly options: DriftOptions,
    grids: readonly (readonly number[])[],
  ) {
    const widths: number[] = [];
    scope(() => widths.push(...this.#encoded(0, 1).map(({ size }) => size)));
    const all = widths.reduce((sum, width) => sum + width);
    const most = Math.min(currentDevice().maxRangeBytes / Math.max(...widths), maxBytes / all) / 4;
    const references = options.references.slice(0, Math.floor(most));
    const M = references.length;
    this.features = widths.map((D) => ({ rows: zeros([M, D]), lengths: zeros([M, 1]) }));
    this.byClass = placesByClass(references, options.classes, distillation.source.host?.labels?.(references));
    this.losses = grids.map((times) => new DriftLoss(this, times));
  }

  /**
   * Encodes the real images, which must happen before the first step.
   *
   * @param onImages called with the number of images encoded so far, and of all; throw to stop
   */
  async encode(onImages: (done: number, all: number) => void | Promise<void> = () => {}): Promise<void> {
    const [count] = this.features[0].rows.shape;
    for (let from = 0; from < count; from += encodedAtOnce) {
      const n = Math.min(encodedAtOnce, count - from);
      // A scope drops the activations.
      scope(() =>
        this.#encoded(from, from + n).forEach((space, s) => {
          const { rows, lengths } = featuresOf(space, n);
          assignRows(this.features[s].rows, from, rows);
          assignRows(this.features[s].lengths, from, lengths);
        })
      );
      await currentDevice().finished();
      await onImages(from + n, count);
    }
  }

  #encoded(from: number, to: number): readonly Tensor[] {
    const { x1 } = batchOf(this.distillation.source, this.options.references.slice(from, to));
    return this.spaces(x1, 1).map(({ values }) => values);
  }

  /** Images at time r in each space, first as pixels; edges only where there is no noise, which would drown them. */
  spaces(images: Tensor, r: number): { readonly values: Tensor; readonly weight: number }[] {
    const side = images.shape.length === 4 ? Math.min(...images.shape.slice(2)) : 0; // other data has no edges
    const sizes = r === 1 && side >= 4 ? new Set([4, Math.max(4, Math.round(side / 4))]) : [];
    const edges = Array.from(sizes, (size) => edgeStrengths(images, size));
    return [
      { values: images, weight: 1 },
      ...edges.map((values) => ({ values, weight: edgeWeight })),
      ...this.options.encode(images, r).map((values) => ({ values, weight: 1 })),
    ];
  }
}

/**
 * Drift: moves what the map makes of noise up to time r towards real images of its class with noise, r x + (1 - r) z, and
 * away from each other, in several feature spaces, until both forces balance: then the distributions at r are equal. The
 * last of the evaluations up to r learns; the earlier ones have no gradient. No judge takes part.
 *
 * {@linkcode Drift} is the loss in one space; the loss is their weighted mean.
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
    const drawn = drawGroups(byClass, this.#groups, this.#others(batchSize), seed, step);
    const classes = drawn.map(({ label }) => label);
    this.#rows.write(Uint32Array.from(drawn.flatMap(({ own, others }) => [...own, ...others])));
    const each = this.#each(batchSize);
    const length = this.#labels.size;
    this.#labels.write(Uint32Array.from({ length }, (_, i) => classes[Math.floor(i / each)]));
    this.#noiseKey.write(Uint32Array.of(seed, streams.noise, step));
    this.#targetNoiseKey.write(Uint32Array.of(seed, streams.driftNoise, step));
  }

  /** The loss, f32[]. */
  loss(_averaged: NamedTensors, batchSize: number = this.stage.distillation.batchSize): Tensor {
    const { options } = this.stage;
    const G = this.#groups;
    const n = this.#each(batchSize);
    const real = positives + this.#others(batchSize);
    const r = this.times[this.times.length - 1];
    const generated = this.#generated(G * n);
    const spaces = this.stage.spaces(generated, r);
    const targets = this.#targets(orZeros(this.#rows, G * real), r);
    const isWhole = this.times.length === 2 && r === 1;
    const others = options.others * (isWhole ? 1 : 1 / 2);
    const losses = spaces.map(({ values, weight }, s) => {
      const phi = reshape(values, [G, n, values.size / (G * n)]);
      return multiply(new Drift(phi, targets[s], others, options.push).loss(), weight);
    });
    const weights = spaces.reduce((sum, { weight }) => sum + weight, 0);
    return multiply(losses.reduce((a, b) => add(a, b)), 1 / weights);
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
    const { features, distillation: { source: { shape } } } = this.stage;
    const pick = (all: Tensor) => gatherRows(all, places);
    if (r === 1) return features.map(({ rows, lengths }) => ({ rows: pick(rows), lengths: pick(lengths) }));
    const images = reshape(pick(features[0].rows), [places.size, ...shape]);
    const noisy = add(multiply(images, r), multiply(randomNormal(this.#targetNoiseKey, images.shape), 1 - r));
    return this.stage.spaces(noisy, r).map(({ values }) => featuresOf(values, places.size));
  }
}

/** The class of a group in a step, and the rows of its real images and of those of other classes. */
interface Group {
  readonly label: number;
  readonly own: readonly number[];
  readonly others: readonly number[];
}

/**
 * Draws different classes for the groups of a step, and real images for each. Every draw has a counter of its own.
 *
 * @param others images of other classes in a group
 * @internal
 */
export function drawGroups(
  byClass: DriftStage["byClass"],
  groups: number,
  others: number,
  seed: number,
  step: number,
): readonly Group[] {
  const counter = (purpose: number) => 8 * step + purpose;
  const all = [...byClass.keys()];
  const classes = permutation(seed, streams.references, counter(0), all.length).slice(0, groups);
  return Array.from(classes, (place, group) => {
    const label = all[place];
    const { own, rest } = byClass.get(label)!;
    const order = permutation(seed, streams.references, counter(1 + group), own.length);
    const picks = uniforms(seed, streams.references, counter(3 + group), others);
    return {
      label,
      own: Array.from({ length: positives }, (_, i) => own[order[i % own.length]]),
      others: Array.from(picks, (u) => rest[Math.floor(u * rest.length)]),
    };
  });
}

function featuresOf(space: Tensor, N: number): Features {
  const rows = reshape(space, [N, space.size / N]);
  return { rows, lengths: sum(square(rows), [1], true) };
}

/** Sets rows of a matrix, the first at row `from`. */
function assignRows(matrix: Tensor, from: number, rows: Tensor): void {
  const { storage, shape: [, D] } = matrix;
  assign(new Tensor(storage, rows.shape, "f32", from * D), rows);
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
  if (classes === 0 || !labels) return new Map([[0, { own: all, rest: new Uint32Array() }]]);
  const byClass = Array.from(
    { length: classes },
    (_, label) => all.filter((place) => labels[place] === label),
  );
  const restOf = (own: Uint32Array) =>
    Uint32Array.from(byClass.flatMap((places) => places === own ? [] : [...places]));
  return new Map(
    byClass.flatMap((own, label) => own.length > 0 ? [[label, { own, rest: restOf(own) }] as const] : []),
  );
}

/**
 * Drift in one space of D features, of G groups of n generated images and R real ones: attraction and repulsion give
 * each generated image a force, and the loss pulls its features along.
 *
 * Every generated image x has logits to all images y, at T temperatures:
 *
 *   l = -|x - y| / tau (+ log `others`, if y is a real image of another class)
 *
 * where tau is a temperature times the mean distance.
 */
class Drift {
  /** Generated images without a gradient. */
  readonly #x: Features;
  /** Of each group, `positives` = P real images of its class, R - P of other classes, then x: M = R + n. */
  readonly #all: Features;
  /** The mean distance of a generated image from the others. */
  readonly #meanDistance: Tensor;
  /** tau, f32[T, 1, 1]. */
  readonly #taus: Tensor;
  /** l, f32[G, T, n, M]. */
  readonly #logits: Tensor;
  /** 1 where y is x, f32[n, M]. */
  readonly #isSelf: Tensor;

  /**
   * @param phi generated features, f32[G, n, D]
   * @param real the real images of each group, first those of its class
   * @param others weight of images of other classes
   * @param push share by which repulsion outweighs attraction
   */
  constructor(readonly phi: Tensor, real: Features, readonly others: number, readonly push: number) {
    const [G, n, D] = phi.shape;
    const R = real.rows.shape[0] / G;
    const M = R + n;
    const x = detached(reshape(phi, [G, n, D]));
    const lengths = sum(square(x), [2], true);
    this.#x = { rows: x, lengths };
    this.#all = {
      rows: concat([reshape(real.rows, [G, R, D]), x], 1),
      lengths: concat([reshape(real.lengths, [G, R, 1]), lengths], 1),
    };
    this.#isSelf = filled([n, M], (i) => i % M === R + Math.floor(i / M) ? 1 : 0);
    const distance = distances(this.#x, this.#all);
    const apart = multiply(distance, subtract(1, this.#isSelf));
    this.#meanDistance = multiply(sum(apart), 1 / (G * n * (M - 1)));
    this.#taus = multiply(tensor(temperatures, [temperatures.length, 1, 1]), this.#meanDistance);
    const isOther = filled([1, M], (i) => i >= positives && i < R ? Math.log(others) : 0);
    const logits = subtract(isOther, divide(distance, this.#taus));
    this.#logits = subtract(logits, multiply(this.#isSelf, 1e4));
  }

  /** Mean of |phi - (x + S V)|^2 / S^2, where S sqrt(D) is the mean distance and V the forces. */
  loss(): Tensor {
    const D = this.phi.shape[2];
    const S = multiply(this.#meanDistance, 1 / Math.sqrt(D));
    const target = add(this.#x.rows, multiply(this.scaledForces(), S));
    return divide(meanSquaredError(this.phi, detached(target)), square(S));
  }

  /**
   * V, f32[G, n, D]: the sum over temperatures of F / RMS(F), where
   *
   *   F = sum of a y - x - (1 + push) (sum of b y - x)
   *
   * with the weights a of attraction and b of repulsion. x is one of all y: it has the weight `push`.
   */
  scaledForces(): Tensor {
    const [G, n, D] = this.phi.shape;
    const M = this.#all.rows.shape[1];
    const T = temperatures.length;
    const pulls = concat([this.attraction(), multiply(this.repulsion(), -1 - this.push)], 3);
    const weights = add(pulls, multiply(this.#isSelf, this.push));
    const forces = reshape(matmul(reshape(weights, [G, T * n, M]), this.#all.rows), [G, T, n, D]);
    const meanSquares = multiply(sum(square(forces), [0, 2, 3], true), 1 / (G * n * D));
    return sum(divide(forces, sqrt(maximum(meanSquares, 1e-12))), [1]);
  }

  /**
   * Weights of real images of the class, f32[G, T, n, P]:
   *
   *   a = e^l / C^(3/4), divided by their sum, where C is the sum of e^l over generated images
   *
   * So an image far from all generated ones still pulls the nearest, and no mode is lost.
   */
  attraction(): Tensor {
    const own = slice(this.#logits, 3, 0, positives);
    return shares(own, own, 3 / 4);
  }

  /**
   * Weights of real images of other classes and of generated ones, f32[G, T, n, M - P]:
   *
   *   b = e^l / C^(1/2), divided by their sum, less the mean over x for real images
   *
   * For real images of other classes C also counts those of the class, P of them as much as n generated ones, so they
   * push less where these are. Without their mean, they push samples from zero instead on average.
   */
  repulsion(): Tensor {
    const [, n] = this.phi.shape;
    const P = positives;
    const M = this.#all.rows.shape[1];
    const R = M - n;
    const rest = slice(this.#logits, 3, P, M - P);
    const near = distances(part(this.#all, 0, P), part(this.#all, P, M - P));
    const isNear = filled([1, M - P], (i) => i < R - P ? Math.log(this.others * n / P) : -1e4);
    const real = subtract(isNear, divide(near, this.#taus));
    const pushes = shares(rest, concat([rest, real], 2), 1 / 2);
    const isForeign = filled([1, M - P], (i) => i < R - P ? 1 : 0);
    return subtract(pushes, multiply(mean(pushes, [2], true), isForeign));
  }
}

/** A matrix by a function of the index. */
function filled([rows, columns]: readonly [number, number], at: (i: number) => number): Tensor {
  return tensor(Float32Array.from({ length: rows * columns }, (_, i) => at(i)), [rows, columns]);
}

/** Some images of each group. */
function part({ rows, lengths }: Features, start: number, size: number): Features {
  return { rows: slice(rows, 1, start, size), lengths: slice(lengths, 1, start, size) };
}

/** Distances f32[G, 1, A, B] of rows a[G, A, D] to rows b[G, B, D], each given with the squares of their lengths. */
function distances(a: Features, b: Features): Tensor {
  const [G, A] = a.rows.shape;
  const B = b.rows.shape[1];
  const sums = add(a.lengths, reshape(b.lengths, [G, 1, B]));
  const squares = subtract(sums, multiply(matmulTransposedB(a.rows, b.rows), 2));
  return reshape(sqrt(maximum(squares, 1e-12)), [G, 1, A, B]);
}

/** Weights of columns for each row, with sum 1: exp(logits), each column divided by a power of its sum over `rows`. */
function shares(logits: Tensor, rows: Tensor, power: number): Tensor {
  const highest = max(rows, [2], true);
  const columns = add(log(sum(exp(subtract(rows, highest)), [2], true)), highest);
  return softmax(subtract(logits, multiply(columns, power)));
}
