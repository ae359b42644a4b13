import { join } from "node:path";
import { runFile } from "../run/layout.ts";
import { appendMetrics } from "../run/metrics_log.ts";
import type { Evaluated } from "./evaluate.ts";
import { writeEvaluation } from "./evaluation.ts";
import { figureNames, metricOf } from "./figures.ts";
import { writeJudged } from "./judged_file.ts";

/**
 * Adds an evaluation to a run: its files, its figures as metrics of the run, with the ends of their intervals. The
 * caller holds the run's lock.
 *
 * @throws {RunError} if a file cannot be written
 */
export async function recordEvaluation(run: string, { evaluation, judged }: Evaluated): Promise<void> {
  await writeEvaluation(join(run, runFile.evaluation), evaluation);
  if (judged) await writeJudged(run, judged);
  const metrics = figureNames.flatMap((name) => {
    const figure = evaluation.figures[name];
    if (!figure) return [];
    const metric = metricOf(name);
    return [[metric, figure.value], [`${metric}_low`, figure.low], [`${metric}_high`, figure.high]] as const;
  });
  const { weights: { step = 0 }, time } = evaluation;
  appendMetrics(join(run, runFile.metrics), { step, time, ...Object.fromEntries(metrics) });
}
