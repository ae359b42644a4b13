import type { Model, Normalization, Points, Tensor, UNetModelOptions, VelocityField } from "../web/mod.ts";
import { digitPixels, type DigitsParts, type LabelledDigits } from "./digits_parts.ts";
import { type Library, PageTraining } from "./plane_training.ts";
import type { PlaygroundSettings } from "./settings.ts";

/** Number of classes; one sample is drawn of each. As a label, it means no class. */
export const classCount = 10;
/** Images per training step. */
const batch = 32;
/** Solver steps of the samples. */
export const drawSteps = 10;
/** Guidance scale of the samples. */
export const guidance = 1.4;
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

type Sampler = InstanceType<Library["Sampler"]>;

/** Trains a network on images, from the checkpoint or from scratch. */
export class DigitsTraining extends PageTraining {
  readonly side: number;
  /** The network with averaged weights, which draws the samples. */
  readonly shown: Model;
  /** How pixels relate to values of the network. */
  readonly normalization: Normalization;
  protected readonly trainer: InstanceType<Library["Trainer"]>;
  protected readonly order: InstanceType<Library["BatchOrder"]>;
  protected readonly rate: number;
  readonly #seed: number;
  readonly #measured: InstanceType<Library["HeldOutLoss"]>;
  readonly #judge: ReturnType<Library["loadJudge"]>;
  /** The training images, [N, side side]. */
  readonly #images: Points;
  readonly #samplers: {
    readonly many: Sampler;
    readonly one: Sampler;
    readonly whole?: Sampler;
    readonly painter: Sampler;
  };
  /** The class of the painted image. */
  readonly #painted: Tensor;

  /** Creates the network on the current device. */
  constructor(
    library: Library,
    private readonly data: DigitsParts,
    { start, seed, digit_steps: steps }: Pick<PlaygroundSettings, "start" | "seed" | "digit_steps">,
  ) {
    super(library, steps);
    const { batchSource, blankInitialiser, createModel, loadCheckpoint, namedParameters, tensor } = library;
    const side = sideOf(start);
    this.side = side;
    const { model, info } = loadCheckpoint(data.flow, "the flow of the page");
    const ofPage = info.config as UNetModelOptions; // the page embeds no other kind
    const config = start === "checkpoint" ? ofPage : { ...ofPage, filters: [8, 16, 32], tEmb: 32 };
    const trained = start === "checkpoint" ? model : createModel(config, seed);
    this.#seed = seed;
    this.normalization = info.normalization;
    this.rate = start === "checkpoint" ? 1e-4 : 2e-3;
    this.#judge = library.loadJudge(data.judge, "the judge of the page");
    const { pixels, ...examples } = this.#examples(data.train);
    const rows = data.train.labels.length;
    this.#images = { values: pixels, rows, width: side ** 2 };
    this.trainer = new library.Trainer(trained, batchSource(examples), {
      batchSize: batch,
      seed,
      learningRate: this.rate,
      ema: averageDecay,
      labelDropout: 0.1,
    });
    this.order = new library.BatchOrder(Uint32Array.from({ length: rows }, (_, i) => i), batch, seed);
    this.shown = createModel(config, blankInitialiser);
    library.shareParameters(namedParameters(this.shown), this.trainer.averaged);
    const { pixels: _, ...heldOut } = this.#examples(data.heldOut);
    this.#measured = new library.HeldOutLoss(this.shown, batchSource(heldOut), { batchSize: batch, seed: 0 });
    this.#painted = tensor(new Uint32Array(1));
    const classes = tensor(Uint32Array.from({ length: classCount }, (_, n) => n));
    const sampler = (field: VelocityField, solver: "euler" | "map", steps: number, condition = classes) =>
      new library.Sampler(field, [condition.size, 1, side, side], { solver, steps, condition });
    const field = library.guided(this.shown, { scale: guidance, none: classCount });
    const oneStep = () => loadCheckpoint(data.oneStep, "the one-step network of the page").model;
    this.#samplers = {
      many: sampler(field, "euler", drawSteps),
      one: sampler(field, "euler", 1),
      whole: side === 28 ? sampler(oneStep(), "map", 1) : undefined,
      painter: sampler(field, "euler", drawSteps, this.#painted),
    };
  }

  /** The loss of the averaged weights on held-out images. */
  async heldOut(): Promise<number> {
    const all = Uint32Array.from(this.data.heldOut.labels, (_, i) => i);
    return this.library.meanLoss(await this.#measured.losses(all));
  }

  /**
   * The mean bits per dimension of held-out images under the averaged weights, and its standard error. Raw bytes take 8.
   *
   * @param pause called between parts of the work
   */
  async bits(pause: () => Promise<void>): Promise<readonly [mean: number, error: number]> {
    const { x1, condition } = this.#examples(this.data.heldOut, bitsImages);
    const { mean, standardError } = await this.library.bitsPerDimension(this.shown, x1, {
      normalization: this.normalization,
      condition,
      rtol: 1e-2, // within 0.01 of rtol 1e-3
      batch: 8,
      onProgress: pause,
    });
    return [mean, standardError];
  }

  /** Draws a sample of each class. @param pause called between steps */
  async draw(pause: () => Promise<void>): Promise<DrawnDigits> {
    const { library: { nearestNeighbours, noise, pickPoints }, side } = this;
    const { many, one, whole } = this.#samplers;
    const x0 = noise(this.#seed, [classCount, 1, side, side]);
    const times: number[] = [];
    const images: Float32Array[] = [];
    for await (const { t, image } of many.trajectory(x0, { ahead: 1 })) {
      times.push(t);
      images.push(this.#toPixels(image));
      await pause();
    }
    const last = images[images.length - 1];
    const all = new Float32Array(images.length * last.length);
    images.forEach((image, k) => all.set(image, k * image.length));
    const jump = async (sampler: Sampler) => this.#toPixels(await sampler.run(x0).read());
    const drawn = { one: await jump(one), whole: whole && await jump(whole) };
    await pause();
    const samples = { values: last, rows: classCount, width: side ** 2 };
    const { indices } = await nearestNeighbours(samples, this.#images, 1);
    await pause();
    const { probabilities } = await this.#judge.judge(enlarged(last, side));
    const seen = Array.from({ length: classCount }, (_, n): [number, number] => {
      const shares = probabilities.subarray(n * classCount, (n + 1) * classCount);
      const share = Math.max(...shares);
      return [shares.indexOf(share), share];
    });
    const nearest = Float32Array.from(pickPoints(this.#images, indices).values);
    return { ...drawn, side, times: Float32Array.from(times), many: all, nearest, seen };
  }

  /** Follows the flow from an image at time t, [side, side], to t = 1, conditioned on a class. */
  async lead(pixels: Float32Array, t: number, label: number): Promise<Float32Array<ArrayBuffer>> {
    const { library: { fromPixels, tensor }, side } = this;
    this.#painted.write(Uint32Array.of(label));
    const x = tensor(fromPixels(pixels, this.normalization), [1, 1, side, side]);
    return this.#toPixels(await this.#samplers.painter.run(x, { from: t }).read());
  }

  /** The first images of a part, at most `most`, with their labels. */
  #examples({ images, labels }: LabelledDigits, most = Infinity) {
    const { library: { fromPixels, tensor }, side } = this;
    const count = Math.min(most, labels.length);
    const pixels = pixelsOf(images.subarray(0, count * digitPixels), side);
    const x1 = tensor(fromPixels(pixels, this.normalization), [count, 1, side, side]);
    return { pixels, x1, condition: tensor(Uint32Array.from(labels.subarray(0, count))) };
  }

  #toPixels(values: Float32Array): Float32Array<ArrayBuffer> {
    return Float32Array.from(this.library.toPixels(values, this.normalization));
  }
}

/** Converts images to pixels from 0 to 1, f32[N, side, side]; at half the size, each is the rounded mean of four. */
function pixelsOf(images: Uint8Array, side: number): Float32Array<ArrayBuffer> {
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
