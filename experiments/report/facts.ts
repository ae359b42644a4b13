import type { Fact } from "../../viz/report/mod.ts";
import { describeData } from "../data/dataset.ts";
import { asText } from "../settings/setting.ts";
import { lastStep, type Metrics } from "../run/metrics_log.ts";
import type { RecordedDataset } from "../tracking/record.ts";

type Fields = Readonly<Record<string, unknown>>;

/** What a report knows about a run besides its curves. */
export interface RunRecord {
  /** The contents of `config.json` and of `environment.json`. */
  readonly config: Fields;
  readonly environment: Fields;
  readonly metrics: readonly Metrics[];
  /** Number of weights. */
  readonly parameters: number | undefined;
  /** The data, where the run recorded it. */
  readonly dataset: RecordedDataset | null | undefined;
}

/** Sums up a run in one sentence. */
export function summaryOf(record: RunRecord): string {
  const { parameters, minutes, rate, device, test } = measuresOf(record);
  return [
    `${networkOf(record.config)}${parameters ? `, ${parameters} parameters` : ""}`,
    ...minutes
      ? [`trained for ${minutes}${rate ? ` at ${rate} images/s` : ""}${device ? ` on ${device}` : ""}`]
      : [],
    ...test ? [`test loss ${test}`] : [],
  ].join("; ") + ".";
}

/** The outcome of a run. */
export function resultsOf(record: RunRecord): Fact[] {
  const { test, val, bestVal, train, step, images, minutes, rate, parameters, device } = measuresOf(record);
  const facts: [string, string | undefined][] = [
    ["Test loss", test],
    ["Validation loss", val],
    ["Best validation loss", bestVal],
    ["Training loss at the end", train],
    ["Network", networkOf(record.config)],
    ["Parameters", parameters],
    ["Data", dataOf(record)],
    ["Steps", step],
    ["Images seen", images],
    ["Images/s", rate],
    ["Training time", minutes],
    ["Device", device],
  ];
  return facts.flatMap(([name, value]) => value === undefined ? [] : [[name, value] as const]);
}

/** Fields as lines of a table. */
export function factsOf(fields: Fields): Fact[] {
  return Object.entries(fields)
    .filter(([name, value]) => value !== null && name !== "note")
    .map(([name, value]) => [name, asText(value)]);
}

function measuresOf({ config, environment, metrics, parameters }: RunRecord) {
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

function dataOf({ dataset }: RunRecord): string | undefined {
  if (!dataset) return undefined;
  const { train, validation, channels = 1, classes = 0, classNames, ...rest } = dataset;
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
