import { join } from "node:path";
import type { Fact, ReportRun } from "../../viz/report/mod.ts";
import { describeData } from "../data/dataset.ts";
import { reasonOf, RunError } from "../run/atomic_write.ts";
import { openContained, readJson } from "../run/contained.ts";
import { runFile, weightsFile } from "../run/layout.ts";
import { lastStep, type Metrics, readMetrics } from "../run/metrics_log.ts";
import { asText } from "../settings/setting.ts";
import { currentRecord } from "../tracking/current_record.ts";
import type { RunRecord } from "../tracking/record.ts";

type Fields = Readonly<Record<string, unknown>>;

/** What a run folder says of a run besides pictures. */
export interface RunFacts {
  /** The contents of `config.json` and of `environment.json`. */
  readonly config: Fields;
  readonly environment: Fields;
  readonly metrics: readonly Metrics[];
  /** Number of weights. */
  readonly parameters: number | undefined;
  /** Its status and its data. */
  readonly record: Pick<RunRecord, "status" | "reason" | "dataset"> | undefined;
}

/**
 * Reads what a run folder says of a run.
 *
 * @throws {RunError} if it is not the folder of a run, or a file in it cannot be read
 */
export async function readFacts(folder: string): Promise<RunFacts> {
  const config = await readJson(join(folder, runFile.config));
  if (config === undefined) {
    throw new RunError(
      `Cannot report ${folder}: there is no ${runFile.config} in it (expected the folder of a run)`,
    );
  }
  return {
    config,
    environment: await readJson(join(folder, runFile.environment)) ?? {},
    metrics: await readMetrics(join(folder, runFile.metrics)),
    parameters: await countWeights(join(folder, weightsFile("last"))),
    record: await currentRecord(folder),
  };
}

/** The facts in words, as a report shows them. */
export function factsInWords(
  run: RunFacts,
): Pick<ReportRun, "summary" | "ending" | "results" | "settings" | "environment"> {
  const ending = endingOf(run);
  return {
    summary: summaryOf(run),
    ...ending !== undefined && { ending },
    results: resultsOf(run),
    settings: factsOf(run.config),
    environment: factsOf(run.environment),
  };
}

/** How a run ended that was stopped or failed. */
function endingOf({ record, metrics }: RunFacts): string | undefined {
  const step = lastStep(metrics);
  const when = step > 0 ? `after step ${step.toLocaleString("en")}` : "before its first step was logged";
  if (record?.status === "KILLED") return `Stopped ${when}, before its end.`;
  if (record?.status !== "FAILED") return undefined;
  return `Failed ${when}: ${record.reason ?? "its program gave no reason"}.`;
}

function summaryOf(run: RunFacts): string {
  const { parameters, minutes, rate, device, test } = measuresOf(run);
  const training = minutes &&
    `trained for ${minutes}${rate ? ` at ${rate} images/s` : ""}${device ? ` on ${device}` : ""}`;
  const parts = [
    `${networkOf(run.config)}${parameters ? `, ${parameters} parameters` : ""}`,
    training,
    test && `test loss ${test}`,
  ];
  return `${parts.filter(Boolean).join("; ")}.`;
}

/** The outcome of a run. */
export function resultsOf(run: RunFacts): Fact[] {
  const { test, val, bestVal, train, step, images, minutes, rate, parameters, device } = measuresOf(run);
  const facts: [string, string | undefined][] = [
    ["Test loss", test],
    ["Validation loss", val],
    ["Best validation loss", bestVal],
    ["Training loss at the end", train],
    ["Network", networkOf(run.config)],
    ["Parameters", parameters],
    ["Data", dataOf(run)],
    ["Steps", step],
    ["Images seen", images],
    ["Images/s", rate],
    ["Training time", minutes],
    ["Device", device],
  ];
  return facts.flatMap(([name, value]) => value === undefined ? [] : [[name, value] as const]);
}

function factsOf(fields: Fields): Fact[] {
  return Object.entries(fields)
    .filter(([name, value]) => value !== null && name !== "note")
    .map(([name, value]) => [name, asText(value)]);
}

function measuresOf({ config, environment, metrics, parameters }: RunFacts) {
  const all = (name: string) =>
    metrics.flatMap((line) => Number.isFinite(line[name]) ? [Number(line[name])] : []);
  const loss = (value: number | undefined) => value?.toFixed(4);
  const step = lastStep(metrics);
  const seconds = all("elapsed_seconds").at(-1);
  const images = typeof config.batchSize === "number" ? step * config.batchSize : 0;
  const vals = all("val_loss");
  return {
    test: loss(all("test_loss").at(-1)),
    val: loss(vals.at(-1)),
    bestVal: vals.length > 0 ? loss(vals.reduce((least, value) => Math.min(least, value))) : undefined,
    train: loss(all("train_loss").at(-1)), // as `runs`, `compare` and MLflow show it
    step: step > 0 ? step.toLocaleString("en") : undefined,
    images: images > 0 ? images.toLocaleString("en") : undefined,
    rate: seconds && images > 0 ? (images / seconds).toFixed(1) : undefined,
    minutes: seconds === undefined ? undefined : durationOf(seconds),
    parameters: parameters?.toLocaleString("en"),
    device: deviceOf(environment),
  };
}

function dataOf({ record }: RunFacts): string | undefined {
  if (!record?.dataset) return undefined;
  const { train, validation, channels = 1, classes = 0, classNames, ...rest } = record.dataset;
  return describeData({
    ...rest,
    train: train + validation,
    channels,
    classes,
    classNames: classNames ?? [],
  });
}

function durationOf(seconds: number): string {
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  return seconds < 6000 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function networkOf({ model, filters, attn }: Fields): string {
  const channels = Array.isArray(filters) ? filters.map(asText) : asText(filters);
  return `${asText(model)} U-Net [${channels}]${attn ? " with attention" : ""}`;
}

function deviceOf({ adapter }: Fields): string | undefined {
  const { description } = Object(adapter);
  return typeof description === "string" ? description : undefined;
}

/**
 * Counts the weights in a safetensors file by its header, without reading the weights.
 *
 * @returns undefined where there is no such file, or it is not a safetensors file
 * @throws {RunError} if the file cannot be read
 */
export async function countWeights(path: string): Promise<number | undefined> {
  try {
    using file = await openContained(path);
    if (file === undefined) return undefined;
    const length = new DataView((await readExactly(file, 8)).buffer).getBigUint64(0, true);
    if (length > 2n ** 24n) return undefined;
    const header = JSON.parse(new TextDecoder().decode(await readExactly(file, Number(length))));
    return Object.entries<{ shape: number[] }>(header)
      .filter(([name]) => name !== "__metadata__")
      .reduce((sum, [, { shape }]) => sum + shape.reduce((product, size) => product * size, 1), 0);
  } catch (error) {
    // A report does without the number; loading the weights tells what is wrong with them.
    if ([RangeError, SyntaxError, TypeError].some((kind) => error instanceof kind)) {
      return undefined;
    }
    if (error instanceof RunError) throw error;
    throw new RunError(`Cannot read ${path}: ${reasonOf(error)}`);
  }
}

async function readExactly(file: Deno.FsFile, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let read = 0; read < length;) {
    const count = await file.read(bytes.subarray(read));
    if (count === null) throw new RangeError("the file is too short");
    read += count;
  }
  return bytes;
}
