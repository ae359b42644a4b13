import { basename, join, resolve } from "node:path";
import type { ReportRun, Series } from "../../viz/report/mod.ts";
import { RunError } from "../run/atomic_write.ts";
import { countWeights } from "./count_weights.ts";
import { readFlowPaths } from "../draw/flow_paths_file.ts";
import { readFlowSnapshots } from "../draw/flow_snapshots.ts";
import { readLossByTime } from "../draw/loss_by_time.ts";
import { type Metrics, readMetrics } from "../run/metrics_log.ts";
import { readIfThere, readJson } from "../run/read_file.ts";
import { factsOf, resultsOf, summaryOf } from "./words.ts";
import { flowFile, runFile, weightsFile } from "../run/layout.ts";

/**
 * Reads all that a report tells of runs from their folders.
 *
 * @throws {RunError} if a folder is none of a run, a file in it is damaged, a run is given twice, or the images of two
 * runs differ in size
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
  };
  const { environment, metrics } = record;
  const lossByTime = await readLossByTime(folder);
  const samplesPng = await readIfThere(join(folder, runFile.samples));
  const paths = await readFlowPaths(folder);
  return {
    name,
    summary: summaryOf(record),
    ...typeof config.note === "string" && { note: config.note },
    results: resultsOf(record),
    settings: factsOf(config),
    environment: factsOf(environment),
    trainLoss: seriesOf(metrics, "train_loss"),
    valLoss: seriesOf(metrics, "val_loss"),
    learningRate: seriesOf(metrics, "learning_rate"),
    ...lossByTime && { lossByTime },
    ...samplesPng && { samplesPng },
    ...await readEvolutions(folder),
    ...paths && { paths },
  };
}

/** What a run's metrics say of one of them, over the steps; only finite numbers can be drawn. */
export function seriesOf(metrics: readonly Metrics[], name: string): Series {
  const lines = metrics.filter((line) => Number.isFinite(line[name]));
  return { step: lines.map(({ step }) => step), value: lines.map((line) => Number(line[name])) };
}

async function readEvolutions(folder: string): Promise<Pick<ReportRun, "evolutions" | "solved">> {
  try {
    await Deno.stat(join(folder, flowFile(1)));
  } catch {
    return { evolutions: [] }; // the run stores none
  }
  const snapshots = await readFlowSnapshots(folder);
  const [{ seed, solver, steps }] = snapshots;
  return { evolutions: snapshots.map(({ evolution }) => evolution), solved: { seed, solver, steps } };
}

/** One slider, one set of pictures: all images of a report are of one size. */
function checkSizes(runs: readonly ReportRun[]): void {
  const sizes = runs.flatMap(({ name, evolutions, paths }) => [
    ...evolutions.map(({ shape: [M, H, W] }) => ({ name, M, size: `${H}x${W}` })),
    ...paths ? [{ name, M: 2, size: `${paths.shape[2]}x${paths.shape[3]}` }] : [],
  ]);
  const still = sizes.find(({ M }) => M < 2);
  if (still) {
    throw new RunError(
      `Cannot report ${still.name}: an evolution in it has one snapshot (expected 2 or more)`,
    );
  }
  const other = sizes.find(({ size }) => size !== sizes[0].size);
  if (!other) return;
  throw new RunError(
    `Cannot report ${sizes[0].name} and ${other.name} together: their images are ${
      sizes[0].size
    } and ${other.size} ` +
      "(expected one size)",
  );
}
