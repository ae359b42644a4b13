import { squaredDistance } from "../../models/measures/points.ts";
import { firstIndices } from "../data/dataset.ts";
import { type Estimate, meanEstimate, type Neighbours, pickPoints, type Points } from "../../models/mod.ts";
import type { JudgedSamples } from "../../viz/report/mod.ts";
import { type Verdicts, verdicts } from "./train_judge.ts";
import { maxPairs, memorisation } from "./memorisation.ts";
import { imagesAt } from "./image_sets.ts";
import type { Measurement, MeasurementInput } from "./measurement.ts";

/** Maximum number of values in the training images that samples are compared with, 4 GiB. */
const maxValues = 2 ** 30;
/** Number of training images shown beside a sample. */
const neighbours = 3;
/** Numbers of samples shown: the least certain ones, and a selection of the others. */
const shown = { least: 32, others: 16 } as const;

/** Whether samples repeat training images, by distances between pixels. */
export const copies: Measurement = {
  judged: false,
  sampled: true,
  async measure(input) {
    const { subject: { data, trained }, sets: { samples, test }, monitor } = input;
    const width = data.train.images.length / data.train.count;
    const train = imagesAt(data.train, trained.subarray(0, Math.floor(maxValues / width)));
    const { rows } = test;
    // For comparison, images that cannot be copies: further test images, if there are any.
    const rest = firstIndices(data.test.count).slice(rows, 2 * rows);
    const controls = rest.length > 0 ? imagesAt(data.test, rest) : undefined;
    const most = maxPairs(train, test, samples) +
      (controls ? maxPairs(train, test, controls) : 0);
    let done = 0;
    const onPairs = (more: number) => monitor.compared(done += more, most);
    const measured = await memorisation(train, test, samples, { k: neighbours, onPairs });
    const realCount = rest.length;
    const real = controls && await memorisation(train, test, controls, { onPairs });
    return {
      figures: {
        authentic: { ...measured.authentic, ...real && { real: real.authentic.value, realCount } },
        copying: { ...measured.copying, ...real && { real: real.copying.value, realCount } },
      },
      shown: judgedSamples(input, train, measured.nearest),
    };
  },
};

/** The samples shown in a report, least certain first; undefined without judges. */
function judgedSamples(
  { subject, sets: { samples }, judged, labels }: MeasurementInput,
  train: Points,
  nearest: Neighbours,
): JudgedSamples | undefined {
  const [first, second] = judged.map(({ judge, samples }) => verdicts(samples.probabilities, judge.classes));
  if (!first) return undefined;
  const least = first.confidence.map((p, n) => Math.min(p, second?.confidence[n] ?? p));
  const order = Array.from(least.keys()).sort((a, b) => least[a] - least[b]);
  const others = order.slice(shown.least);
  const chosen = [
    ...order.slice(0, shown.least),
    ...others.filter((_, i) => i % Math.ceil(others.length / shown.others) === 0),
  ];
  const of = ({ confidence, classes }: Verdicts) => ({
    confidence: Float32Array.from(chosen, (n) => confidence[n]),
    classes: Uint32Array.from(chosen, (n) => classes[n]),
  });
  const near = chosen.flatMap((n) => [...nearest.indices.subarray(n * neighbours, (n + 1) * neighbours)]);
  return {
    shape: [chosen.length, neighbours, ...subject.drawable.shape],
    image: pickPoints(samples, chosen).values,
    nearest: pickPoints(train, near).values,
    ...of(first),
    ...second && { second: of(second) },
    ...labels && { labels: Uint32Array.from(chosen, (n) => labels[n]) },
    rank: Float32Array.from(chosen, (n) => order.indexOf(n) / order.length),
  };
}

/** Images of a class that are compared with each other. */
const maxOfClass = 200;

/** How different the samples of a class are, next to real images and noise. */
export const spread: Measurement = {
  judged: false,
  sampled: true,
  measure({ sets: { samples, test, noise }, labels, subject: { data } }) {
    const ownSpread = labels && classSpread(samples, labels);
    if (!ownSpread) return Promise.resolve({ figures: {} });
    const real = data.test.labels && classSpread(test, data.test.labels)?.value;
    const none = classSpread(noise, labels)?.value;
    const marks = {
      ...real !== undefined && { real, realCount: test.rows },
      ...none !== undefined && { noise: none },
    };
    return Promise.resolve({ figures: { class_spread: { ...ownSpread, ...marks } } });
  },
};

/**
 * How different images of one class are: the mean distance of an image from the others of its class, of 200 at most.
 *
 * @param images pixels, one image per row
 * @param labels the class of each row
 * @returns the mean over images, with its interval; undefined if no class has two images
 */
export function classSpread(
  images: Points,
  labels: ArrayLike<number>,
): Estimate | undefined {
  const byClass = Map.groupBy(Array.from({ length: images.rows }, (_, n) => n), (n) => labels[n]);
  const distances = [...byClass.values()].map((all) => all.slice(0, maxOfClass))
    .filter((members) => members.length > 1)
    .flatMap((members) =>
      members.map((a) =>
        members.reduce((sum, b) => sum + Math.sqrt(squaredDistance(images, a, images, b)), 0) /
        (members.length - 1)
      )
    );
  return distances.length > 0 ? meanEstimate(distances) : undefined;
}
