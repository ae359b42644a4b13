import { concat, record, scope, slice, softmax, type Tensor, tensor, withDevice } from "../../kernels/mod.ts";
import { fromPixels } from "../normalization.ts";
import { type Classifier, featureCount } from "./classifier.ts";
import { JudgeError } from "./judge_error.ts";
import type { JudgeInfo } from "./judge_info.ts";

/** What a judge says of images, in host memory. */
export interface Judgement {
  /** Of each class, f32[N, classes]; each row sums to 1. */
  readonly probabilities: Float32Array;
  /** The late layer of the classifier, by which sets of images are compared. */
  readonly features: {
    /** f32[rows, width], not negative. */
    readonly values: Float32Array;
    /** N. */
    readonly rows: number;
    /** 84. */
    readonly width: number;
  };
}

/** Most images in work at once. */
const largestBatch = 250;

/** A classifier of images. It is trained separately from the networks whose images it judges. */
export class Judge {
  readonly #classifier: Classifier;

  /** A judge with a trained classifier, on the device of its weights. */
  constructor(
    classifier: Classifier,
    /** Its sizes and where it comes from. */
    readonly info: JudgeInfo,
  ) {
    this.#classifier = classifier;
  }

  /**
   * Judges images. All memory that this takes on the device is freed, but for the results until they are collected.
   *
   * @param pixels f32[N, C, H, W] with 0 black and 1 white, N at least 1; values beyond are kept
   * @throws {JudgeError} if there are no images, they have another size, or a pixel is not finite
   */
  async judge(pixels: Float32Array): Promise<Judgement> {
    const rows = this.#countImages(pixels);
    const { probabilities, features } = withDevice(
      this.#classifier.last.bias.device,
      () => scope(() => this.#run(pixels, rows)),
    );
    const [shares, values] = await Promise.all([probabilities.read(), features.read()]);
    return { probabilities: shares, features: { values, rows, width: featureCount } };
  }

  /** Runs one recorded step on each batch; the last one is filled up with black images, whose results are dropped. */
  #run(pixels: Float32Array, rows: number): Record<"probabilities" | "features", Tensor> {
    const { channels, height, width, normalization } = this.info;
    const P = channels * height * width;
    const N = Math.ceil(rows / Math.ceil(rows / largestBatch));
    const x = tensor(new Float32Array(N * P), [N, channels, height, width]);
    const step = record(() => {
      const { logits, features } = this.#classifier.forward(x);
      return { probabilities: softmax(logits), features };
    });
    const parts = Array.from({ length: Math.ceil(rows / N) }, (_, batch) => {
      const images = pixels.subarray(batch * N * P, (batch + 1) * N * P);
      const filled = new Float32Array(N * P);
      filled.set(images);
      x.write(fromPixels(filled, normalization));
      step.run();
      const copy = (values: Tensor) => slice(values, 0, 0, images.length / P);
      return { probabilities: copy(step.result.probabilities), features: copy(step.result.features) };
    });
    return {
      probabilities: concat(parts.map(({ probabilities }) => probabilities), 0),
      features: concat(parts.map(({ features }) => features), 0),
    };
  }

  #countImages(pixels: Float32Array): number {
    const { channels: C, height: H, width: W } = this.info;
    const count = pixels.length / (C * H * W);
    if (count < 1 || !Number.isInteger(count)) {
      throw new JudgeError(
        `Cannot judge ${pixels.length} pixels (expected images of [${C}, ${H}, ${W}], at least one)`,
      );
    }
    const at = pixels.findIndex((pixel) => !Number.isFinite(pixel));
    if (at < 0) return count;
    throw new JudgeError(
      `Cannot judge image ${Math.floor(at / (C * H * W))}: a pixel is ${
        pixels[at]
      } (expected finite numbers); ` +
        "leave it out, or draw with other weights",
    );
  }
}
