import { basename, join, resolve } from "node:path";
import { type ButcherTableau, evaluations, solvers } from "../../models/mod.ts";
import { evenTimes, type ImageSize, imageSizeOf, sizeInWords, sizeWithChannels } from "../../viz/mod.ts";
import type { Paths, ReportRun, Series } from "../../viz/report/mod.ts";
import { RunError } from "../run/atomic_write.ts";
import { countWeights } from "./count_weights.ts";
import { autoguidanceInWords, guidanceInWords } from "../draw/conditioning.ts";
import { readPlaneTrajectories } from "../draw/plane_trajectories.ts";
import { findTrajectories } from "../draw/trajectories.ts";
import { readLossByTime } from "../artifacts/test_loss.ts";
import { runFile, weightsFile } from "../run/layout.ts";
import { lastStep, type Metrics, readMetrics } from "../run/metrics_log.ts";
import { readIfThere, readJson } from "../run/read_file.ts";
import { readRecord } from "../tracking/record.ts";
import { endingOf } from "./ending.ts";
import { factsOf, resultsOf, summaryOf } from "./facts.ts";
import { readQuality, readSolverQuality } from "./quality.ts";

/**
 * Reads everything that a report shows of runs from their folders.
 *
 * @throws {RunError} if a folder is not that of a run, a file in it cannot be read, a run is given twice, or the images
 * of two runs differ in size
 */
export async function readReportRuns(folders: readonly string[]): Promise<ReportRun[]> {
  const paths = folders.map((folder) => resolve(folder));
  const twice = folders.find((_, i) => paths.indexOf(paths[i]) < i);
  if (twice !== undefined) throw new RunError(`Cannot report ${twice} twice: give each run once`);
  const names = paths.map((path) => basename(path));
  const runs: ReportRun[] = [];
  for (const [i, folder] of folders.entries()) { // in turn: of two errors always the same is told
    // Runs of one name in different folders are told apart by the folders.
    const shared = names.filter((name) => name === names[i]).length > 1;
    runs.push(await readReportRun(folder, shared ? folder : names[i]));
  }
  checkSizes(runs);
  return runs;
}

async function readReportRun(folder: string, name: string): Promise<ReportRun> {
  const config = await readJson(join(folder, runFile.config));
  if (config === undefined) {
    throw new RunError(
      `Cannot report ${folder}: there is no ${runFile.config} in it (expected the folder of a run)`,
    );
  }
  const record = {
    config,
    environment: await readJson(join(folder, runFile.environment)) ?? {},
    metrics: await readMetrics(join(folder, runFile.metrics)),
    parameters: await countWeights(join(folder, weightsFile("last"))),
    dataset: (await readRecord(folder))?.dataset,
  };
  const { environment, metrics } = record;
  const lossByTime = await readLossByTime(folder);
  const samplesPng = await readIfThere(join(folder, runFile.samples));
  const paths = await readPlaneTrajectories(folder);
  const ending = await endingOf(folder, metrics);
  const quality = await readQuality(folder, lastStep(metrics));
  const solvers = await readSolverQuality(folder);
  return {
    name,
    summary: summaryOf(record),
    ...ending && { ending },
    ...typeof config.note === "string" && { note: config.note },
    results: resultsOf(record),
    settings: factsOf(config),
    environment: factsOf(environment),
    trainLoss: seriesOf(metrics, "train_loss"),
    valLoss: seriesOf(metrics, "val_loss"),
    learningRate: seriesOf(metrics, "learning_rate"),
    ...lossByTime && { lossByTime },
    ...quality && { quality },
    ...solvers && { solvers },
    ...samplesPng && { samplesPng },
    ...samplesTextOf(config),
    ...await readTrajectories(folder),
    ...paths && { paths },
  };
}

/** How a run's samples were drawn, in words. */
function samplesTextOf(
  { conditional, guidance }: Readonly<Record<string, unknown>>,
): Pick<ReportRun, "samplesText"> {
  const scale = typeof guidance === "number" ? guidance : 1;
  if (conditional === true) return { samplesText: `one column a class, ${guidanceInWords({ scale })}` };
  return scale === 1 ? {} : { samplesText: `${autoguidanceInWords(scale)}; flows are drawn without` };
}

/** One of a run's metrics over the steps; numbers that are not finite cannot be drawn and are left out. */
export function seriesOf(metrics: readonly Metrics[], name: string): Series {
  const lines = metrics.filter((line) => Number.isFinite(line[name]));
  return { step: lines.map(({ step }) => step), value: lines.map((line) => Number(line[name])) };
}

async function readTrajectories(folder: string): Promise<Pick<ReportRun, "trajectories" | "solved">> {
  const snapshots = await findTrajectories(folder);
  if (snapshots.length === 0) return { trajectories: [] };
  const [{ seed, solver, steps, guidance, trajectory: { t } }] = snapshots;
  const labels = snapshots.flatMap(({ label }) => label ?? []);
  const asked = labels.length === snapshots.length ? { labels, guidance: guidance ?? 1 } : {};
  const times = t.length === steps + 1 && !evenTimes(t) ? { times: [...t] } : {};
  const tableau: ButcherTableau | undefined = Object.hasOwn(solvers, solver) ? solvers[solver] : undefined;
  const cost = tableau ? { evaluations: evaluations(tableau, steps) } : {};
  return {
    trajectories: snapshots.map(({ trajectory }) => trajectory),
    solved: { seed, solver, steps, ...times, ...asked, ...cost },
  };
}

/** One slider moves all pictures: the images of a report are of one size. */
function checkSizes(runs: readonly ReportRun[]): void {
  const sizes = runs.flatMap(({ name, trajectories, paths }) => [
    ...trajectories.map((trajectory) => ({ name, M: trajectory.shape[0], size: imageSizeOf(trajectory) })),
    ...paths ? [{ name, M: 2, size: sizeOfPaths(paths) }] : [],
  ]);
  const still = sizes.find(({ M }) => M < 2);
  if (still) {
    throw new RunError(
      `Cannot report ${still.name}: one of its trajectories has one snapshot (expected 2 or more)`,
    );
  }
  const other = sizes.find(({ size }) => `${size}` !== `${sizes[0].size}`);
  if (!other) return;
  const [{ name, size }] = sizes;
  throw new RunError(
    `Cannot report ${name} and ${other.name} together: their images are ${sizeInWords(size)} and ` +
      `${sizeInWords(other.size)} (expected one size)`,
  );
}

function sizeOfPaths({ shape }: Paths): ImageSize {
  const [, , ...size] = shape;
  return sizeWithChannels(size);
}
