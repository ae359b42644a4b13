import { type Estimate, pickPoints, type Points } from "../../models/mod.ts";
import { type ImageView, prepareImage } from "../data/images.ts";
import { frechetDistance } from "./feature_distances.ts";
import { hasFewTestImages } from "./evaluated_network.ts";
import { imagesAt } from "./image_sets.ts";
import type { Measurement, MeasurementInput } from "./measurement.ts";
import { byEachJudge } from "./judged.ts";

/** Maximum number of training images that samples are compared with. */
const maxReal = 10_000;
/** Longest side of the images whose pixels are compared. */
const coarse = 8;

/** Distance to the training images in the judges' features, where there are too few test images. */
export const shrunkLikeness: Measurement = byEachJudge(async ({ judge, samples, test, noise }, input) => {
  if (!hasFewTestImages(input.subject.data)) return {};
  const { features: train } = await judge.judge(trainingImages(input).values);
  return { frechet_shrunk: comparedInGroups(train, samples.features, test.features, noise.features) };
});

/** Distance to the training images in coarse pixels, without a judge. */
export const pixelDistance: Measurement = {
  judged: false,
  sampled: true,
  async measure(input) {
    const { sets: { samples, test, noise }, monitor } = input;
    const { shape } = input.subject.drawable;
    const [train, ...sets] = [trainingImages(input), samples, test, noise].map((images) => {
      return coarsened(images, shape);
    });
    await monitor.advance(0);
    const [drawn, real, none] = sets;
    return { figures: { frechet_pixels: comparedInGroups(train, drawn, real, none) } };
  },
};

/**
 * Distances to training images of samples, test images and noise. A distance grows as images get fewer, so each is the
 * mean over groups of as many images as there are test images.
 */
function comparedInGroups(train: Points, samples: Points, test: Points, noise: Points) {
  const hasReal = test.rows > 1;
  const size = hasReal ? Math.min(samples.rows, test.rows) : samples.rows;
  const distance = (images: Points) => meanOfGroups(train, images, size);
  return {
    ...distance(samples),
    count: size,
    ...hasReal && { real: distance(test).value, realCount: size },
    noise: distance(noise).value,
  };
}

/** The mean distance of groups of images, with its interval; the groups are independent. */
function meanOfGroups(train: Points, images: Points, size: number): Estimate {
  const groups = Array.from({ length: Math.floor(images.rows / size) }, (_, group) => {
    const rows = Array.from({ length: size }, (_, n) => group * size + n);
    return frechetDistance(train, pickPoints(images, rows), { shrunk: true });
  });
  const mean = (of: (group: Estimate) => number) =>
    groups.reduce((sum, group) => sum + of(group), 0) / groups.length;
  const [value, narrower] = [mean(({ value }) => value), Math.sqrt(groups.length)];
  return {
    value,
    low: value - mean(({ value, low }) => value - low) / narrower,
    high: value + mean(({ value, high }) => high - value) / narrower,
  };
}

/** Images that the network learned from. */
function trainingImages({ subject: { data, trained } }: MeasurementInput): Points {
  return imagesAt(data.train, trained.subarray(0, maxReal));
}

/** Images as pixels of at most 8 x 8, f32[N, C * h * w]. */
function coarsened(images: Points, [channels, height, width]: readonly number[]): Points {
  const resize = [Math.min(height, coarse), Math.min(width, coarse)] as const;
  const size = channels * resize[0] * resize[1];
  const values = new Float32Array(images.rows * size);
  for (let n = 0; n < images.rows; n++) {
    const bytes = Uint8Array.from(pickPoints(images, [n]).values, (value) => Math.round(255 * value));
    const view = { channels, height, width, bytes, planeStep: height * width, pixelStep: 1 } as ImageView;
    values.set(prepareImage(view, { resize }).planes, n * size);
  }
  return { values: values.map((byte) => byte / 255), rows: images.rows, width: size };
}
