import { frechetDistance, kernelDistance } from "../../measures/feature_distances.ts";
import { prdc } from "../../../models/measures/prdc.ts";
import type { Measurement } from "../trial.ts";

/** How far the samples as a whole are from the test images, in the judge's features. */
export const likeness: Measurement = {
  judged: true,
  sampled: true,
  evaluations: () => 0,
  async measure({ sets: { samples, test, train, noise } }) {
    const reference = test.features;
    const frechet = frechetDistance(reference, samples.features);
    const kernel = await kernelDistance(reference, samples.features);
    const balls = await prdc(reference, samples.features);
    const real = await prdc(reference, train.features);
    const none = await prdc(reference, noise.features);
    const beside = (name: keyof typeof balls) => ({
      ...balls[name],
      real: real[name].value,
      noise: none[name].value,
    });
    return {
      figures: {
        frechet: {
          ...frechet,
          real: frechetDistance(reference, train.features).value,
          noise: frechetDistance(reference, noise.features).value,
        },
        kernel: {
          ...kernel,
          real: (await kernelDistance(reference, train.features)).value,
          noise: (await kernelDistance(reference, noise.features)).value,
        },
        ...{ precision: beside("precision"), recall: beside("recall") },
        ...{ density: beside("density"), coverage: beside("coverage") },
      },
    };
  },
};
