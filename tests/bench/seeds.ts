/**
 * Prints how much the figures of samples move with the training seed, the sampling seed and the guidance: takes runs
 * that differ only in their seed, such as three of `deno task train:residual --seed N`. Guidance is varied on the
 * first. With a single run, it prints all but the effect of training seeds.
 *
 * `deno run --lock=tests/deno.lock --allow-read --allow-write --allow-run --allow-net --allow-env --allow-sys \
 * tests/bench/seeds.ts runs/A runs/B runs/C`
 */
import { init } from "../../kernels/mod.ts";
import type { Estimate } from "../../models/mod.ts";
import { networkOfRun } from "../../experiments/evaluation/evaluated_network.ts";
import { compareSolvers } from "../../experiments/evaluation/solver_comparison.ts";
import { judgesFor } from "../../experiments/evaluation/judges.ts";
import { textTable } from "../../experiments/cli/output.ts";
import { makeSolver } from "../../experiments/cli/solver.ts";
import { usualGuidance } from "../../experiments/settings/drawing.ts";

const solver = "heun:steps=10";
const count = 2000;
const samplingSeeds = [0, 1, 2];
const otherGuidance = [1, 1.2, 1.4, 1.7];
const figures = [
  "frechet",
  "vgg/frechet",
  "asked_class",
  "vgg/asked_class",
  "confident",
  "vgg/confident",
] as const;

type Figure = (typeof figures)[number];
type Figures = Record<Figure, Estimate>;

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The standard deviation of values, an unbiased estimate of the variance behind it. */
function deviation(values: readonly number[]): number {
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
}

const shown = (figure: Figure, value: number) =>
  figure.endsWith("frechet") ? value.toFixed(2) : `${(100 * value).toFixed(2)} %`;

const device = await init();
const bySeed: Figures[][] = [];
const byGuidance = new Map<number, Figures>();
for (const run of Deno.args) {
  const subject = await networkOfRun(run);
  const judges = await judgesFor(subject.data, { say: console.error });
  const measure = async (seed: number, guidance: number): Promise<Figures> => {
    const [cost] = await Array.fromAsync(
      compareSolvers(subject, judges, [makeSolver(solver)], { count, seed, guidance }),
    );
    console.error(
      `${run}, sampling seed ${seed}, guidance ${guidance}: Fréchet distance ${cost.figures.frechet!.value}`,
    );
    return Object.fromEntries(figures.map((figure) => [figure, cost.figures[figure]])) as Figures;
  };
  const sampled: Figures[] = [];
  for (const seed of samplingSeeds) sampled.push(await measure(seed, usualGuidance));
  bySeed.push(sampled);
  if (bySeed.length > 1) continue;
  byGuidance.set(usualGuidance, sampled[0]);
  for (const guidance of otherGuidance) byGuidance.set(guidance, await measure(0, guidance));
}
device.close();

const rows = figures.map((figure) => {
  const values = bySeed.map((sampled) => sampled.map((seed) => seed[figure].value));
  const between = deviation(values.map(mean));
  const within = Math.sqrt(mean(values.map((row) => deviation(row) ** 2)));
  const { low, high } = bySeed[0][0][figure];
  return [
    figure,
    shown(figure, mean(values.flat())),
    // The means over sampling seeds still contain some variance of sampling, which is not due to training.
    values.length > 1
      ? shown(figure, Math.sqrt(Math.max(0, between ** 2 - within ** 2 / samplingSeeds.length)))
      : "-",
    shown(figure, within),
    shown(figure, (high - low) / 2 / 1.96),
  ];
});
console.log(textTable([["figure", "mean", "training seeds", "sampling seeds", "bootstrap of one"], ...rows]));
const scales = [...byGuidance.keys()].sort((a, b) => a - b);
const guided = figures.map((figure) => [
  figure,
  ...scales.map((scale) => shown(figure, byGuidance.get(scale)![figure].value)),
]);
console.log("\n" + textTable([["guidance", ...scales.map(String)], ...guided]));
