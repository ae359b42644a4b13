import assert from "node:assert/strict";
import { classEntropy } from "../../../experiments/evaluation/class_entropy.ts";
import { type Estimate, type Points, prdc } from "../../../models/mod.ts";
import { frechetDistance, kernelDistance } from "../../../experiments/evaluation/feature_distances.ts";
import { memorisation } from "../../../experiments/evaluation/memorisation.ts";
import { init, withDevice } from "../../../kernels/mod.ts";
import { normalPoints } from "../../models/measures/measured.ts";

const [N, F, sets] = [200, 6, 40];
const [reference, train] = [normalPoints(0, N, F), normalPoints(1, N, F)];
const device = await init({ device: "cpu" });

/** All figures of a set of samples. */
async function figures(samples: Points, seed: number): Promise<Record<string, Estimate>> {
  const options = { seed, resamples: 200 };
  const { authentic, copying } = await memorisation(train, reference, samples, options);
  const classes = Array.from(
    { length: N },
    (_, n) => Math.min(4, Math.floor(Math.abs(samples.values[n * F]) * 2)),
  );
  return {
    frechet: frechetDistance(reference, samples, options),
    kernel: await kernelDistance(reference, samples, options),
    ...await prdc(reference, samples, options),
    authentic,
    copying,
    entropy: classEntropy(classes, 5, options),
  };
}

for (const [scale, shift] of [[1, 0], [1.3, 0.5]]) {
  Deno.test(`intervals match the spread of figures: samples of scale ${scale}, shifted by ${shift}`, async () => {
    const found = await withDevice(device, async () => {
      const all = [];
      for (let n = 0; n < sets; n++) all.push(await figures(normalPoints(2 + n, N, F, scale, shift), n));
      return all;
    });
    for (const name of Object.keys(found[0])) {
      const estimates = found.map((set) => set[name]);
      const mean = estimates.reduce((sum, { value }) => sum + value, 0) / sets;
      const held = estimates.filter(({ low, high }) => low <= mean && mean <= high).length / sets;
      assert.ok(held >= 0.85, `the interval of ${name} contains the mean in ${held} of cases`);
      const spread = Math.sqrt(
        estimates.reduce((sum, { value }) => sum + (value - mean) ** 2, 0) / (sets - 1),
      );
      const error = estimates.reduce((sum, { low, high }) => sum + (high - low) / 3.92, 0) / sets;
      assert.ok(error > 0.75 * spread && error < 1.7 * spread, `${name}: ${error} for a spread of ${spread}`);
    }
  });
}
