/** Describes a run to MLflow beyond its metrics and files: params, tags, data sets and a note in Markdown. */

import { join } from "node:path";
import { runFile } from "../run/files.ts";
import { readJson } from "../run/run_folder.ts";
import { formatNetwork, ownModel } from "../cli/model_setting.ts";
import { asText, flagOf, type Rows } from "../cli/setting.ts";
import { training } from "../cli/training.ts";
import type { Cursor } from "./cursor.ts";
import { metricWords } from "./metric_words.ts";
import type { RunRecord } from "./record.ts";

/** The value of a metric at a step and a time. */
export interface MetricEntry {
  readonly key: string;
  /** NaN, Infinity and -Infinity are strings. */
  readonly value: number | string;
  /** Milliseconds since 1970, an integer. */
  readonly timestamp: number;
  readonly step: number;
  /** The logged model that it measures. */
  readonly model_id?: string;
}

export interface TextEntry {
  readonly key: string;
  readonly value: string;
}

/** The tag that identifies a run on any server. */
export const idTag = "flow.run_id";

/** The tag of a run in a comparison, with the id of the original run. */
export const standsForTag = "flow.stands_for";

/** Maximum number of characters in a value; MLflow silently truncates longer ones. */
const valueLengths = { param: 6000, tag: 8000 } as const;

/** Settings of where a run is stored and recorded, not of what it trains. */
const notParams = ["name", "out", "resume", "mlflow", "experiment", "runName"];

/**
 * Converts a name to one that MLflow accepts: letters, digits and `_ - . : / space`, as a normalised path.
 *
 * @returns e.g. `lr_` for `lr%`; `_` if nothing is left
 */
export function mlflowKey(name: string): string {
  const spelled = name.replace(/[^\p{L}\p{N}_\-.:/ ]/gu, "_");
  const parts = spelled.split("/").map((part) => part.replace(/^\.+$/, "_").replaceAll("..", "._"));
  return parts.filter((part) => part !== "").join("/").slice(0, 250).replace(/\/$/, "") || "_";
}

/**
 * A metric in the format of servers. Steps and times must be integers: a server silently drops everything after a
 * fraction.
 */
export function metricEntry(key: string, value: number, timestamp: number, step: number): MetricEntry {
  return {
    key: mlflowKey(key),
    value: Number.isFinite(value) ? value : String(value),
    timestamp: Math.trunc(timestamp),
    step: Math.trunc(step),
  };
}

/** A param or tag in the format of servers: text, ending in `...` if truncated. */
export function textEntry(kind: keyof typeof valueLengths, key: string, value: unknown): TextEntry {
  const text = asText(value);
  const max = valueLengths[kind];
  return { key: mlflowKey(key), value: text.length > max ? text.slice(0, max - 3) + "..." : text };
}

/**
 * Describes a run by its `run.json`, `config.json` and `environment.json`.
 *
 * @param cursor the source of the latest metrics, and of the pictures for the note
 * @throws {RunError} if one of the files cannot be read
 */
export async function describeRun(run: string, record: RunRecord, cursor: Cursor) {
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
    "mlflow.note.content": noteOf(run, record, { config, environment, cursor }),
    "mlflow.loggedImages": cursor.images > 0 ? "True" : null,
    problem: record.dataset && `flow matching on ${record.dataset.name}`,
    code_digest: environment.codeDigest,
    [standsForTag]: record.standsFor,
    "flow.failure": record.reason,
  };
  const entries = (kind: "param" | "tag", values: Readonly<Record<string, unknown>>) =>
    Object.entries(withoutNull(values)).map(([key, value]) => textEntry(kind, key, value));
  return {
    params: entries("param", settingsOf(record, config)),
    tags: entries("tag", tags),
    inputs: inputsOf(record),
  };
}

/** All settings in a run folder: those of training, or of a study's plan. @throws {RunError} if they cannot be read */
export async function readSettings(run: string): Promise<Record<string, unknown>> {
  return await readJson(join(run, runFile.config)) ?? planOf(await readJson(join(run, runFile.study)) ?? {});
}

/** The plan of a study as flags of `deno task study`; values come from a file and can be of any type. */
function planOf({ plan, cells }: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { name, preset, grid, fixed, seeds, steps, evaluation } = Object(plan) as Record<string, unknown>;
  const { count, guidance, milestones, solvers } = Object(evaluation) as Record<string, unknown>;
  const joined = (values: unknown, mark: string) =>
    Array.isArray(values) && values.length > 0 ? values.map(asText).join(mark) : null;
  const settings = (values: unknown) =>
    joined(
      Object.entries(Object(values)).map(([key, value]) => `${key}=${joined(value, "|") ?? asText(value)}`),
      ";",
    );
  return {
    ...{ plan: name, preset, grid: settings(grid), fixed: settings(fixed), steps },
    ...{ count, guidance, milestones, solvers: joined(solvers, ";") },
    seeds: joined(seeds, ","),
    cells: Array.isArray(cells) ? cells.length : null,
  };
}

/** Settings that limit a run; 0 means no limit. */
const limits = ["epochs", "maxSteps", "maxMinutes"];

/**
 * The settings of a run's model, training and data that have an effect, and the options of a custom network, under the
 * names of flags: `batch-size`.
 *
 * @param config the content of its `config.json`
 */
export function settingsOf(
  { dataset, parameterCount }: RunRecord,
  config: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const rows: Rows = training.rows;
  const effective = Object.entries(config).filter(([name, value]) =>
    !notParams.includes(name) && !(limits.includes(name) && value === 0) &&
    (rows[name]?.needs?.met(config) ?? true)
  );
  const own = ownModel(config.model);
  return withoutNull({
    ...Object.fromEntries(effective.map(([name, value]) => [flagOf(name).slice(2), value])),
    ...own && { model: own.file, ...Object.fromEntries(own.options) },
    parameters: parameterCount,
    ...dataset && {
      dataset: dataset.name,
      "train-images": dataset.train,
      "validation-images": dataset.validation,
    },
  });
}

function withoutNull(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== null && value !== undefined),
  );
}

function inputsOf({ dataset }: RunRecord) {
  if (dataset === null) return [];
  const { name, digest, source, channels, height, width, classes, classNames, train, validation, test } =
    dataset;
  const tensor = (shape: readonly number[]) =>
    JSON.stringify([{ type: "tensor", "tensor-spec": { dtype: "uint8", shape } }]);
  const shape = channels === 1 ? [-1, height, width] : [-1, channels, height, width];
  const targets = classes > 0 ? { targets: tensor([-1]) } : {};
  const profile = {
    train,
    validation,
    test,
    channels,
    ...classes > 0 && { classes },
    ...classNames && { classNames },
  };
  return [{
    tags: [{ key: "mlflow.data.context", value: "training" }],
    dataset: {
      name: name.slice(0, 500),
      digest: digest.slice(0, 36), // MLflow keeps no more
      source_type: source.includes(":") ? "http" : "local",
      source: JSON.stringify({ uri: source }),
      schema: JSON.stringify({ mlflow_tensorspec: { features: tensor(shape), ...targets } }),
      profile: JSON.stringify({ ...profile, sha256: digest }),
    },
  }];
}

/** Metrics in the note of a run. */
const noted = ["test_loss", "val_loss", "train_loss", "system/images_per_second"];

const endings = { RUNNING: "is running", FINISHED: "finished", FAILED: "failed", KILLED: "was stopped" };

/** Describes a run in Markdown: network, data, results and folder. MLflow shows only the first lines unless expanded. */
function noteOf(folder: string, record: RunRecord, { config, environment, cursor }: {
  readonly config: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, unknown>>;
  readonly cursor: Cursor;
}): string {
  const { name, dataset, parameterCount, status, startedAt, endedAt, reason } = record;
  const adapter = environment.adapter as { description?: unknown } | undefined;
  const facts = [
    `**${
      config.model === undefined
        ? plain(name)
        : plain(ownModel(config.model) ? formatNetwork(config) : `${asText(config.model)} U-Net`)
    }**`,
    Array.isArray(config.filters) && `channels ${config.filters.map(asText).join(", ")}`,
    parameterCount !== null && `${parameterCount.toLocaleString("en")} parameters`,
    dataset && `trained on ${dataset.train.toLocaleString("en")} images of ${plain(dataset.name)}`,
    adapter?.description !== undefined && `computed by ${plain(adapter.description)}`,
  ];
  const seconds = cursor.latest.elapsed_seconds?.value ?? Math.max((endedAt ?? 0) - startedAt, 0) / 1000;
  const minutes = endedAt === null ? "" : ` after ${(seconds / 60).toFixed(1)} minutes`;
  const measured = noted.filter((key) => key in cursor.latest).map((key) => {
    const { value, step } = cursor.latest[key];
    // JSON has no NaN.
    return `${metricWords[key]} ${
      value === null ? "not a number" : Number(value.toPrecision(4))
    } at step ${step}`;
  });
  const outcome = reason === null ? measured.join(", ") : plain(reason);
  const parts = [
    facts.filter(Boolean).join(", "),
    `The run ${endings[status]}${minutes}${outcome && `: ${outcome}`}.`,
    // Relative to the run's page.
    runFile.samples in cursor.files &&
    `![samples](get-artifact?path=${runFile.samples}&run_uuid=${cursor.runId})`,
    `Run folder \`${folder.replaceAll("`", "'")}\``,
  ];
  return parts.filter(Boolean).join("\n\n");
}

/** Escapes Markdown's special characters. */
function plain(text: unknown): string {
  return asText(text).replaceAll(/[\\`*_[\]<>|~#]/g, (mark) => `\\${mark}`).replaceAll(/\s+/g, " ");
}
