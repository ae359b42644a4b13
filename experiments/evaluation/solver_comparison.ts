import { join } from "node:path";
import type { Estimate } from "../../models/mod.ts";
import { ConfigError } from "../cli/settings.ts";
import type { ChosenSolver } from "../cli/solver.ts";
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
import { type ByFigure, figureFields, keysOf } from "./figures.ts";
import {
  drawForEvaluation,
  type Drawing,
  imagesAt,
  Monitor,
  samplingEvaluations,
  type Watch,
} from "./image_sets.ts";
import type { DataJudge } from "./judges.ts";
import { figureKey } from "./measurements.ts";
import { frechetDistance, kernelDistanceToFew, recognised } from "./measures.ts";

/** Cost and quality of samples by one solver. */
export interface SolverCost {
  /** The solver as it was written, such as `heun:steps=8`. */
  readonly spec: string;
  /** Evaluations of the network per sample, with guided ones counted twice; the mean if samples differ. */
  readonly evaluations: number;
  /** Total time for all samples. */
  readonly seconds: number;
  /** With few test images, the kernel distance instead of the Fréchet distance. */
  readonly figures: ByFigure<Estimate>;
}

const estimate = fieldsOf({ value: finiteNumber, low: finiteNumber, high: finiteNumber });
/** A solver in the file, where figures stand beside its cost. */
const solverCost = fieldsOf({
  ...{ spec: textField, evaluations: finiteNumber, seconds: finiteNumber },
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

/** Quality against cost for each solver, stored as `solvers.json`. */
export interface SolverCosts {
  readonly common: Checked<typeof checks.common>;
  readonly solvers: readonly SolverCost[];
}

/** The file of a run with its comparison of solvers. */
export const solversFile = (run: string) => join(run, runFile.solvers);

/** Reads a comparison of solvers; undefined if there is none. */
export async function readSolverCosts(path: string): Promise<SolverCosts | undefined> {
  const costs = await readFields(path, checks, "delete the file, or measure the solvers again");
  return costs && {
    common: costs.common,
    solvers: costs.solvers.map(({ spec, evaluations, seconds, ...figures }) => {
      return { spec, evaluations, seconds, figures: figures as ByFigure<Estimate> };
    }),
  };
}

async function writeSolverCosts(path: string, { common, solvers }: SolverCosts): Promise<void> {
  const flat = solvers.map(({ figures, ...cost }) => ({ ...cost, ...figures }));
  await writeJson(path, { version: 1, common, solvers: flat });
}

export interface ComparisonOptions extends Watch, Omit<Drawing, "how"> {}

/**
 * Draws samples from the same noise by each solver, and judges them. Yields each result as soon as it is known; when
 * stopped, drops the unfinished one.
 */
export async function* compareSolvers(
  subject: EvaluatedNetwork,
  judges: readonly DataJudge[],
  compared: readonly ChosenSolver[],
  { count, seed, guidance, ...watch }: ComparisonOptions,
): AsyncGenerator<SolverCost, void, void> {
  const { data: { test, train }, trained } = subject;
  const real = imagesAt(test, firstIndices(Math.min(count, test.count))).values;
  const others = hasFewTestImages(subject.data) ? imagesAt(train, trained.slice(0, count)).values : undefined;
  const views = [];
  for (const judge of judges) {
    const reference = (await judge.judge(real)).features;
    views.push({ judge, reference, others: others && (await judge.judge(others)).features });
  }
  const monitor = new Monitor(watch);
  for (const { text: spec, how } of compared) {
    const drawing = { count, seed, guidance, how };
    const drawn = await unlessStopped(watch.signal, () => drawForEvaluation(subject, drawing, monitor));
    if (!drawn) return;
    const { pixels, labels, evaluations, seconds } = drawn;
    const figures: Record<string, Estimate> = {};
    for (const { judge, reference, others } of views) {
      const judgement = await judge.judge(pixels.values);
      const { class_entropy: _, ...shares } = recognised(judgement, judge.classes, labels);
      const distance = others
        ? { kernel: await kernelDistanceToFew(reference, judgement.features, others) }
        : { frechet: frechetDistance(reference, judgement.features) };
      for (const [name, figure] of Object.entries({ ...distance, ...shares })) {
        if (figure) figures[figureKey(name, judge.name)] = figure;
      }
    }
    yield { spec, evaluations, seconds, figures };
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
  compared: readonly ChosenSolver[],
  { device, say, onStart, ...options }: ComparisonOptions & {
    readonly device: string;
    readonly say: (line: string) => void;
    readonly onStart?: (evaluations: number) => void;
  },
): Promise<SolverCosts> {
  const { count, seed, guidance } = options;
  const { drawable: { model }, weights, classes, data } = subject;
  if (judges.length === 0) throw new ConfigError(`Cannot compare solvers without a judge of ${data.name}`);
  for (const { how } of compared) {
    checkSolver(model, how, weights.file, classes > 0 ? guidance : 1);
  }
  const judge = judges.map(({ digest }) => digest).join();
  const common = { weights: weights.sha256, judge, device, count, seed, guidance };
  const earlier = file === null ? undefined : await readSolverCosts(file);
  const names = Object.keys(common) as (keyof typeof common)[];
  const changed = names.filter((name) => earlier && common[name] !== earlier.common[name]);
  if (changed.length > 0) say(`Remeasuring: ${changed.join(", ")} changed`);
  let costs: SolverCosts = earlier && changed.length === 0 ? earlier : { common, solvers: [] };
  const left = compared.filter(({ text }) => !costs.solvers.some(({ spec }) => spec === text));
  const expected = left.map(({ how }) => samplingEvaluations(subject, { ...options, how }));
  onStart?.(expected.reduce((sum, evaluations) => sum + evaluations, 0));
  for await (const cost of compareSolvers(subject, judges, left, options)) {
    costs = { ...costs, solvers: [...costs.solvers, cost] };
    if (file !== null) await writeSolverCosts(file, costs);
  }
  return costs;
}

/** The keys of figures, by the judges that measured all solvers. */
export function judgedKeys(solvers: readonly SolverCost[], ...names: string[]): string[] {
  return keysOf(names).filter((key) => solvers.every(({ figures }) => figures[key]));
}

/**
 * The cheapest solver within the best one's interval: by every judge, its distance is inside the interval of the
 * lowest. If that holds for no solver by every judge, only the first judge counts.
 *
 * @param solvers at least one
 */
export function cheapestOfBest(solvers: readonly SolverCost[]): SolverCost {
  const keys = judgedKeys(solvers, "frechet", "kernel");
  const valueOf = (key: string, { figures }: SolverCost) => figures[key]!.value;
  const highestOf = (key: string) => { // a distance that may still be the best
    const known = solvers.filter((cost) => !Number.isNaN(valueOf(key, cost)));
    return known.reduce((a, b) => valueOf(key, b) < valueOf(key, a) ? b : a).figures[key]!.high;
  };
  const mayBeBest = (keys: readonly string[]) =>
    solvers.filter((cost) => keys.every((key) => valueOf(key, cost) <= highestOf(key)));
  const chosen = mayBeBest(keys);
  const left = chosen.length > 0 ? chosen : mayBeBest(keys.slice(0, 1));
  return left.reduce((a, b) => b.evaluations < a.evaluations ? b : a);
}
