import { join } from "node:path";
import type { Fact, ReportRun } from "../../viz/report/mod.ts";
import { describeData } from "../data/dataset.ts";
import { readJson, RunError } from "../run/run_folder.ts";
import { runFile } from "../run/files.ts";
import { lastStep, type Metrics, readMetrics } from "../run/metrics_log.ts";
import { formatNetwork } from "../cli/model_setting.ts";
import { asText } from "../cli/settings.ts";
import { currentRecord, type RunRecord } from "../tracking/record.ts";

type Fields = Readonly<Record<string, unknown>>;

/** The data of a run folder, apart from pictures. */
export interface RunFacts {
  /** Contents of `config.json`. */
  readonly config: Fields;
  readonly environment: Fields;
  readonly metrics: readonly Metrics[];
  readonly record?: RunRecord | undefined;
}

/**
 * Reads the data of a run folder.
 *
 * @throws {RunError} if it is not a run folder, or a file in it cannot be read
 */
export async function readFacts(folder: string): Promise<RunFacts> {
  const config = await readJson(join(folder, runFile.config));
  if (config === undefined) {
    throw new RunError(
      `Cannot report ${folder}: it does not contain ${runFile.config} (expected the folder of a run)`,
    );
  }
  return {
    config,
    environment: await readJson(join(folder, runFile.environment)) ?? {},
    metrics: await readMetrics(join(folder, runFile.metrics)),
    record: await currentRecord(folder),
  };
}

/** Formats the facts for a report. */
export function formatFacts(
  facts: RunFacts,
): Pick<ReportRun, "summary" | "ending" | "results" | "settings" | "environment"> {
  const results = resultsOf(facts);
  const ending = endingOf(facts);
  return {
    summary: summaryOf(new Map(results)),
    ...ending !== undefined && { ending },
    results,
    settings: factsOf(facts.config),
    environment: factsOf(facts.environment),
  };
}

/** A title for a run, such as `Residual U-Net on MNIST`. */
export function formatTitle({ config, record }: RunFacts): string {
  const network = formatNetwork(config).replace(/ \[.*/, "");
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
  const part = (before: string, name: string, after = "") =>
    results.has(name) ? `${before}${results.get(name)}${after}` : "";
  const training = part("; trained for ", "Training time") &&
    part("; trained for ", "Training time") + part(" at ", "Images/s", " images/s") + part(" on ", "Device");
  const network = part("", "Network") + part(", ", "Parameters", " parameters");
  return `${network}${training}${part("; test loss ", "Test loss")}.`;
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
  const { description } = Object(environment.adapter);
  const facts: [string, string | undefined][] = [
    ["Test loss", loss(all("test_loss").at(-1))],
    ["Validation loss", loss(losses.at(-1))],
    ["Best validation loss", losses.length > 0 ? loss(losses.reduce((a, b) => Math.min(a, b))) : undefined],
    ["Training loss at the end", loss(all("train_loss").at(-1))], // as in `runs`, `compare` and MLflow
    ["Network", formatNetwork(config)],
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
    .filter(([name, value]) => value !== null && name !== "note")
    .map(([name, value]) => [name, asText(value)]);
}

function dataOf(record: RunFacts["record"]): string | undefined {
  if (!record?.dataset) return undefined;
  const { channels = 1, classes = 0, classNames, ...rest } = record.dataset;
  return describeData({
    ...rest,
    channels,
    classes,
    classNames: classNames ?? undefined,
  });
}

function durationOf(seconds: number): string {
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  return seconds < 6000 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
