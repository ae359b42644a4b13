import type { Device } from "../../kernels/mod.ts";
import { print, ProgressBar, say, stageProgress, stderr } from "../cli/output.ts";
import { lockRun, writeJson } from "../run/run_folder.ts";
import { trackingOf } from "../tracking/choose_tracking.ts";
import { trySendingRun } from "../tracking/run_tracker.ts";
import { evaluatedNetwork } from "./evaluated_network.ts";
import { evaluateNetwork, expectedEvaluations } from "./evaluate_network.ts";
import {
  aboutEvaluation,
  type Evaluation,
  evaluationTable,
  recordEvaluation,
  solverTable,
} from "./evaluation.ts";
import { evaluationOptions, type MeasuringWords } from "./evaluation_options.ts";
import { type JudgeChoice, judgesFor } from "./judges.ts";
import { cheapestOfBest, measureSolvers, solversFile } from "./solver_comparison.ts";

/** What `evaluate` was asked for. */
type Asked =
  & Parameters<typeof evaluatedNetwork>[1]
  & MeasuringWords
  & Parameters<typeof trackingOf>[0]
  & {
    readonly out: string | null;
    readonly solvers: Parameters<typeof measureSolvers>[3] | null;
    readonly judge: JudgeChoice;
    readonly judgeSteps: number | null;
  };

/**
 * Measures a run, or the checkpoint that was asked for; prints and records the figures, or the comparison of solvers,
 * and sends the run with its `report` to its tracking server. Undefined if it was stopped, or solvers were compared.
 *
 * @param usual number of samples, unless another was asked for
 */
export async function evaluateRun(
  run: string | undefined,
  asked: Asked,
  { device, signal, usual, report }: {
    readonly device: Device;
    readonly signal: AbortSignal;
    readonly usual: number;
    readonly report: (run: string) => Promise<void>;
  },
): Promise<Evaluation | undefined> {
  // Check everything that may be wrong before the first sample is drawn.
  const target = run === undefined ? undefined : (await trackingOf(asked, run)).target;
  using lock = run === undefined ? undefined : await lockRun(run);
  const subject = await evaluatedNetwork(run, asked);
  const options = evaluationOptions(asked, subject, usual);
  const { judge, judgeSteps } = asked;
  const seeking = { judge, steps: judgeSteps ?? undefined, say, signal, terminal: stderr };
  const judges = await judgesFor(subject.data, seeking);
  if (signal.aborted) return undefined;

  let bar: ProgressBar | undefined;
  const start = (totalSteps: number) =>
    bar = new ProgressBar({ totalSteps, imagesPerStep: 1, unit: "evaluations" }, stderr);
  const pairs = stageProgress("comparing pairs of images", stderr);
  const watch = {
    signal,
    onProgress: (done: number) => bar?.update(done),
    onCompared: (done: number, most: number) => (bar?.clear(), bar?.skipTime(), pairs.update(done, most)),
  };
  let evaluation: Evaluation | undefined;
  if (asked.solvers) {
    const file = run === undefined ? asked.out : solversFile(run);
    const how = { ...options, ...watch, device: device.description, say, onStart: start };
    const costs = await measureSolvers(file, subject, judges, asked.solvers, how).finally(() => bar?.clear());
    if (costs.solvers.length > 0) print(solverTable(costs));
    if (signal.aborted) {
      say("Stopped; run the same command to resume");
      return undefined;
    }
    print(`Cheapest solver within the best one's interval: ${cheapestOfBest(costs.solvers).spec}`);
  } else {
    start(expectedEvaluations(subject, judges, options));
    const result = await evaluateNetwork(subject, judges, options, watch).finally(() => bar?.clear());
    if (!result) return undefined;
    evaluation = result.evaluation;
    print(`${aboutEvaluation(evaluation)}\n${evaluationTable(evaluation)}`);
    if (run !== undefined) await recordEvaluation(run, result);
    else if (asked.out !== null) await writeJson(asked.out, evaluation);
  }
  if (run === undefined) return evaluation;
  await report(run);
  lock?.[Symbol.dispose](); // sending locks the run again
  if (target) await trySendingRun(run, target, say);
  return evaluation;
}
