import type { Estimate, Points } from "../../models/mod.ts";
import { firstIndices } from "../data/dataset.ts";
import { checkSolver } from "../draw/chosen_solver.ts";
import { readFields, writeJson } from "../run/run_folder.ts";
import type { DataJudge } from "./data_judge.ts";
import { frechetDistance } from "./feature_distances.ts";
import {
  check,
  type Checked,
  count,
  fieldsOf,
  finiteNumber,
  listOf,
  textField,
} from "../run/field_checks.ts";
import { makeSolver } from "../cli/solver.ts";
import { textTable } from "../cli/output.ts";
import { formatOrder } from "./judges_order.ts";
import { drawForEvaluation, imagesAt, samplingEvaluations } from "./image_sets.ts";
import { figureFields, type FigureKey, type FigureName, keysOf, shownFigure, titleOf } from "./figures.ts";
import { Monitor, type Watch } from "./measurement.ts";
import { keyed, recognised } from "./judged.ts";
import type { EvaluatedNetwork } from "./evaluated_network.ts";

const estimate = fieldsOf({ value: finiteNumber, low: finiteNumber, high: finiteNumber });

/** Cost and quality of samples by one solver. */
const solverCost = fieldsOf({
  /** The solver in the syntax of `makeSolver`. */
  spec: textField,
  /** Evaluations of the network per sample, with guided ones counted twice; the mean if samples differ. */
  evaluations: finiteNumber,
  /** Total time for all samples. */
  seconds: finiteNumber,
  /** Files of version 0.9 have only the first judge, and no `asked_class`. */
  ...figureFields(["frechet", "confident", "asked_class"], estimate),
  frechet: estimate,
  confident: estimate,
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

/** Reads a comparison of solvers; undefined if there is none. */
export async function readSolverCosts(path: string): Promise<SolverCosts | undefined> {
  return await readFields(path, checks, "delete the file, or measure the solvers again");
}

export interface ComparisonOptions extends Watch {
  /** Number of samples for each solver. */
  readonly count: number;
  readonly seed: number;
  /** Guidance scale; 1 is none. */
  readonly guidance: number;
}

/** Checks that solvers suit a network. @throws {ConfigError} as {@linkcode checkSolver} */
export function checkSolvers(
  { drawable: { model }, weights: { file }, classes }: EvaluatedNetwork,
  specs: readonly string[],
  guidance: number,
): void {
  for (const spec of specs) checkSolver(model, makeSolver(spec).how, file, classes > 0 ? guidance : 1);
}

/**
 * Draws samples from the same noise by each solver, and judges them. Yields each result as soon as it is known; when
 * stopped, drops the unfinished one.
 *
 * @param specs solvers in the syntax of `makeSolver`
 * @throws {MeasureError} if there are too few samples for the Fréchet distance
 */
export async function* compareSolvers(
  subject: EvaluatedNetwork,
  judges: readonly DataJudge[],
  specs: readonly string[],
  { count, seed, guidance, ...watch }: ComparisonOptions,
): AsyncGenerator<SolverCost, void, void> {
  const test = imagesAt(subject.data.test, firstIndices(count)).values;
  const views: { readonly judge: DataJudge; readonly reference: Points }[] = [];
  for (const judge of judges) views.push({ judge, reference: (await judge.judge(test)).features });
  const monitor = new Monitor(watch);
  for (const spec of specs) {
    const drawing = { count, seed, guidance, how: makeSolver(spec).how };
    const drawn = await monitor.unlessStopped(() => drawForEvaluation(subject, drawing, monitor));
    if (!drawn) return;
    const { pixels, labels, evaluations, seconds } = drawn;
    const figures: Partial<Record<FigureKey, Estimate>> = {};
    for (const { judge, reference } of views) {
      const judgement = await judge.judge(pixels.values);
      const { class_entropy: _, ...shares } = recognised(judgement, judge.classes, labels);
      Object.assign(
        figures,
        keyed(judge, { frechet: frechetDistance(reference, judgement.features), ...shares }),
      );
    }
    const { frechet, confident, ...more } = figures;
    yield { spec, evaluations, seconds, frechet: frechet!, confident: confident!, ...more };
  }
}

/**
 * Compares solvers, and stores each result in a file as soon as it is known. Stored results under the same conditions
 * are not measured again.
 *
 * @param file null to store nothing
 * @param device description of the device, for the file
 * @param say called with a message if stored results cannot be used
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
  const judge = judges.map(({ digest }) => digest).join();
  const common = { weights: subject.weights.sha256, judge, device, count, seed, guidance };
  const names = Object.keys(common) as (keyof typeof common)[];
  const earlier = file === null ? undefined : await readSolverCosts(file);
  const changed = names.filter((name) => earlier && common[name] !== earlier.common[name]);
  if (changed.length > 0) say(`Remeasuring: ${changed.join(", ")} changed`);
  let costs: SolverCosts = earlier && changed.length === 0 ? earlier : { version: 1, common, solvers: [] };
  checkSolvers(subject, specs, guidance);
  const left = specs.filter((spec) => !costs.solvers.some((cost) => cost.spec === spec));
  const expected = left.map((spec) =>
    samplingEvaluations(subject, { ...options, how: makeSolver(spec).how })
  );
  onStart?.(expected.reduce((sum, evaluations) => sum + evaluations, 0));
  for await (const cost of compareSolvers(subject, judges, left, options)) {
    costs = { ...costs, solvers: [...costs.solvers, cost] };
    if (file !== null) await writeJson(file, costs);
  }
  return costs;
}

/** The keys of figures, by the judges that measured all solvers. */
function judgedKeys(solvers: readonly SolverCost[], ...names: FigureName[]): FigureKey[] {
  return keysOf(names).filter((key) => solvers.every((cost) => cost[key]));
}

/**
 * The cheapest solver that may be as good as the best: by every judge, its Fréchet distance is inside the interval of
 * the best. If that holds for no solver by every judge, only the first judge counts.
 *
 * @param solvers at least one
 */
export function cheapestOfBest(solvers: readonly SolverCost[]): SolverCost {
  const keys = judgedKeys(solvers, "frechet");
  const mayBeBest = (keys: readonly FigureKey[]) =>
    solvers.filter((cost) => keys.every((key) => cost[key]!.value <= bestBy(solvers, key)[key]!.high));
  const chosen = mayBeBest(keys);
  const left = chosen.length > 0 ? chosen : mayBeBest(keys.slice(0, 1));
  return left.reduce((a, b) => b.evaluations < a.evaluations ? b : a, left[0] ?? bestBy(solvers, "frechet"));
}

function bestBy(solvers: readonly SolverCost[], key: FigureKey): SolverCost {
  return solvers.reduce((a, b) => b[key]!.value < a[key]!.value || Number.isNaN(a[key]!.value) ? b : a);
}

/**
 * Solvers as a table, cheapest first; a star marks {@linkcode cheapestOfBest}. A line below the table states whether
 * the judges agree.
 */
export function solverTable({ solvers, common: { count, seed } }: SolverCosts): string {
  const chosen = cheapestOfBest(solvers);
  const frechets = judgedKeys(solvers, "frechet");
  const shares = judgedKeys(solvers, "asked_class", "confident");
  const head = [
    "solver",
    "evaluations",
    ...frechets.flatMap((key) => [titleOf(key), "95 % interval"]),
    ...shares.map(titleOf),
    "seconds",
  ];
  const rows = solvers.toSorted((a, b) => a.evaluations - b.evaluations).map((cost) => [
    `${cost === chosen ? "* " : ""}${cost.spec}`,
    String(Number(cost.evaluations.toFixed(1))),
    ...frechets.flatMap((key) => {
      const { value, low, high } = cost[key]!;
      return [value.toFixed(2), `${low.toFixed(2)} to ${high.toFixed(2)}`];
    }),
    ...shares.map((key) => shownFigure(key, cost[key]!.value)),
    cost.seconds.toFixed(1),
  ]);
  const about = `${count.toLocaleString("en")} samples per solver, all from the noise of seed ${seed}`;
  const order = formatOrder(solvers.map((cost) => ({ label: cost.spec, figures: cost })));
  return `${about}\n${textTable([head, ...rows], (column) => column > 0)}${order ? `\n${order}` : ""}`;
}
