import { countMultiplyAdds, currentDevice, tensor, zeros } from "../../kernels/mod.ts";
import { evaluateNetwork } from "../evaluation/evaluate_network.ts";
import { recordEvaluation } from "../evaluation/evaluation.ts";
import { type EvaluatedNetwork, networkOfRun } from "../evaluation/evaluated_network.ts";
import { evaluationOptions } from "../evaluation/evaluation_options.ts";
import { type ByFigure, figureKeys, valuesOf } from "../evaluation/figures.ts";
import { type DataJudge, type JudgeOptions, judgesFor } from "../evaluation/judges.ts";
import { compareSolvers, type ComparisonOptions, measureSolvers } from "../evaluation/solver_comparison.ts";
import { readIfThere } from "../run/run_folder.ts";
import { loadWeights } from "../networks/own_network.ts";
import type { Study } from "./study.ts";
import type { CellResult } from "./summary.ts";

/** Weights that a run kept at a step of its training. */
interface Milestone {
  readonly step: number;
  readonly path: string;
}

/** What is measured of a trained cell. */
export type Measures =
  & Pick<CellResult, "multiplyAdds" | "dataset" | "figures" | "real" | "solvers">
  & { readonly milestones: readonly { readonly step: number; readonly figures: ByFigure<number> }[] };

/**
 * Evaluates the run of a cell, like `deno task evaluate`. The caller holds the run's lock.
 *
 * @param files of quality by solver, to write, and of weights at the milestones of training, to read
 * @returns undefined if it was stopped
 */
export async function measureCell(
  run: string,
  { plan, count: planned }: Study,
  files: { readonly solvers: string; readonly milestones: readonly Milestone[] },
  how: JudgeOptions & { readonly signal: AbortSignal },
): Promise<Measures | undefined> {
  const { say, signal } = how;
  const subject = await networkOfRun(run);
  const judges = await judgesFor(subject.data, how);
  if (signal.aborted) return undefined;
  const { milestones: _, solvers: specs, guidance, ...asked } = plan.evaluation;
  const canBeGuided = subject.classes > 0 || subject.drawable.autoguidance !== undefined;
  const options = evaluationOptions(
    { ...asked, count: planned, guidance: guidance === 1 && !canBeGuided ? null : guidance },
    subject,
    planned,
  );
  const evaluated = await evaluateNetwork(subject, judges, options, { signal });
  if (!evaluated) return undefined;
  const { count, seed } = options;
  const comparison = { count, seed, guidance: options.guidance, signal };
  const solvers = [];
  if (judges.length > 0 && specs.length > 0) {
    const device = currentDevice().description;
    const costs = await measureSolvers(files.solvers, subject, judges, specs, {
      ...comparison,
      device,
      say,
    });
    for (const { spec, evaluations, ...figures } of costs.solvers) {
      // The evaluations of adaptive solvers are a mean over batches.
      solvers.push({ spec, evaluations: Number(evaluations.toPrecision(9)), figures: valuesOf(figures) });
    }
  }
  const solver = plan.evaluation.solver ?? subject.drawnBy!; // every run stores its solver
  const milestones = judges.length === 0
    ? []
    : await measureMilestones(files.milestones, subject, judges, solver, comparison);
  if (signal.aborted) return undefined;
  await recordEvaluation(run, evaluated);
  const { figures } = evaluated.evaluation;
  const real = figureKeys.flatMap((key) =>
    figures[key]?.real === undefined ? [] : [[key, figures[key].real]]
  );
  const { data: { name, digest } } = subject;
  return {
    multiplyAdds: multiplyAddsOf(subject),
    dataset: { name, digest },
    figures: valuesOf(figures) as CellResult["figures"],
    real: Object.fromEntries(real),
    solvers,
    milestones,
  };
}

function multiplyAddsOf({ drawable: { model, shape }, classes }: EvaluatedNetwork): number {
  return countMultiplyAdds(() => {
    const condition = classes > 0 ? tensor(new Uint32Array(1)) : undefined;
    model.velocity(zeros([1, ...shape]), tensor(new Float32Array(1)), condition);
  });
}

/** Measures a network at the milestones of its training that have weights, on samples from the same noise. */
async function measureMilestones(
  milestones: readonly Milestone[],
  subject: EvaluatedNetwork,
  judges: readonly DataJudge[],
  solver: string,
  options: ComparisonOptions,
): Promise<Measures["milestones"]> {
  const measured = [];
  for (const { step, path } of milestones) {
    const bytes = await readIfThere(path);
    if (!bytes) continue;
    const { model } = await loadWeights(bytes, path);
    const then = { ...subject, drawable: { ...subject.drawable, model } };
    for await (const cost of compareSolvers(then, judges, [solver], options)) {
      measured.push({ step, figures: valuesOf(cost) });
    }
  }
  return measured;
}
