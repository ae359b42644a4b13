import { tensor } from "../../../kernels/mod.ts";
import { bitsPerDimension, fromPixels } from "../../../models/mod.ts";
import { bootstrap } from "../../../models/measures/estimate.ts";
import { pickPoints } from "../../../models/measures/points.ts";
import { conditionOf } from "../real_images.ts";
import type { Measurement } from "../trial.ts";

/** Images that are followed at once. */
const batch = 64;
/** Error allowed in a step; a smaller one would change the figure by less than its interval. */
const rtol = 1e-2;
/** Evaluations of an image by adaptive steps, for a first guess. */
const guess = 50;

/** Bits per dimension of test images: their likelihood under the network, without guidance. */
export const bits: Measurement = {
  judged: false,
  sampled: false,
  evaluations: (_, { bitsImages }) => bitsImages * guess,
  async measure({ subject, options, sets: { test }, advance }) {
    const { model, shape, normalization } = subject.drawable;
    const count = options.bitsImages;
    const found: number[] = [];
    for (let from = 0; from < count; from += batch) {
      const rows = Math.min(batch, count - from);
      const { values } = pickPoints(test.pixels, Array.from({ length: rows }, (_, n) => from + n));
      const condition = conditionOf(subject, from, rows);
      const { bits, evaluations } = await bitsPerDimension(
        model,
        tensor(fromPixels(values, normalization), [rows, ...shape]),
        {
          ...{ normalization, rtol, batch: rows, seed: (options.seed + from) % 2 ** 32 },
          ...condition && { condition },
        },
      );
      found.push(...bits);
      await advance(rows * evaluations);
    }
    if (found.length === 0) return { figures: {} };
    const mean = found.reduce((sum, value) => sum + value, 0) / found.length;
    return { figures: { bits_per_dimension: bootstrap(mean, found) } };
  },
};
