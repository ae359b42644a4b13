import { join } from "node:path";
import { withDevice } from "../../kernels/mod.ts";
import { CpuDevice } from "../../kernels/devices/cpu/cpu_device.ts";
import { asBytes, loadJudge } from "../../models/mod.ts";
import type {
  LiveJudge,
  PlaneTrajectories,
  Quality,
  QualityFigure,
  ReportRun,
  SolverQuality,
} from "../../viz/report/mod.ts";
import { readLossByTime } from "../evaluation/evaluation.ts";
import { readPlaneTrajectories } from "../draw/plane.ts";
import { aboutEvaluation, readEvaluation, readJudged } from "../evaluation/evaluation.ts";
import { figureKeys, meaningOf } from "../evaluation/figures.ts";
import { cheapestOfBest, readSolverCosts } from "../evaluation/solver_comparison.ts";
import { runFile } from "../run/files.ts";

/** Reads what judges and the data say of a run's network; `step` is its last step, to recognise an evaluation of earlier weights. */
export async function readQuality(
  run: string,
  step: number,
  judge: LiveJudge | undefined,
): Promise<Pick<ReportRun, "quality" | "overTime" | "lossByTime" | "solvers" | "plane">> {
  const lossByTime = await readLossByTime(run);
  const solvers = await readSolverQuality(run);
  const plane = await readPlane(run, judge);
  return {
    ...await readEvaluated(run, step),
    ...lossByTime && { lossByTime },
    ...solvers && { solvers },
    ...plane && { plane },
  };
}

async function readEvaluated(run: string, step: number): Promise<Pick<ReportRun, "quality" | "overTime">> {
  const evaluation = await readEvaluation(run);
  if (!evaluation) return {};
  const { figures, course, weights } = evaluation;
  const all = evaluation.judges[0]?.classes?.length ?? 0;
  const samples = await readJudged(run);
  const old = weights.step !== undefined && weights.step !== step
    ? ` This evaluates the weights of step ${weights.step}; the run has continued to step ${step}.`
    : "";
  const quality: Quality = {
    how: aboutEvaluation(evaluation).replaceAll("\n", ". ") + "." + old,
    count: evaluation.samples.count,
    figures: figureKeys.flatMap((key): QualityFigure[] => {
      const figure = figures[key];
      if (!figure) return [];
      const { name, judge, title, doc, better, share, ends, question } = meaningOf(key);
      const chance = name === "asked_class" && all > 0 ? 1 / all : undefined;
      const { value, low, high, count, real, realCount, noise, evaluations, seconds } = figure;
      return [{
        title,
        ...judge && { judge },
        ...question && { question },
        meaning: doc,
        better,
        value,
        low,
        high,
        cost: `${evaluations.toLocaleString("en")} evaluations, ${seconds.toFixed(1)} s`,
        ...share && { share },
        ...ends && { ends },
        ...chance !== undefined && { chance },
        ...real != null && { real },
        ...realCount !== count && realCount !== undefined && { realCount },
        ...noise != null && { noise },
      }];
    }),
    ...samples && { samples },
  };
  return { quality, ...course && { overTime: course } };
}

async function readSolverQuality(run: string): Promise<SolverQuality[] | undefined> {
  const costs = await readSolverCosts(join(run, runFile.solvers));
  if (!costs || costs.solvers.length === 0) return undefined;
  const chosen = cheapestOfBest(costs.solvers);
  return costs.solvers.map((cost) => ({
    solver: cost.spec.split(":")[0] + (cost.spec.includes("tol=") ? ", adaptive steps" : ""),
    words: cost.spec,
    evaluations: cost.evaluations,
    ...cost.frechet ? {} : { distance: meaningOf("kernel").title },
    frechet: (cost.frechet ?? cost.kernel)!,
    confident: cost.confident!.value,
    ...cost["vgg/confident"] && {
      second: {
        frechet: (cost["vgg/frechet"] ?? cost["vgg/kernel"])!,
        confident: cost["vgg/confident"].value,
      },
    },
    chosen: cost === chosen,
  }));
}

/** Reads the trajectories in a plane; the run's judge, if there is one, assigns their classes. */
async function readPlane(run: string, live: LiveJudge | undefined): Promise<PlaneTrajectories | undefined> {
  const plane = await readPlaneTrajectories(run);
  if (!plane || !live) return plane;
  const device = await CpuDevice.open({ threads: 1 }); // separate from the device in use
  try {
    const judge = withDevice(device, () => loadJudge(live.weights, join(run, runFile.judge)));
    const { probabilities } = await judge.judge(asBytes(plane.image));
    const K = judge.info.classes;
    const classes = Uint32Array.from({ length: probabilities.length / K }, (_, n) => {
      const shares = probabilities.subarray(n * K, (n + 1) * K);
      return shares.indexOf(Math.max(...shares));
    });
    return { ...plane, classes, classifier: { judgeAccuracy: judge.info.accuracy } };
  } finally {
    device.close();
  }
}
