import { join } from "node:path";
import { ConfigError } from "../cli/settings.ts";
import { makeSolver } from "../cli/solver.ts";
import { unlessStopped } from "../cli/task.ts";
import { firstIndices } from "../data/dataset.ts";
import { checkSolver } from "../draw/samples.ts";
import { runFile } from "../run/files.ts";
import { readFields, writeJson } from "../run/run_folder.ts";
import {
  check,
  type Checked,
  count,
  fieldsOf,
  finiteNumber,
  listOf,
  textField,
} from "../run/field_checks.ts";
import { type EvaluatedNetwork, hasFewTestImages } from "./evaluated_network.ts";
import { figureFields, type FigureKey, figureKey, type FigureName, keysOf } from "./figures.ts";
import {
  drawForEvaluation,
  type Drawing,
  imagesAt,
  Monitor,
  samplingEvaluations,
  type Watch,
} from "./image_sets.ts";
import type { DataJudge } from "./judges.ts";
import { frechetDistance, kernelDistance, recognised } from "./measures.ts";

const estimate = fieldsOf({ value: finiteNumber, low: finiteNumber, high: finiteNumber });

/** Cost and quality of samples by one solver. */
const solverCost = fieldsOf({
  /** The solver in the syntax of `makeSolver`. */
  spec: textField,
  /** Evaluations of the network per sample, with guided ones counted twice; the mean if samples differ. */
  evaluations: finiteNumber,
  /** Total time for all samples. */
  seconds: finiteNumber,
  /** With few test images, the kernel distance instead of the Fréchet distance. */
  ...figureFields(["frechet", "kernel", "confident", "asked_class"], estimate),
});

const checks = {
  version: check<1>("1; measure the solvers again", (value) => value === 1),
  /** Conditions that all results share; results under other conditions are dropped. Digests are SHA-256 in hex. */
  common: fieldsOf({
    weights: textField,
    /** Digests of the judges, separated by commas. */
    judge: textField,
    device: textField,
    count,
    seed: count,
    guidance: finiteNumber,
  }),
  solvers: listOf(solverCost),
};
const costsCheck = fieldsOf(checks);

/** Quality against cost for each solver, stored as `solvers.json`. */
export type SolverCosts = Checked<typeof costsCheck>;

/** Cost and quality of samples by one solver. */
export type SolverCost = Checked<typeof solverCost>;

/** The file of a run with its comparison of solvers. */
export const solversFile = (run: string) => join(run, runFile.solvers);

/** Reads a comparison of solvers; undefined if there is none. */
export function readSolverCosts(path: string): Promise<SolverCosts | undefined> {
  return readFields(path, checks, "delete the file, or measure the solvers again");
}

export interface ComparisonOptions extends Watch, Omit<Drawing, "how"> {}

/**
 * Draws samples from the same noise by each solver, in the syntax of `makeSolver`, and judges them. Yields each result
 * as soon as it is known; when stopped, drops the unfinished one.
 */
export async function* compareSolvers(
  subject: EvaluatedNetwork,
  judges: readonly DataJudge[],
  specs: readonly string[],
  { count, seed, guidance, ...watch }: ComparisonOptions,
): AsyncGenerator<SolverCost, void, void> {
  const { test } = subject.data;
  const real = imagesAt(test, firstIndices(Math.min(count, test.count))).values;
  const views = [];
  for (const judge of judges) views.push({ judge, reference: (await judge.judge(real)).features });
  const monitor = new Monitor(watch);
  for (const spec of specs) {
    const drawing = { count, seed, guidance, how: makeSolver(spec).how };
    const drawn = await unlessStopped(watch.signal, () => drawForEvaluation(subject, drawing, monitor));
    if (!drawn) return;
    const { pixels, labels, evaluations, seconds } = drawn;
    const figures: Partial<Record<FigureKey, Checked<typeof estimate>>> = {};
    for (const { judge, reference } of views) {
      const judgement = await judge.judge(pixels.values);
      const { class_entropy: _, ...shares } = recognised(judgement, judge.classes, labels);
      const distance = hasFewTestImages(subject.data)
        ? { kernel: await kernelDistance(reference, judgement.features) }
        : { frechet: frechetDistance(reference, judgement.features) };
      for (const [name, figure] of Object.entries({ ...distance, ...shares })) {
        figures[figureKey(name as FigureName, judge.name)] = figure;
      }
    }
    yield { spec, evaluations, seconds, ...figures };
  }
}

/**
 * Compares solvers, and stores each result in a file (null: none) as soon as it is known. Stored results under the same
 * conditions are not measured again.
 *
 * @param onStart called with the expected evaluations of the network
 * @returns stored and new results; only the finished ones, if stopped
 */
export async function measureSolvers(
  file: string | null,
  subject: EvaluatedNetwork,
  judges: readonly DataJudge[],
  specs: readonly string[],
  { device, say, onStart, ...options }: ComparisonOptions & {
    readonly device: string;
    readonly say: (line: string) => void;
    readonly onStart?: (evaluations: number) => void;
  },
): Promise<SolverCosts> {
  const { count, seed, guidance } = options;
  const { drawable: { model }, weights, classes, data } = subject;
  if (judges.length === 0) throw new ConfigError(`Cannot compare solvers without a judge of ${data.name}`);
  for (const spec of specs) {
    checkSolver(model, makeSolver(spec).how, weights.file, classes > 0 ? guidance : 1);
  }
  const judge = judges.map(({ digest }) => digest).join();
  const common = { weights: weights.sha256, judge, device, count, seed, guidance };
  const earlier = file === null ? undefined : await readSolverCosts(file);
  const names = Object.keys(common) as (keyof typeof common)[];
  const changed = names.filter((name) => earlier && common[name] !== earlier.common[name]);
  if (changed.length > 0) say(`Remeasuring: ${changed.join(", ")} changed`);
  let costs: SolverCosts = earlier && changed.length === 0 ? earlier : { version: 1, common, solvers: [] };
  const left = specs.filter((spec) => !costs.solvers.some((cost) => cost.spec === spec));
  const expected = (spec: string) => samplingEvaluations(subject, { ...options, how: makeSolver(spec).how });
  onStart?.(left.reduce((sum, spec) => sum + expected(spec), 0));
  for await (const cost of compareSolvers(subject, judges, left, options)) {
    costs = { ...costs, solvers: [...costs.solvers, cost] };
    if (file !== null) await writeJson(file, costs);
  }
  return costs;
}

/** The keys of figures, by the judges that measured all solvers. */
export function judgedKeys(solvers: readonly SolverCost[], ...names: FigureName[]): FigureKey[] {
  return keysOf(names).filter((key) => solvers.every((cost) => cost[key]));
}

/**
 * The cheapest solver within the best one's interval: by every judge, its distance is inside the interval of the
 * lowest. If that holds for no solver by every judge, only the first judge counts.
 *
 * @param solvers at least one
 */
export function cheapestOfBest(solvers: readonly SolverCost[]): SolverCost {
  const keys = judgedKeys(solvers, "frechet", "kernel");
  const best = (key: FigureKey) =>
    solvers.reduce((a, b) => b[key]!.value < a[key]!.value || Number.isNaN(a[key]!.value) ? b : a);
  const mayBeBest = (keys: readonly FigureKey[]) =>
    solvers.filter((cost) => keys.every((key) => cost[key]!.value <= best(key)[key]!.high));
  const chosen = mayBeBest(keys);
  const left = chosen.length > 0 ? chosen : mayBeBest(keys.slice(0, 1));
  return left.reduce((a, b) => b.evaluations < a.evaluations ? b : a);
}
