import { classEntropy, classHistogram } from "../../measures/class_entropy.ts";
import { type Verdicts, verdicts } from "../../judge/train_judge.ts";
import { proportion } from "../../../models/measures/estimate.ts";
import type { JudgedImages, Measurement } from "../trial.ts";

/** The judge is certain of an image from this probability on. */
export const certain = 0.9;

/** What the judge sees in the samples: how often it is certain, and of which classes. */
export const recognition: Measurement = {
  judged: true,
  sampled: true,
  evaluations: () => 0,
  measure({ sets, judge, asked }) {
    const { classes } = judge!;
    const seen = ({ probabilities }: JudgedImages) => verdicts(probabilities, classes);
    const [samples, test, noise] = [seen(sets.samples), seen(sets.test), seen(sets.noise)];
    const share = ({ confidence }: Verdicts) =>
      proportion(countOf(confidence, (p) => p >= certain), confidence.length);
    const entropy = ({ classes: labels }: Verdicts) => classEntropy(labels, classes);
    const right = asked &&
      proportion(countOf(samples.classes, (label, n) => label === asked[n]), asked.length);
    return Promise.resolve({
      classes: [...classHistogram(samples.classes, classes)],
      figures: {
        confident: { ...share(samples), real: share(test).value, noise: share(noise).value },
        ...right && { asked_class: right },
        class_entropy: { ...entropy(samples), real: entropy(test).value, noise: entropy(noise).value },
      },
    });
  },
};

function countOf<T extends Float32Array | Uint32Array>(
  values: T,
  counts: (value: number, n: number) => boolean,
): number {
  let count = 0;
  values.forEach((value, n) => count += counts(value, n) ? 1 : 0);
  return count;
}
