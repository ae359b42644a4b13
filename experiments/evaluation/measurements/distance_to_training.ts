import { pickPoints, type Points } from "../../../models/mod.ts";
import { type ImageView, prepareImage } from "../../data/prepare_image.ts";
import { frechetDistance } from "../../measures/feature_distances.ts";
import { hasFewTestImages, imagesAt } from "../image_sets.ts";
import type { Measurement, MeasurementInput } from "../measurement.ts";
import { byEachJudge } from "./judged.ts";

/** Most training images that samples are compared with. */
const mostReal = 10_000;
/** Longest side of the images whose pixels are compared. */
const coarse = 8;

/** Distance to the training images in the judges' features, where there are too few test images. */
export const shrunkLikeness: Measurement = byEachJudge(async ({ judge, samples, test, noise }, input) => {
  if (!hasFewTestImages(input.subject.data)) return {};
  const { features: train } = await judge.judge(trainingImages(input).values);
  const distance = ({ features }: typeof samples) => frechetDistance(train, features, { shrunk: true });
  return {
    frechet_shrunk: {
      ...distance(samples),
      ...test.features.rows > 1 && { real: distance(test).value },
      noise: distance(noise).value,
    },
  };
});

/** Distance to the training images in coarse pixels, without a judge. */
export const pixelDistance: Measurement = {
  judged: false,
  sampled: true,
  async measure(input) {
    const { sets: { samples, test, noise }, monitor } = input;
    const { shape } = input.subject.drawable;
    const train = coarsened(trainingImages(input), shape);
    const distance = (images: Points) => frechetDistance(train, coarsened(images, shape), { shrunk: true });
    const found = distance(samples);
    await monitor.advance(0);
    return {
      figures: {
        frechet_pixels: {
          ...found,
          ...test.rows > 1 && { real: distance(test).value },
          noise: distance(noise).value,
        },
      },
    };
  },
};

/** Images that the network learned from. */
function trainingImages({ subject: { data, trained } }: MeasurementInput): Points {
  return imagesAt(data.train, trained.subarray(0, mostReal));
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
