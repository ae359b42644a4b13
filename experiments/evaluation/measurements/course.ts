import { slice, tensor } from "../../../kernels/mod.ts";
import { flowGeometry, fromPixels, noise, roundTrip } from "../../../models/mod.ts";
import { bootstrap } from "../../../models/measures/estimate.ts";
import { pickPoints } from "../../../models/measures/points.ts";
import { evaluationsOnWay, followedBy } from "../followed_by.ts";
import { runsOf } from "../image_sets.ts";
import { conditionOf } from "../real_images.ts";
import type { Measured, Measurement, Trial } from "../trial.ts";

/** Images that are followed at once. */
const batch = 64;

/** The way from noise to sample: how long and how straight it is, and whether the solver finds back. */
export const course: Measurement = {
  judged: false,
  sampled: false,
  evaluations: (subject, { courseImages, how, guidance }) =>
    (runsOf(subject, guidance) + 2) * courseImages * evaluationsOnWay(followedBy(how)),
  async measure(trial) {
    const { courseImages: count } = trial.options;
    if (count === 0) return { figures: {} };
    const ways = await followed(trial, count);
    const lost = await roundTrips(trial, count);
    return { ...ways, figures: { ...ways.figures, round_trip: bootstrap(meanOf(lost), lost) } };
  },
};

/** Geometry of the ways of the first samples. */
async function followed(
  { subject, options, field, asked, advance }: Trial,
  count: number,
): Promise<Measured> {
  const { shape } = subject.drawable;
  const size = shape.reduce((product, length) => product * length, 1);
  const ratio: number[] = [];
  const straight: number[] = [];
  const { times } = followedBy(options.how);
  const sums = times.slice(1).map(() => ({ straightness: 0, curvature: 0 }));
  for (let from = 0; from < count; from += batch) {
    const rows = Math.min(batch, count - from);
    const geometry = await flowGeometry(field, slice(noise(options.seed, [count, ...shape]), 0, from, rows), {
      ...followedBy(options.how),
      batch: rows,
      ...asked && { condition: tensor(asked.slice(from, from + rows)) },
    });
    geometry.distance.forEach((distance, n) => {
      ratio.push(geometry.length[n] / distance);
      straight.push(geometry.straightness[n] / size);
      sums.forEach((sum, i) => {
        sum.straightness += geometry.deviation[i][n] / size / count;
        sum.curvature += geometry.curvature[i][n] * distance / count;
      });
    });
    await advance(rows * geometry.evaluations * runsOf(subject, options.guidance));
  }
  return {
    figures: {
      path_ratio: bootstrap(meanOf(ratio), ratio),
      straightness: bootstrap(meanOf(straight), straight),
    },
    course: {
      t: times.slice(0, -1),
      straightness: sums.map(({ straightness }) => straightness),
      curvature: sums.map(({ curvature }) => curvature),
    },
  };
}

/** Root mean square errors of test images that went to noise and back, in pixels from 0 to 1. */
async function roundTrips({ subject, options, sets, advance }: Trial, count: number): Promise<number[]> {
  const { model, shape, normalization } = subject.drawable;
  const lost: number[] = [];
  for (let from = 0; from < count; from += batch) {
    const rows = Math.min(batch, count - from);
    const { values } = pickPoints(sets.test.pixels, Array.from({ length: rows }, (_, n) => from + n));
    const x1 = tensor(fromPixels(values, normalization), [rows, ...shape]);
    const condition = conditionOf(subject, from, rows);
    const trip = await roundTrip(model, x1, {
      ...followedBy(options.how),
      batch: rows,
      ...condition && { condition },
    });
    lost.push(...trip.error.map((error) => error / Math.abs(normalization.scale)));
    await advance(rows * trip.evaluations);
  }
  return lost;
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
