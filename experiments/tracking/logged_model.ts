/** The weights of a finished run as a logged model of MLflow 3, which its page and its client can register. */

import { basename, join } from "node:path";
import { runFile } from "../run/files.ts";
import { findWeights } from "../run/weights.ts";
import { lastStep, readMetrics } from "../run/metrics_log.ts";
import type { Cursor } from "./cursor.ts";
import { type MetricEntry, metricEntry } from "./describe_run.ts";
import { isResult } from "./metric_words.ts";
import { pointId, type ServerModel, type ServerRun } from "./mlflow_endpoints.ts";
import type { MlflowClient } from "./mlflow_client.ts";
import type { RunRecord } from "./record.ts";
import { openFile } from "./run_files.ts";

/** The tag that identifies the weights of a model. */
const weightsTag = "flow.weights_sha256";

/**
 * Logs the averaged weights of a finished run as a model with the run's settings as params, and links the measurements at
 * its step to it. Weights are logged once: a later call only adds missing links. A run that is resumed after its end gets
 * another model for its new weights. Does nothing if the server did not accept the run's weights.
 *
 * @param cursor the part of the run that the server has; records a server without logged models
 * @returns the number of files sent
 * @throws {ServerError} if the server cannot be reached or rejects a request
 * @throws {RunError} if a file of the run cannot be read
 */
export async function logModel(
  client: MlflowClient,
  run: string,
  record: RunRecord,
  cursor: Cursor,
  { run_id, experiment_id }: ServerRun["info"],
): Promise<number> {
  const weights = basename(findWeights(run)?.path ?? "");
  using content = weights === "" ? undefined : await openFile(run, weights);
  if (content === undefined || cursor.files[weights]?.sha256 !== content.sent.sha256) return 0;
  const { sha256 } = content.sent;
  const models = await client.loggedModels(experiment_id, run_id);
  if (models === undefined) cursor.refused["logged model"] = "the server is older than MLflow 3";
  if (models === undefined) return 0;
  delete cursor.refused["logged model"];
  const log = await readMetrics(join(run, runFile.metrics));
  const step = lastStep(log);
  const model = models.find(({ info }) => info.tags?.some(({ value }) => value === sha256)) ??
    (await client.call("logged-models", {
      experiment_id,
      source_run_id: run_id,
      name: record.name.replaceAll(/[/:.%"']/g, "_"),
      model_type: "flow_matching",
      params: entriesOf(cursor.params),
      tags: entriesOf({ [weightsTag]: sha256 }),
    })).model;
  const { model_id, status } = model.info;
  const isReady = status === "LOGGED_MODEL_READY";
  let files = 0;
  if (!isReady) {
    using program = await openFile(run, runFile.network); // of a custom network
    const bodies: Record<string, () => BodyInit> = {
      [weights]: () => content.body(),
      ...program && { [runFile.network]: () => program.body() },
      ...describe(model, weights, record, cursor),
    };
    for (const [name, body] of Object.entries(bodies)) {
      await client.putArtifact(model.info.artifact_uri, name, body);
      files++;
    }
    await client.addOutput(run_id, model_id, step);
  }
  const linked = new Set(model.data?.metrics?.map((point) => `${point.key} ${pointId(point)}`));
  const lacking = resultsAt(step, log, record).filter((entry) =>
    !linked.has(`${entry.key} ${pointId(entry)}`)
  );
  await client.logAll(run_id, "metrics", lacking.map((entry) => ({ ...entry, model_id })), () => {});
  if (!isReady) {
    await client.call("logged-models/{model_id}", { model_id, status: "LOGGED_MODEL_READY" });
  }
  return files;
}

function entriesOf(values: Readonly<Record<string, string>>) {
  return Object.entries(values).map(([key, value]) => ({ key, value }));
}

/** The losses and figures at a step as the run sent them; the server stores identical points once. */
function resultsAt(
  step: number,
  log: Awaited<ReturnType<typeof readMetrics>>,
  { startedAt }: RunRecord,
): MetricEntry[] {
  const latest = new Map<string, MetricEntry>();
  for (const { step: at, time = startedAt, ...values } of log) {
    if (at !== step) continue;
    for (const [key, value] of Object.entries(values)) {
      if (typeof value !== "number" || !isResult(key)) continue;
      latest.set(key, metricEntry(key, value, Number(time), step));
    }
  }
  return [...latest.values()];
}

/** The model's files of documentation and metadata for MLflow and users. */
function describe(
  { info }: ServerModel,
  weights: string,
  { name, startedAt, endedAt }: RunRecord,
  { runId, tags, files }: Cursor,
): Record<"MLmodel" | "README.md", () => string> {
  const program = runFile.network in files ? ` --model model/${runFile.network}` : "";
  const about = tags["mlflow.note.content"]?.split("\n\n").filter((part) => !part.startsWith("![")) ?? [];
  const readme = `# ${name}

${about.join("\n\n")}

## Load it

\`\`\`sh
mlflow artifacts download -u models:/${info.model_id} -d model   # or models:/NAME/VERSION of a registered one
./denow task sample model/${weights}${program} --out samples.png
\`\`\`

Run the second line in a checkout of the program that trained it. \`${weights}\` holds the weights and, in its
metadata, the options of the network and the scaling of pixels.${
    program && ` \`${runFile.network}\` is the network's program; read it before you run it.`
  }
Other programs read the tensors:

\`\`\`py
from safetensors.torch import load_file
weights = load_file("model/${weights}")
\`\`\`
`;
  // JSON is also YAML.
  const mlmodel = {
    artifact_path: info.artifact_uri,
    flavors: { flow_matching: { data: weights, ...program && { network: runFile.network } } },
    model_id: info.model_id,
    model_uuid: info.model_id,
    run_id: runId,
    utc_time_created: new Date(endedAt ?? startedAt).toISOString().replace("T", " ").replace("Z", "000"),
  };
  return { MLmodel: () => JSON.stringify(mlmodel, null, 2) + "\n", "README.md": () => readme };
}
