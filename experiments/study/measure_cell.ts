import { join } from "node:path";
import { countMultiplyAdds, currentDevice, tensor, zeros } from "../../kernels/mod.ts";
import { evaluateNetwork } from "../evaluation/evaluate_network.ts";
import { recordEvaluation } from "../evaluation/evaluation.ts";
import { type EvaluatedNetwork, networkOfRun } from "../evaluation/evaluated_network.ts";
import { evaluationOptions } from "../evaluation/evaluation_options.ts";
import { figureKeys, valuesOf } from "../evaluation/figures.ts";
import { type JudgeOptions, judgesFor } from "../evaluation/judges.ts";
import { compareSolvers, measureSolvers } from "../evaluation/solver_comparison.ts";
import { fileAt, runFile } from "../run/files.ts";
import { readIfThere } from "../run/run_folder.ts";
import { loadWeights } from "../networks/own_network.ts";
import { evaluationOf } from "./plan.ts";
import type { Study } from "./study.ts";

/**
 * Evaluates the run of a cell, like `deno task evaluate`. The caller holds the run's lock.
 *
 * @param milestones steps of training whose weights the run has kept
 * @returns undefined if it was stopped
 */
export async function measureCell(
  run: string,
  { plan, count: planned }: Study,
  milestones: readonly number[],
  how: JudgeOptions & { readonly signal: AbortSignal },
) {
  const { say, signal } = how;
  const subject = await networkOfRun(run);
  const judges = await judgesFor(subject.data, how);
  if (signal.aborted) return undefined;
  const { milestones: _, solvers: specs, guidance, ...asked } = evaluationOf(plan);
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
    const path = join(run, runFile.solvers);
    const costs = await measureSolvers(path, subject, judges, specs, { ...comparison, device, say });
    for (const { spec, evaluations, figures } of costs.solvers) {
      // The evaluations of adaptive solvers are a mean over batches.
      solvers.push({ spec, evaluations: Number(evaluations.toPrecision(9)), figures: valuesOf(figures) });
    }
  }
  const solver = asked.solver ?? subject.drawnBy!; // every run stores its solver
  const course = [];
  for (const step of judges.length === 0 ? [] : milestones) {
    const path = join(run, fileAt(runFile.weightsAt, step));
    const bytes = await readIfThere(path);
    if (!bytes) continue;
    const { model } = await loadWeights(bytes, path);
    const then = { ...subject, drawable: { ...subject.drawable, model } };
    for await (const { figures } of compareSolvers(then, judges, [solver], comparison)) { // from the same noise
      course.push({ step, figures: valuesOf(figures) });
    }
  }
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
    figures: valuesOf(figures),
    real: Object.fromEntries(real),
    solvers,
    milestones: course,
  };
}

function multiplyAddsOf({ drawable: { model, shape }, classes }: EvaluatedNetwork): number {
  return countMultiplyAdds(() => {
    const condition = classes > 0 ? tensor(new Uint32Array(1)) : undefined;
    model.velocity(zeros([1, ...shape]), tensor(new Float32Array(1)), condition);
  });
}
