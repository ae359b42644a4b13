import { basename, join, resolve } from "node:path";
import type { Fact, ReportRun, Series } from "../../viz/report/mod.ts";
import { readLiveJudge } from "../evaluation/evaluation.ts";
import { withMargin } from "../cli/output.ts";
import { readJson, RunError } from "../run/run_folder.ts";
import { runFile } from "../run/files.ts";
import { lastStep, type Metrics, readMetrics } from "../run/metrics_log.ts";
import { describeData } from "../data/dataset.ts";
import { asText } from "../cli/settings.ts";
import { settingsIn } from "../settings/config_file.ts";
import { formatNetwork } from "../settings/network.ts";
import { plannedStages } from "../settings/stages.ts";
import { currentRecord, type RunRecord } from "../tracking/record.ts";
import { readNetwork, readSamples, readTrajectories } from "./drawn.ts";
import { readQuality } from "./judged.ts";

/**
 * Reads the data of a report from run folders.
 *
 * @param live whether the page can sample from the networks
 * @throws the errors of `decodeCheckpoint` and `decodeJudge` if weights are damaged
 */
export async function readReportRuns(
  folders: readonly string[],
  live = false,
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

async function readReportRun(folder: string, name: string, live: boolean): Promise<ReportRun> {
  const config = await readJson(join(folder, runFile.config));
  if (config === undefined) {
    throw new RunError(
      `Cannot report ${folder}: it does not contain ${runFile.config} (expected the folder of a run)`,
    );
  }
  const environment = await readJson(join(folder, runFile.environment)) ?? {};
  const metrics = await readMetrics(join(folder, runFile.metrics));
  const record = await currentRecord(folder);
  const facts = { config, environment, metrics, record };
  const results = resultsOf(facts);
  const judge = await readLiveJudge(folder);
  return {
    name,
    title: formatTitle(facts),
    summary: summaryOf(new Map(results)),
    ending: endingOf(facts),
    results,
    settings: factsOf(config),
    environment: factsOf(environment),
    classNames: record?.dataset?.classNames ?? undefined,
    subject: record?.dataset?.name === "mnist" ? "digits" : undefined,
    trainLoss: seriesOf(metrics, "train_loss"),
    gradientNorm: seriesOf(metrics, "gradient_norm"),
    stages: stagesOf(config),
    valLoss: seriesOf(metrics, "val_loss"),
    testLoss: seriesOf(metrics, "test_loss").value.at(-1),
    learningRate: seriesOf(metrics, "learning_rate"),
    ...await readQuality(folder, lastStep(metrics), judge),
    ...await readSamples(folder, config, record?.dataset ?? null),
    isFlowMap: typeof config.teacher === "string",
    maxGuidance: Number(config.maxGuidance) > 1 ? Number(config.maxGuidance) : undefined,
    ...await readTrajectories(folder),
    live: live ? await readNetwork(folder, config, judge) : "the report was written with --no-live",
  };
}

/** The stages of a distillation, if it has several. */
function stagesOf(config: Fields): ReportRun["stages"] {
  const { stages, batchSize, maxSteps } = settingsIn(config);
  if (!stages || batchSize === undefined) return undefined;
  const planned = plannedStages(stages, batchSize, maxSteps);
  return planned.length > 1 ? planned.map(({ name, from }) => ({ name, from })) : undefined;
}

/** A metric of a run by step, without values that are not finite. */
function seriesOf(metrics: readonly Metrics[], name: string): Series {
  const lines = metrics.filter((line) => Number.isFinite(line[name]));
  return { step: lines.map(({ step }) => step), value: lines.map((line) => Number(line[name])) };
}

type Fields = Readonly<Record<string, unknown>>;

/** The data of a run folder, apart from pictures. */
interface RunFacts {
  /** Contents of `config.json`. */
  readonly config: Fields;
  readonly environment: Fields;
  readonly metrics: readonly Metrics[];
  readonly record?: RunRecord | undefined;
}

/** A title for a run, such as `Residual U-Net on MNIST`. */
function formatTitle({ config, record }: RunFacts): string {
  const network = formatNetwork(settingsIn(config)).replace(/ \[.*/, "");
  const { name = "" } = record?.dataset ?? {};
  const data = name && ` on ${name === "mnist" ? "MNIST" : name}`;
  return `${network[0].toUpperCase()}${network.slice(1)}${
    typeof config.teacher === "string" ? ", distilled," : ""
  }${data}`;
}

/** One sentence on how a stopped or failed run ended. */
function endingOf({ record, metrics }: RunFacts): string | undefined {
  const step = lastStep(metrics);
  const when = step > 0 ? `after step ${step.toLocaleString("en")}` : "before its first logged step";
  if (record?.status === "KILLED") return `Stopped early, ${when}.`;
  if (record?.status !== "FAILED") return undefined;
  return `Failed ${when}: ${record.reason ?? "its program gave no reason"}.`;
}

function summaryOf(results: ReadonlyMap<string, string>): string {
  const words = (before: string, name: string, after = "") => {
    const value = results.get(name);
    return value === undefined ? "" : `${before}${value}${after}`;
  };
  let summary = words("", "Network") + words(", ", "Parameters", " parameters");
  if (results.has("Training time")) {
    summary += words("; trained for ", "Training time") + words(" at ", "Images/s", " images/s") +
      words(" on ", "Device");
  }
  return `${summary}${words("; test loss ", "Test loss")}.`;
}

/** The outcome of a run. */
export function resultsOf({ config, environment, metrics, record }: RunFacts): Fact[] {
  const all = (name: string) =>
    metrics.flatMap((line) => Number.isFinite(line[name]) ? [Number(line[name])] : []);
  const loss = (value: number | undefined) => value?.toFixed(4);
  const count = (value: number) => value > 0 ? value.toLocaleString("en") : undefined;
  const step = lastStep(metrics);
  const seconds = all("elapsed_seconds").at(-1);
  const images = typeof config.batchSize === "number" ? step * config.batchSize : 0;
  const losses = all("val_loss");
  const tested = all("test_loss").at(-1);
  const { description } = Object(environment.adapter);
  const facts: [string, string | undefined][] = [
    ["Test loss", tested === undefined ? undefined : withMargin(tested, all("test_loss_margin").at(-1))],
    ["Validation loss", loss(losses.at(-1))],
    ["Best validation loss", losses.length > 0 ? loss(losses.reduce((a, b) => Math.min(a, b))) : undefined],
    ["Training loss at the end", loss(all("train_loss").at(-1))], // as in `runs`, `compare` and MLflow
    ["Network", formatNetwork(settingsIn(config))],
    ["Parameters", record?.parameterCount?.toLocaleString("en")],
    ["Data", dataOf(record)],
    ["Steps", count(step)],
    ["Images seen", count(images)],
    ["Images/s", seconds && images > 0 ? (images / seconds).toFixed(1) : undefined],
    ["Training time", seconds === undefined ? undefined : durationOf(seconds)],
    ["Device", typeof description === "string" ? description : undefined],
  ];
  return facts.flatMap(([name, value]) => value === undefined ? [] : [[name, value] as const]);
}

function factsOf(fields: Fields): Fact[] {
  return Object.entries(fields)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => [name, asText(value)]);
}

function dataOf(record: RunFacts["record"]): string | undefined {
  if (!record?.dataset) return undefined;
  const { channels = 1, classes = 0, classNames, ...rest } = record.dataset;
  return describeData({ ...rest, channels, classes, classNames: classNames ?? undefined });
}

function durationOf(seconds: number): string {
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  return seconds < 6000 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
