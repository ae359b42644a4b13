import { join } from "node:path";
import { readJson } from "../run/contained.ts";
import type { DatasetInput, ServerRun } from "./client.ts";
import type { Cursor } from "./cursor.ts";
import { type TextEntry, textEntry } from "./entries.ts";
import { noteOf } from "./note.ts";
import type { RunRecord } from "./record.ts";
import { runFile } from "../run/layout.ts";

/** The tag that identifies a run on any server. */
export const idTag = "flow.run_id";

/** Whether a run on a server is that of a folder, by our own id. */
export function isRunOf({ data }: ServerRun, id: string): boolean {
  return data.tags.some(({ key, value }) => key === idTag && value === id);
}

/** The tag of a run in a comparison: the id of the run that it represents. */
export const standsForTag = "flow.stands_for";

/** Settings that say where a run is stored and shown, not what it trains. */
const notParams = ["name", "out", "resume", "mlflow", "experiment", "runName"];

/** Description of a run in MLflow's terms. */
export interface Description {
  readonly params: readonly TextEntry[];
  readonly tags: readonly TextEntry[];
  readonly inputs: readonly DatasetInput[];
}

/**
 * Describes a run by its `run.json`, `config.json` and `environment.json`.
 *
 * @param cursor what the server has: latest metrics, and pictures for the note
 * @throws {RunError} if one of the files cannot be read
 */
export async function describe(run: string, record: RunRecord, cursor: Cursor): Promise<Description> {
  const config = await readJson(join(run, runFile.config)) ?? {};
  const environment = await readJson(join(run, runFile.environment)) ?? {};
  const note = noteOf({ folder: run, record, config, environment, cursor });
  const tags: Record<string, unknown> = {
    [idTag]: record.id,
    "mlflow.runName": record.name,
    "mlflow.user": record.user,
    "mlflow.source.name": record.source,
    "mlflow.source.type": "LOCAL",
    "mlflow.source.git.commit": environment.gitCommit,
    "mlflow.source.git.branch": record.gitBranch,
    "mlflow.note.content": note,
    "mlflow.loggedImages": cursor.images > 0 ? "True" : null,
    problem: record.dataset === null ? null : `flow matching on ${record.dataset.name}`,
    git_dirty: environment.gitDirty,
    [standsForTag]: record.standsFor,
    "flow.failure": record.reason,
  };
  return { params: paramsOf(record, config), tags: entries("tag", tags), inputs: inputsOf(record) };
}

/** The settings of the model, the training and the data. */
export function paramsOf(record: RunRecord, config: Readonly<Record<string, unknown>>): TextEntry[] {
  const settings = Object.entries(config).filter(([name]) => !notParams.includes(name));
  const { dataset, parameterCount } = record;
  return entries("param", {
    ...Object.fromEntries(settings),
    parameters: parameterCount,
    ...dataset && { dataset: dataset.name, trainImages: dataset.train, validationImages: dataset.validation },
  });
}

function inputsOf({ dataset }: RunRecord): DatasetInput[] {
  if (dataset === null) return [];
  const { name, digest, source, channels = 1, height, width, classes, classNames, train, validation, test } =
    dataset;
  const shape = channels === 1 ? [-1, height, width] : [-1, channels, height, width];
  const schema = JSON.stringify({
    mlflow_tensorspec: {
      features: JSON.stringify([{
        type: "tensor",
        "tensor-spec": { dtype: "uint8", shape },
      }]),
      ...classes !== 0 && {
        targets: JSON.stringify([{ type: "tensor", "tensor-spec": { dtype: "uint8", shape: [-1] } }]),
      },
    },
  });
  return [{
    tags: [{ key: "mlflow.data.context", value: "training" }],
    dataset: {
      name: name.slice(0, 500),
      digest: digest.slice(0, 36), // MLflow keeps no more
      source_type: source.includes(":") ? "http" : "local",
      source: JSON.stringify({ uri: source }),
      schema,
      profile: JSON.stringify({
        train,
        validation,
        test,
        channels: dataset.channels,
        ...classes !== 0 && { classes },
        ...classNames && { classNames },
        sha256: digest,
      }),
    },
  }];
}

function entries(kind: "param" | "tag", values: Readonly<Record<string, unknown>>): TextEntry[] {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined);
  return given.map(([key, value]) => textEntry(kind, key, value));
}
