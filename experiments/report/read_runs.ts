import { basename, join, resolve } from "node:path";
import { withDevice } from "../../kernels/mod.ts";
import { CpuDevice } from "../../kernels/devices/cpu/cpu_device.ts";
import {
  asBytes,
  decodeCheckpoint,
  evaluationsOf,
  loadJudge,
  type SolverName,
  solvers,
} from "../../models/mod.ts";
import { evenTimes } from "../../viz/mod.ts";
import type {
  LiveJudge,
  LiveNetwork,
  PlaneTrajectories,
  Quality,
  QualityFigure,
  ReportRun,
  Series,
  SolverQuality,
} from "../../viz/report/mod.ts";
import { readExamples } from "../data/example_file.ts";
import { readLossByTime } from "../evaluation/loss_by_time.ts";
import { className, formatAutoguidance, formatGuidance } from "../draw/conditioning.ts";
import { readPlaneTrajectories } from "../draw/plane.ts";
import { columnsOf } from "../draw/pictures.ts";
import { findTrajectories } from "../draw/trajectories.ts";
import { readEvaluation, readJudged, readLiveJudge } from "../evaluation/evaluation.ts";
import { figureKeys, meaningOf } from "../evaluation/figures.ts";
import { cheapestOfBest, readSolverCosts } from "../evaluation/solver_comparison.ts";
import { aboutEvaluation } from "../evaluation/evaluation_table.ts";
import { readFile, readIfThere, RunError } from "../run/run_folder.ts";
import { runFile } from "../run/files.ts";
import { findEarlyWeights, findWeights } from "../run/weights.ts";
import { lastStep, type Metrics } from "../run/metrics_log.ts";
import { formatFacts, formatTitle, readFacts } from "./facts.ts";
import { plannedStages } from "../cli/stages.ts";
import { training } from "../cli/training.ts";
import { ownConfigIn } from "../networks/own_network.ts";

/**
 * Reads the data of a report from run folders.
 *
 * @param live whether the page can sample from the networks, or why not
 * @throws {RunError} if a folder is not a run folder, a file in it cannot be read, or a run is repeated
 * @throws the errors of `decodeCheckpoint` and `decodeJudge` if weights are damaged
 */
export async function readReportRuns(
  folders: readonly string[],
  live: boolean | string = false,
): Promise<ReportRun[]> {
  const paths = folders.map((folder) => resolve(folder));
  const twice = folders.find((_, i) => paths.indexOf(paths[i]) < i);
  if (twice !== undefined) throw new RunError(`Cannot report ${twice} twice: name each run once`);
  const names = paths.map((path) => basename(path));
  const runs: ReportRun[] = [];
  for (const [i, folder] of folders.entries()) { // in order, so that the first error is always the same
    const shared = names.filter((name) => name === names[i]).length > 1;
    runs.push(await readReportRun(folder, shared ? folder : names[i], live));
  }
  return runs;
}

async function readReportRun(folder: string, name: string, live: boolean | string): Promise<ReportRun> {
  const facts = await readFacts(folder);
  const { config, metrics, record } = facts;
  const classNames = record?.dataset?.classNames;
  const lossByTime = await readLossByTime(folder);
  const samplesPng = await readIfThere(join(folder, runFile.samples));
  const fewStepsPng = await readIfThere(join(folder, runFile.fewSteps));
  const { classes = 0, width = 0 } = record?.dataset ?? {};
  const columns = samplesPng && config.conditional === true ? columnsOf(samplesPng, width) : 0;
  const isAligned = columns > 0 && columns % classes === 0;
  const samplesText = formatSamples(config, isAligned);
  const samplesColumns = Array.from(
    { length: isAligned ? columns : 0 },
    (_, n) => className(n % classes, classNames ?? undefined),
  );
  const judge = await readLiveJudge(folder);
  const plane = await readPlane(folder, judge);
  const solvers = await readSolverQuality(folder);
  return {
    name,
    title: formatTitle(facts),
    ...formatFacts(facts),
    ...typeof config.note === "string" && { note: config.note },
    ...classNames && { classNames },
    ...record?.dataset?.name === "mnist" && { subject: "digits" },
    trainLoss: seriesOf(metrics, "train_loss"),
    ...stagesOf(config),
    valLoss: seriesOf(metrics, "val_loss"),
    learningRate: seriesOf(metrics, "learning_rate"),
    ...lossByTime && { lossByTime },
    ...await readQuality(folder, lastStep(metrics)),
    ...solvers && { solvers },
    ...samplesPng && { samplesPng },
    ...fewStepsPng && { fewStepsPng },
    ...typeof config.teacher === "string" && { isFlowMap: true },
    ...typeof config.maxGuidance === "number" && config.maxGuidance > 1 &&
      { maxGuidance: config.maxGuidance },
    ...samplesText !== undefined && { samplesText },
    ...samplesColumns.length > 0 && { samplesColumns },
    ...await readTrajectories(folder),
    ...plane && { plane },
    live: live === true
      ? await readNetwork(folder, config, judge)
      : live || "the report was written with --no-live",
  };
}

/** The stages of a distillation, if it has several. */
function stagesOf(
  { stages, batchSize, maxSteps }: Readonly<Record<string, unknown>>,
): Pick<ReportRun, "stages"> {
  const isKnown = typeof stages === "string" && training.rows.stages.accepts(stages);
  if (!isKnown || typeof batchSize !== "number") return {};
  const planned = plannedStages(stages, batchSize, typeof maxSteps === "number" ? maxSteps : undefined);
  return planned.length > 1 ? { stages: planned.map(({ name, from }) => ({ name, from })) } : {};
}

/** Describes how a run's samples were drawn. */
function formatSamples(
  { conditional, guidance }: Readonly<Record<string, unknown>>,
  isAligned: boolean,
): string | undefined {
  const scale = typeof guidance === "number" ? guidance : 1;
  if (conditional === true) {
    return `${isAligned ? "one class per column" : "classes in turn"}, ${formatGuidance({ scale })}`;
  }
  return scale === 1 ? undefined : `${formatAutoguidance(scale)}; trajectories are drawn without it`;
}

/** A metric of a run by step, without values that are not finite. */
function seriesOf(metrics: readonly Metrics[], name: string): Series {
  const lines = metrics.filter((line) => Number.isFinite(line[name]));
  return { step: lines.map(({ step }) => step), value: lines.map((line) => Number(line[name])) };
}

async function readTrajectories(folder: string): Promise<Pick<ReportRun, "trajectories" | "solved">> {
  const snapshots = await findTrajectories(folder);
  if (snapshots.length === 0) return { trajectories: [] };
  const trajectories = snapshots.map(({ trajectory }) => trajectory);
  const [{ seed, solver, steps, guidance, trajectory: { t } }] = snapshots;
  const isOneBatch = snapshots.every((one, i) =>
    one.k === i + 1 && one.seed === seed && one.solver === solver && one.steps === steps &&
    one.guidance === guidance
  );
  if (!isOneBatch) return { trajectories }; // files were deleted or copied
  const labels = snapshots.flatMap(({ label }) => label ?? []);
  const isKnown = (name: string): name is SolverName => Object.hasOwn(solvers, name);
  return {
    trajectories,
    solved: {
      seed,
      solver,
      steps,
      ...t.length === steps + 1 && !evenTimes(t) && { times: [...t] },
      ...labels.length === snapshots.length && { labels, guidance: guidance ?? 1 },
      ...isKnown(solver) && { evaluations: evaluationsOf({ solver, steps })! },
    },
  };
}

/** Reads the trajectories in a plane; the run's judge, if there is one, assigns their classes. */
async function readPlane(
  folder: string,
  judge: LiveJudge | undefined,
): Promise<PlaneTrajectories | undefined> {
  const plane = await readPlaneTrajectories(folder);
  return plane && judge
    ? { ...plane, ...await judged(plane.image, judge, join(folder, runFile.judge)) }
    : plane;
}

async function judged(
  pixels: Float32Array,
  { weights }: LiveJudge,
  source: string,
): Promise<Pick<PlaneTrajectories, "classes" | "classifier">> {
  const device = await CpuDevice.open({ threads: 1 }); // separate from the device in use
  try {
    const judge = withDevice(device, () => loadJudge(weights, source));
    const { probabilities } = await judge.judge(asBytes(pixels));
    const K = judge.info.classes;
    const classes = Uint32Array.from({ length: probabilities.length / K }, (_, n) => {
      const shares = probabilities.subarray(n * K, (n + 1) * K);
      return shares.indexOf(Math.max(...shares));
    });
    return { classes, classifier: { judgeAccuracy: judge.info.accuracy } };
  } finally {
    device.close();
  }
}

/** Reads the quality of a run's network; `step` is its last step, to recognise an evaluation of earlier weights. */
async function readQuality(
  run: string,
  step: number,
): Promise<Pick<ReportRun, "quality" | "overTime">> {
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

/** Maximum bytes of a checkpoint in a report, about two million weights; base64 adds a third. */
const maxBytes = 8 * 2 ** 20;

/**
 * Reads the network of a run, for sampling in the page.
 *
 * @returns the network, or why there is none, as the end of a sentence
 */
export async function readNetwork(
  run: string,
  config: Readonly<Record<string, unknown>>,
  judge?: LiveJudge,
): Promise<LiveNetwork | string> {
  const weights = findWeights(run);
  if (!weights) return "its folder does not contain weights";
  const mebibytes = (bytes: number) => `${(Math.ceil(10 * bytes / 2 ** 20) / 10).toFixed(1)} MiB`;
  if (weights.size > maxBytes) {
    return `its weights take ${mebibytes(weights.size)}, but a report holds at most ${mebibytes(maxBytes)}`;
  }
  const checkpoint = await readCheckpoint(weights.path, run);
  const early = await readEarly(run, config, maxBytes - checkpoint.length);
  const tests = await readExamples(run);
  const own = ownConfigIn(checkpoint, weights.path);
  if (own) return `its network is a module, ${own.name}, and a page holds only the library`;
  return {
    checkpoint,
    ...early && { early },
    ...tests && { tests },
    ...judge && { judge },
  };
}

/** Reads the early weights of a run without labels for autoguidance, if they are small enough. */
async function readEarly(
  run: string,
  { conditional, guidance }: Readonly<Record<string, unknown>>,
  most: number,
): Promise<LiveNetwork["early"]> {
  if (conditional === true || typeof guidance !== "number" || guidance === 1) return undefined;
  const early = findEarlyWeights(run);
  if (!early || early.size > most) return undefined;
  return { checkpoint: await readCheckpoint(early.path, run), guidance };
}

/** Reads weights and checks that they can be decoded. */
async function readCheckpoint(path: string, run: string): Promise<Uint8Array> {
  const bytes = await readFile(path, run);
  decodeCheckpoint(bytes, path);
  return bytes;
}
