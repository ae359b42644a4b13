import type { Model, Normalization, Tensor, UNetModelOptions, VelocityField } from "../web/mod.ts";
import { digitPixels, type DigitsParts, type LabelledDigits } from "./digits_parts.ts";
import { type Library, PageTraining, rateAt } from "./plane_training.ts";
import { PlaygroundError, type PlaygroundSettings } from "./settings.ts";

/** Number of classes; one sample is drawn of each. As a label, it means no class. */
export const classCount = 10;
/** Images per training step. */
const batch = 32;
/** Solver steps and guidance scale of the samples. */
export const [drawSteps, guidance] = [10, 1.4];
/** Number of images whose bits per dimension are averaged. */
const bitsImages = 32;
/** Decay of the averaged weights per step. */
const averageDecay = 0.99;

/** The side of the images that a start trains on, in pixels. */
export function sideOf(start: PlaygroundSettings["start"]): number {
  return start === "blank14" ? 14 : 28;
}

/** Samples, one of each class, drawn in different ways from the same noise. Pixels range from 0 (black) to 1 (white). */
export interface DrawnDigits {
  /** Side of an image. */
  readonly side: number;
  /** f32[K]. */
  readonly times: Float32Array<ArrayBuffer>;
  /** Ten steps: the samples at each time, f32[K, 10, side, side]. */
  readonly many: Float32Array<ArrayBuffer>;
  /** One step, f32[10, side, side]. */
  readonly one: Float32Array<ArrayBuffer>;
  /** One step of the network that learned whole steps; there is none for 14 x 14. */
  readonly whole?: Float32Array<ArrayBuffer>;
  /** The nearest training image of each sample, f32[10, side, side]. */
  readonly nearest: Float32Array<ArrayBuffer>;
  /** The judge's label for each sample, and its probability. */
  readonly seen: readonly (readonly [label: number, share: number])[];
}

type Draw = (pause: () => Promise<void>) => Promise<Omit<DrawnDigits, "nearest" | "seen">>;

/** Trains a network on images, from the checkpoint or from scratch. */
export class DigitsTraining extends PageTraining {
  readonly side: number;
  /** The network with averaged weights, which draws the samples. */
  readonly shown: Model;
  /** How pixels relate to values of the network. */
  readonly normalization: Normalization;
  protected readonly trainer: InstanceType<Library["Trainer"]>;
  readonly #order: InstanceType<Library["BatchOrder"]>;
  /** The loss of the averaged weights on held-out images. */
  readonly heldOut: () => Promise<number>;
  readonly #judge: ReturnType<Library["loadJudge"]>;
  readonly #images: Float32Array<ArrayBuffer>;
  readonly #rate: number;
  readonly #draw: Draw;
  /** The class of the painted image. */
  readonly #painted: Tensor;
  readonly #painter: InstanceType<Library["Sampler"]>;

  /** Creates the network on the current device. */
  constructor(
    library: Library,
    private readonly data: DigitsParts,
    { start, seed, digit_steps: steps }: Pick<PlaygroundSettings, "start" | "seed" | "digit_steps">,
  ) {
    super(library, steps);
    const { blankInitialiser, createModel, loadCheckpoint, namedParameters, shareParameters, Trainer } =
      library;
    this.side = sideOf(start);
    const { model, info } = loadCheckpoint(data.flow, "the flow of the page");
    const ofPage = info.config as UNetModelOptions; // the page embeds no other kind
    const config = start === "checkpoint" ? ofPage : { ...ofPage, filters: [8, 16, 32], tEmb: 32 };
    const trained = start === "checkpoint" ? model : createModel(config, seed);
    this.normalization = info.normalization;
    this.#rate = start === "checkpoint" ? 1e-4 : 2e-3;
    this.#judge = library.loadJudge(data.judge, "the judge of the page");
    this.#images = pixelsOf(data.train, this.side);
    const { source, size } = this.#sourceOf(this.#images, data.train.labels);
    this.trainer = new Trainer(trained, source, {
      batchSize: batch,
      seed,
      learningRate: this.#rate,
      ema: averageDecay,
      labelDropout: 0.1,
    });
    this.#order = new library.BatchOrder(Uint32Array.from({ length: size }, (_, i) => i), batch, seed);
    this.shown = createModel(config, blankInitialiser);
    shareParameters(namedParameters(this.shown), this.trainer.averaged);
    this.heldOut = this.#measurer();
    this.#draw = this.#drawer(seed);
    this.#painted = library.tensor(new Uint32Array(1));
    const how = { solver: "euler", steps: drawSteps, condition: this.#painted } as const;
    this.#painter = new library.Sampler(this.#guided(), [1, 1, this.side, this.side], how);
  }

  /** Takes a step. @returns its loss, as a list @throws {PlaygroundError} if it is not a number */
  async train(): Promise<readonly number[]> {
    this.trainer.queueStep(this.#order.batch(this.step), rateAt(this.#rate, this.step));
    const losses = await this.trainer.losses();
    if (losses.every(Number.isFinite)) return losses;
    throw new PlaygroundError(`The loss of step ${this.step} is not a number`);
  }

  /**
   * The mean bits per dimension of held-out images under the averaged weights, and its standard error. Raw bytes take 8.
   *
   * @param pause called between parts of the work
   */
  async bits(pause: () => Promise<void>): Promise<readonly [mean: number, error: number]> {
    const { bitsPerDimension, fromPixels, tensor } = this.library;
    const labels = this.data.heldOut.labels.slice(0, bitsImages);
    const images = this.data.heldOut.images.subarray(0, labels.length * digitPixels);
    const { side } = this;
    const x1 = fromPixels(pixelsOf({ images, labels }, side), this.normalization);
    const { mean, standardError } = await bitsPerDimension(
      this.shown,
      tensor(x1, [labels.length, 1, side, side]),
      {
        normalization: this.normalization,
        condition: tensor(Uint32Array.from(labels)),
        rtol: 1e-2, // within 0.01 of rtol 1e-3
        batch: 8,
        onProgress: pause,
      },
    );
    return [mean, standardError];
  }

  /** Draws a sample of each class. @param pause called between steps */
  async draw(pause: () => Promise<void>): Promise<DrawnDigits> {
    const drawn = await this.#draw(pause);
    await pause();
    const last = drawn.many.subarray(-classCount * this.side ** 2);
    const nearest = nearestImages(this.#images, last, this.side ** 2);
    await pause();
    const { probabilities } = await this.#judge.judge(enlarged(last, this.side));
    const seen = Array.from({ length: classCount }, (_, n): [number, number] => {
      const shares = probabilities.subarray(n * classCount, (n + 1) * classCount);
      const share = Math.max(...shares);
      return [shares.indexOf(share), share];
    });
    return { ...drawn, nearest, seen };
  }

  /** Follows the flow from an image at time t, [side, side], to t = 1, conditioned on a class. */
  async lead(pixels: Float32Array, t: number, label: number): Promise<Float32Array<ArrayBuffer>> {
    const { fromPixels, tensor } = this.library;
    const { side } = this;
    this.#painted.write(Uint32Array.of(label));
    const x = tensor(fromPixels(pixels, this.normalization), [1, 1, side, side]);
    return this.#toPixels(await this.#painter.run(x, { from: t }).read());
  }

  /** The averaged network, with guidance. */
  #guided(): VelocityField {
    return this.library.guided(this.shown, { scale: guidance, none: classCount });
  }

  #sourceOf(pixels: Float32Array, labels: Uint8Array) {
    const { batchSource, fromPixels, tensor } = this.library;
    const size = labels.length;
    const x1 = tensor(fromPixels(pixels, this.normalization), [size, 1, this.side, this.side]);
    return { size, source: batchSource({ x1, condition: tensor(Uint32Array.from(labels)) }) };
  }

  #measurer(): () => Promise<number> {
    const { HeldOutLoss, meanLoss } = this.library;
    const { images, labels } = this.data.heldOut;
    const { source, size } = this.#sourceOf(pixelsOf({ images, labels }, this.side), labels);
    const held = new HeldOutLoss(this.shown, source, { batchSize: batch, seed: 0 });
    const all = Uint32Array.from({ length: size }, (_, i) => i);
    return async () => meanLoss(await held.losses(all));
  }

  #drawer(seed: number): Draw {
    const { loadCheckpoint, noise, Sampler, tensor } = this.library;
    const { side } = this;
    const shape = [classCount, 1, side, side];
    const condition = tensor(Uint32Array.from({ length: classCount }, (_, n) => n));
    const sampler = (field: VelocityField, solver: "euler" | "map", steps: number) =>
      new Sampler(field, shape, { solver, steps, condition });
    const [many, one] = [drawSteps, 1].map((steps) => sampler(this.#guided(), "euler", steps));
    const oneStep = () => loadCheckpoint(this.data.oneStep, "the one-step network of the page").model;
    const whole = side === 28 ? sampler(oneStep(), "map", 1) : undefined;
    return async (pause) => {
      const x0 = noise(seed, shape);
      const [times, images]: [number[], Float32Array[]] = [[], []];
      for await (const { t, image } of many.trajectory(x0, { ahead: 1 })) {
        times.push(t);
        images.push(this.#toPixels(image));
        await pause();
      }
      const all = new Float32Array(images.length * images[0].length);
      images.forEach((image, k) => all.set(image, k * image.length));
      const last = async (sampler: typeof one) => this.#toPixels(await sampler.run(x0).read());
      return {
        side,
        times: Float32Array.from(times),
        many: all,
        one: await last(one),
        ...whole && { whole: await last(whole) },
      };
    };
  }

  #toPixels(values: Float32Array): Float32Array<ArrayBuffer> {
    return Float32Array.from(this.library.toPixels(values, this.normalization));
  }
}

/** Converts images to pixels from 0 to 1, f32[N, side, side]; at half the size, each is the rounded mean of four. */
function pixelsOf({ images }: LabelledDigits, side: number): Float32Array<ArrayBuffer> {
  if (side === 28) return Float32Array.from(images, (byte) => byte / 255);
  return Float32Array.from({ length: images.length / 4 }, (_, i) => {
    const [n, y, x] = [Math.floor(i / 196), Math.floor(i / 14) % 14, i % 14];
    const at = n * digitPixels + 56 * y + 2 * x;
    return Math.round((images[at] + images[at + 1] + images[at + 28] + images[at + 29]) / 4) / 255;
  });
}

/** Enlarges images f32[N, side, side] to [N, 28, 28], clipped to [0, 1]. */
export function enlarged(pixels: Float32Array, side: number): Float32Array<ArrayBuffer> {
  const by = 28 / side;
  return Float32Array.from({ length: pixels.length * by * by }, (_, i) => {
    const [n, y, x] = [Math.floor(i / digitPixels), Math.floor(i / 28) % 28, i % 28];
    return Math.max(0, Math.min(1, pixels[n * side * side + Math.floor(y / by) * side + Math.floor(x / by)]));
  });
}

/** The nearest image to each sample, by the sum of squared differences. */
export function nearestImages(
  images: Float32Array,
  samples: Float32Array,
  size: number,
): Float32Array<ArrayBuffer> {
  const result = new Float32Array(samples.length);
  for (let n = 0; n < samples.length / size; n++) {
    let [best, nearest] = [Infinity, 0];
    for (let m = 0; m < images.length / size; m++) {
      let sum = 0;
      for (let i = 0; i < size && sum < best; i++) {
        const difference = images[m * size + i] - samples[n * size + i];
        sum += difference * difference;
      }
      if (sum < best) [best, nearest] = [sum, m];
    }
    result.set(images.subarray(nearest * size, (nearest + 1) * size), n * size);
  }
  return result;
}
