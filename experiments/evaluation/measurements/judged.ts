import { prdc, proportion } from "../../../models/mod.ts";
import { type Verdicts, verdicts } from "../../judge/train_judge.ts";
import { classEntropy, classHistogram } from "../../measures/class_entropy.ts";
import { frechetDistance, kernelDistance } from "../../measures/feature_distances.ts";
import type { JudgedImages, Measurement } from "../measurement.ts";

/** Lowest probability at which the judge is certain of an image. */
const certain = 0.9;

/** The share of images that the judge is certain about, with its interval. */
export function certainShare({ confidence }: Verdicts) {
  return proportion(confidence.filter((p) => p >= certain).length, confidence.length);
}

/** How often the judge is certain of a sample, and which classes it sees. */
export const recognition: Measurement = {
  judged: true,
  sampled: true,
  measure({ sets, judge, labels }) {
    const { classes } = judge!;
    const seen = ({ probabilities }: JudgedImages) => verdicts(probabilities, classes);
    const [samples, test, noise] = [seen(sets.samples), seen(sets.test), seen(sets.noise)];
    const entropy = ({ classes: labels }: Verdicts) => classEntropy(labels, classes);
    const right = samples.classes.filter((label, n) => label === labels?.[n]).length;
    return Promise.resolve({
      classes: [...classHistogram(samples.classes, classes)],
      figures: {
        confident: {
          ...certainShare(samples),
          real: certainShare(test).value,
          noise: certainShare(noise).value,
        },
        ...labels && { asked_class: proportion(right, labels.length) },
        class_entropy: { ...entropy(samples), real: entropy(test).value, noise: entropy(noise).value },
      },
    });
  },
};

/** Distances between the samples and the test images in the judge's features. */
export const likeness: Measurement = {
  judged: true,
  sampled: true,
  async measure({ sets: { samples, test, train, noise } }) {
    const measured = async ({ features }: JudgedImages) => ({
      frechet: frechetDistance(test.features, features),
      kernel: await kernelDistance(test.features, features),
      ...await prdc(test.features, features),
    });
    const [found, real, none] = [await measured(samples), await measured(train), await measured(noise)];
    const beside = (name: keyof typeof found) => ({
      ...found[name],
      real: real[name].value,
      noise: none[name].value,
    });
    return {
      figures: {
        frechet: beside("frechet"),
        kernel: beside("kernel"),
        precision: beside("precision"),
        recall: beside("recall"),
        density: beside("density"),
        coverage: beside("coverage"),
      },
    };
  },
};
