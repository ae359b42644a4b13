import { join } from "node:path";
import { withDevice } from "../../kernels/mod.ts";
import { CpuDevice } from "../../kernels/devices/cpu/cpu_device.ts";
import { asBytes, loadJudge } from "../../models/mod.ts";
import type {
  JudgedSamples,
  LiveJudge,
  PlaneTrajectories,
  Quality,
  QualityFigure,
  ReportRun,
  SolverQuality,
} from "../../viz/report/mod.ts";
import { readPlaneTrajectories } from "../draw/plane.ts";
import {
  aboutEvaluation,
  type Evaluation,
  readEvaluation,
  readJudged,
  readLossByTime,
} from "../evaluation/evaluation.ts";
import { figureKeys, meaningOf } from "../evaluation/figures.ts";
import { cheapestOfBest, readSolverCosts } from "../evaluation/solver_comparison.ts";
import { runFile } from "../run/files.ts";

/**
 * Reads what judges and the data say of a run's network.
 *
 * @param step the run's last step, to recognise an evaluation of earlier weights
 */
export async function readQuality(
  run: string,
  step: number,
  judge: LiveJudge | undefined,
): Promise<Pick<ReportRun, "quality" | "overTime" | "lossByTime" | "solvers" | "plane">> {
  const evaluation = await readEvaluation(run);
  return {
    quality: evaluation && qualityOf(evaluation, step, await readJudged(run)),
    overTime: evaluation?.course,
    lossByTime: await readLossByTime(run),
    solvers: await readSolverQuality(run),
    plane: await readPlane(run, judge),
  };
}

function qualityOf(evaluation: Evaluation, step: number, samples: JudgedSamples | undefined): Quality {
  const { figures, weights, judges } = evaluation;
  const classes = judges[0]?.classes?.length;
  const old = weights.step !== undefined && weights.step !== step
    ? ` This evaluates the weights of step ${weights.step}; the run has continued to step ${step}.`
    : "";
  return {
    how: aboutEvaluation(evaluation).replaceAll("\n", ". ") + "." + old,
    count: evaluation.samples.count,
    figures: figureKeys.flatMap((key): QualityFigure[] => {
      const figure = figures[key];
      if (!figure) return [];
      const { evaluations, seconds, count, realCount } = figure;
      const { name, doc, ...about } = meaningOf(key);
      return [{
        ...about,
        ...figure,
        meaning: doc,
        cost: `${evaluations.toLocaleString("en")} evaluations, ${seconds.toFixed(1)} s`,
        chance: name === "asked_class" && classes ? 1 / classes : undefined,
        realCount: realCount === count ? undefined : realCount,
      }];
    }),
    samples,
  };
}

async function readSolverQuality(run: string): Promise<SolverQuality[] | undefined> {
  const costs = await readSolverCosts(join(run, runFile.solvers));
  if (!costs || costs.solvers.length === 0) return undefined;
  const chosen = cheapestOfBest(costs.solvers);
  return costs.solvers.map((cost) => {
    const { spec, evaluations, figures } = cost;
    const second = figures["vgg/confident"];
    return {
      solver: spec.split(":")[0] + (spec.includes("tol=") ? ", adaptive steps" : ""),
      words: spec,
      evaluations,
      distance: figures.frechet ? undefined : meaningOf("kernel").title,
      frechet: (figures.frechet ?? figures.kernel)!,
      confident: figures.confident!.value,
      second: second && {
        frechet: (figures["vgg/frechet"] ?? figures["vgg/kernel"])!,
        confident: second.value,
      },
      chosen: cost === chosen,
    };
  });
}

/** Reads the trajectories in a plane; the run's judge, if there is one, assigns a class to each. */
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
    return { ...plane, judged: { classes, accuracy: judge.info.accuracy } };
  } finally {
    device.close();
  }
}
