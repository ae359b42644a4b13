/** Describes a run to MLflow and in tables: metrics, params, tags, data sets and a note in Markdown. */

import { join, normalize } from "node:path";
import { runFile } from "../run/files.ts";
import { readMetrics } from "../run/metrics_log.ts";
import { readJson } from "../run/run_folder.ts";
import { asText, flagOf, type Rows } from "../cli/settings.ts";
import { settingsIn } from "../settings/config_file.ts";
import { formatNetwork } from "../settings/network.ts";
import { fields } from "../settings/run_config.ts";
import type { Entry, Point } from "./mlflow_client.ts";
import type { RunRecord } from "./record.ts";

/** Losses, in the order of tables, and their names in notes. */
export const losses = { test_loss: "test loss", val_loss: "validation loss", train_loss: "training loss" };

/** Other metrics of training, which are no measure of quality. */
const courses = [
  ...[
    "gradient_norm",
    "learning_rate",
    "muon_learning_rate",
    "transport_cost",
    "independent_cost",
    "epoch",
    "elapsed_seconds",
  ],
  ...["images_per_second", "process_memory_megabytes", "device_memory_megabytes"].map((name) =>
    `system/${name}`
  ),
];

/** Whether a metric is a measure of quality: a loss, or a figure but not the end of its interval. */
export function isResult(name: string): boolean {
  return !courses.includes(name) && !/^eval\/.*_(low|high)$/.test(name);
}

/** Names of metrics in the order of tables: losses, figures in logging order, metrics of other programs, then the rest. */
export function sortedMetrics(metrics: Iterable<string>): string[] {
  const first = Object.keys(losses);
  const place = (name: string) => {
    if (first.includes(name)) return first.indexOf(name);
    return first.length + (name.startsWith("eval/") ? 0 : 2 + courses.indexOf(name));
  };
  return [...metrics].sort((a, b) => place(a) - place(b));
}

/** The tag that identifies a run on any server. */
export const idTag = "flow.run_id";

/** Settings of where a run is stored and recorded, not of what it trains. */
const notParams = ["name", "out", "resume", "mlflow", "experiment", "runName"];

/** Settings that limit a run; 0 means no limit. */
const limits = ["epochs", "maxSteps", "maxMinutes"];

/** Converts a name to one that MLflow accepts: letters, digits and `_ - . : / space`, as a normalised path. */
export function mlflowKey(name: string): string {
  const spelled = name.replace(/[^\p{L}\p{N}_\-.:/ ]/gu, "_");
  const parts = spelled.split("/").map((part) => part.replace(/^\.+$/, "_").replaceAll("..", "._"));
  return parts.filter((part) => part !== "").join("/").slice(0, 250).replace(/\/$/, "") || "_";
}

/** A metric for servers, which silently drop everything after a step or time that is not whole. */
export function pointOf(key: string, value: number | string, timestamp: number, step: number): Point {
  const text = Number.isFinite(value) ? value : String(value);
  return { key: mlflowKey(key), value: text, timestamp: Math.trunc(timestamp), step: Math.trunc(step) };
}

/** A param or tag for servers, which silently truncate longer values. */
export function textEntry(kind: "param" | "tag", key: string, value: unknown): Entry {
  const [text, max] = [asText(value), kind === "param" ? 6000 : 8000];
  return { key: mlflowKey(key), value: text.length > max ? text.slice(0, max - 3) + "..." : text };
}

/** A value of a metric. */
export interface Measured {
  readonly value: number;
  readonly step: number;
  /** Milliseconds since 1970. */
  readonly time: number;
}

/** The value of each metric of a run at its last step. @param startedAt the time of lines without one */
export async function latestOf(run: string, startedAt: number): Promise<Record<string, Measured>> {
  const latest = new Map<string, Measured>();
  for (const { step, time = startedAt, ...values } of await readMetrics(join(run, runFile.metrics))) {
    for (const [key, value] of Object.entries(values)) {
      if (typeof value !== "number" || step < (latest.get(key)?.step ?? step)) continue;
      latest.set(key, { value, step, time: Number(time) });
    }
  }
  return Object.fromEntries(latest);
}

/**
 * Describes a run by the files in its folder.
 *
 * @param page the server's id of the run, if it has the samples for the note
 */
export async function describeRun(run: string, record: RunRecord, page?: string) {
  const config = await readSettings(run);
  const environment = await readJson(join(run, runFile.environment)) ?? {};
  const tags = {
    [idTag]: record.id,
    "mlflow.runName": record.name,
    "mlflow.user": record.user,
    "mlflow.source.name": record.source,
    "mlflow.source.type": "JOB", // for other types, the page shows only what follows the last slash of the name
    "mlflow.source.git.commit": environment.gitCommit,
    "mlflow.source.git.branch": record.gitBranch,
    "mlflow.note.content": await noteOf(run, record, config, environment, page),
    problem: record.dataset && `flow matching on ${record.dataset.name}`,
    code_digest: environment.codeDigest,
    "flow.failure": record.reason,
  };
  const entries = (kind: "param" | "tag", values: Readonly<Record<string, unknown>>) =>
    Object.entries(withoutNull(values)).map(([key, value]) => textEntry(kind, key, value));
  const params = entries("param", settingsOf(record, config));
  return { params, tags: entries("tag", tags), inputs: inputsOf(record) };
}

/** The settings of a run: those of training, or a study's plan. */
export async function readSettings(run: string): Promise<Record<string, unknown>> {
  return await readJson(join(run, runFile.config)) ?? planOf(await readJson(join(run, runFile.study)) ?? {});
}

/** The plan of a study; values come from a file and can be of any type. */
function planOf({ plan, cells }: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { name, evaluation, ...settings } = Object(plan);
  const count = Array.isArray(cells) ? cells.length : null;
  return { plan: name, ...settings, ...Object(evaluation), cells: count };
}

/** The settings of a run that have an effect, under the names of flags, with its network's options and its data. */
export function settingsOf(
  { dataset, parameterCount }: RunRecord,
  config: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const rows: Rows = fields.rows;
  const known = settingsIn(config);
  const effective = Object.entries(config).filter(([name, value]) =>
    !notParams.includes(name) && !(limits.includes(name) && value === 0) &&
    (rows[name]?.needs?.met(known) ?? true)
  );
  const own = known.model?.kind === "module"
    ? { model: normalize(known.model.file), "model-sha256": known.model.sha256, ...known.model.options }
    : {};
  return withoutNull({
    ...Object.fromEntries(effective.map(([name, value]) => [flagOf(name).slice(2), value])),
    ...own,
    parameters: parameterCount,
    dataset: dataset?.name,
    "train-images": dataset?.train,
    "validation-images": dataset?.validation,
  });
}

function withoutNull(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value != null));
}

function inputsOf({ dataset }: RunRecord) {
  if (dataset === null) return [];
  const { name, digest, source, channels, height, width, classes, damaged: _, ...counts } = dataset;
  const tensor = (shape: readonly number[]) =>
    JSON.stringify([{ type: "tensor", "tensor-spec": { dtype: "uint8", shape } }]);
  const features = tensor(channels === 1 ? [-1, height, width] : [-1, channels, height, width]);
  const targets = classes > 0 ? { targets: tensor([-1]) } : {};
  const profile = withoutNull({ ...counts, channels, classes: classes || null, sha256: digest });
  return [{
    tags: [{ key: "mlflow.data.context", value: "training" }],
    dataset: {
      name: name.slice(0, 500),
      digest: digest.slice(0, 36), // MLflow keeps no more
      source_type: source.includes(":") ? "http" : "local",
      source: JSON.stringify({ uri: source }),
      schema: JSON.stringify({ mlflow_tensorspec: { features, ...targets } }),
      profile: JSON.stringify(profile),
    },
  }];
}

const endings = { RUNNING: "is running", FINISHED: "finished", FAILED: "failed", KILLED: "was stopped" };

/** Describes a run in Markdown: network, data, results and folder. MLflow shows only the first lines unless expanded. */
async function noteOf(
  folder: string,
  { name, dataset, parameterCount, status, startedAt, endedAt, reason }: RunRecord,
  config: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, unknown>>,
  page: string | undefined,
): Promise<string> {
  const { model } = settingsIn(config);
  const network = model?.kind === "module" ? formatNetwork({ model }) : `${asText(config.model)} U-Net`;
  const { description } = Object(environment.adapter);
  const facts = [
    `**${plain(config.model === undefined ? name : network)}**`,
    Array.isArray(config.filters) && `channels ${config.filters.map(asText).join(", ")}`,
    parameterCount !== null && `${parameterCount.toLocaleString("en")} parameters`,
    dataset && `trained on ${dataset.train.toLocaleString("en")} images of ${plain(dataset.name)}`,
    description !== undefined && `computed by ${plain(description)}`,
  ];
  const latest = await latestOf(folder, startedAt);
  const seconds = latest.elapsed_seconds?.value ?? Math.max((endedAt ?? 0) - startedAt, 0) / 1000;
  const minutes = endedAt === null ? "" : ` after ${(seconds / 60).toFixed(1)} minutes`;
  const measured = Object.entries(losses).flatMap(([key, words]) => {
    const { value, step } = latest[key] ?? {};
    return value === undefined ? [] : `${words} ${Number(value.toPrecision(4))} at step ${step}`;
  });
  const outcome = reason === null ? measured.join(", ") : plain(reason);
  const parts = [
    facts.filter(Boolean).join(", "),
    `The run ${endings[status]}${minutes}${outcome && `: ${outcome}`}.`,
    page && `![samples](get-artifact?path=${runFile.samples}&run_uuid=${page})`,
    `Run folder \`${folder.replaceAll("`", "'")}\``,
  ];
  return parts.filter(Boolean).join("\n\n");
}

/** Escapes Markdown's special characters. */
function plain(text: unknown): string {
  return asText(text).replaceAll(/[\\`*_[\]<>|~#]/g, (mark) => `\\${mark}`).replaceAll(/\s+/g, " ");
}
