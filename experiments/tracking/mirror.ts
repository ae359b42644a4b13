import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { openContained, readFile, readIfThere, readJson, RunError, writeJson } from "../run/run_folder.ts";
import { runFile, whenMirrored } from "../run/files.ts";
import { lineBreak, type Metrics, parseMetrics } from "../run/metrics_log.ts";
import { findWeights } from "../run/weights.ts";
import { describeRun, idTag, isResult, latestOf, mlflowKey, pointOf } from "./describe_run.ts";
import { type Entry, type MlflowClient, type Point, ServerError, type ServerRun } from "./mlflow_client.ts";
import { isOwn, readRecord, runFiles, type RunRecord, studyOf } from "./record.ts";

/** A run on the server, as it was found and since changed. */
interface Remote {
  readonly info: ServerRun["info"];
  readonly params: Map<string, string>;
  readonly tags: Map<string, string>;
  hasInputs: boolean;
  /** Whether the latest point of every metric of an ended run is there, so that none needs to be sent. */
  readonly hasMetrics: boolean;
  /** Sizes of artifacts, if known, by path. */
  readonly artifacts: Map<string, number | undefined>;
}

/**
 * Mirrors a run folder to an MLflow server. A pass sends what the server lacks, may be interrupted anywhere, and can be
 * repeated: a run is looked up by our id before it is created, identical points are stored once, and files are
 * replaced. `mlflow.json` remembers the server, its id of the run, and the files it has. The caller holds the run's
 * lock.
 */
export class Mirror {
  /** The run's page, once the server is known to have the run. */
  page: string | undefined;
  /** Files that the server rejected, and why. */
  readonly refused: Record<string, string> = {};
  readonly #client: MlflowClient;
  /** The run on the server; undefined before the first pass and after an error, when a pass looks it up. */
  #there: Remote | undefined;
  /** Bytes of `metrics.jsonl` that the run with this id on the server has. */
  #read = { runId: "", bytes: 0 };
  #sent: SentFiles = {};

  /** @param onPage called when the server is first known to have the run */
  constructor(
    readonly run: string,
    client: MlflowClient,
    readonly onPage: (page: string) => void = () => {},
  ) {
    this.#client = client;
  }

  /**
   * Sends what the server lacks; for a run in progress, only data that is already final.
   *
   * @returns the number of points and files sent
   */
  async pass(): Promise<{ points: number; files: number }> {
    const record = await readRecord(this.run);
    if (record === undefined) throw new RunError(`Cannot send ${this.run}: it is not a run folder`);
    const isOver = record.status !== "RUNNING";
    try {
      const isNew = this.#there === undefined;
      const there = this.#there ??= await this.#open(record, isOver);
      if (!isOver) await this.#sendStatus(there, record);
      if (isNew) await this.#describe(there, record);
      const points = await this.#sendMetrics(there, record, isOver);
      let files = await this.#sendFiles(there, isOver);
      if (isOver) await this.#describe(there, record); // with the results
      if (record.status === "FINISHED") files += await this.#logModel(there, record);
      if (isOver) await this.#sendStatus(there, record);
      return { points, files };
    } catch (error) {
      this.#there = undefined;
      throw error;
    }
  }

  /** Finds the run on the server, or creates it. */
  async #open(record: RunRecord, isOver: boolean): Promise<Remote> {
    const client = this.#client;
    const known = await readCursor(this.run, client.url);
    this.#sent = { ...known?.sent };
    const earlier = known && await client.find<ServerRun>("run", "runs/get", { run_id: known.runId });
    const { info, data = {}, inputs } = earlier && isActive(earlier) && hasId(earlier, record.id)
      ? earlier
      : await this.#findOrCreate(record, known?.runId);
    const [experiment, id] = [info.experiment_id, info.run_id].map(encodeURIComponent);
    // Without the query, the page opens in another mode.
    const isKnown = this.page !== undefined;
    this.page = `${client.url}/#/experiments/${experiment}/runs/${id}?workflowType=machine_learning`;
    if (!isKnown) this.onPage(this.page);
    if (this.#read.runId !== info.run_id) this.#read = { runId: info.run_id, bytes: 0 };
    if (known?.runId !== info.run_id) await this.#remember(info);
    const last = new Map(data.metrics?.map(({ key, step = 0, timestamp }) => [key, `${step} ${timestamp}`]));
    const latest = Object.entries(await latestOf(this.run, record.startedAt));
    const isThere = ([key, { step, time }]: typeof latest[number]) =>
      last.get(mlflowKey(key)) === `${Math.trunc(step)} ${Math.trunc(time)}`;
    return {
      info,
      params: new Map(data.params?.map(({ key, value = "" }) => [key, value])),
      tags: new Map(data.tags?.map(({ key, value = "" }) => [key, value])),
      hasInputs: (inputs?.dataset_inputs ?? []).length > 0,
      hasMetrics: isOver && latest.every(isThere),
      artifacts: await client.artifacts(info),
    };
  }

  /** Finds the run by our id, or creates it; a slow server may have created it twice after a lost response. */
  async #findOrCreate(record: RunRecord, knownId?: string): Promise<ServerRun> {
    const client = this.#client;
    const experiment = await client.ensureExperiment(record.experiment);
    const filter = `tags.\`${idTag}\` = '${record.id.replaceAll("'", "")}'`;
    const search = { experiment_ids: [experiment], filter, run_view_type: "ALL", max_results: 100 };
    const matches = async () => {
      const { runs = [] } = await client.call("runs/search", search) as { runs?: ServerRun[] };
      return runs.filter((run) => hasId(run, record.id)); // the others must not be changed
    };
    const about = { experiment_id: experiment, run_name: record.name, start_time: record.startedAt };
    const runs = await client.retry(async () => { // searches again before a second attempt
      const found = await matches();
      if (found.length > 0) return found;
      const create = { ...about, tags: [{ key: idTag, value: record.id }] };
      const created = await client.get<ServerRun>("run", "runs/create", create);
      return [...await matches(), created];
    });
    const active = runs.filter(isActive).sort((a, b) => a.info.run_id < b.info.run_id ? -1 : 1);
    const [kept = runs[0]] = active.filter(({ info }) => info.run_id === knownId).concat(active);
    if (!isActive(kept)) {
      const message = `${client.url} has deleted the run ${kept.info.run_id}; restore it there`;
      throw new ServerError(message, { code: "DELETED" });
    }
    for (const run_id of new Set(active.map(({ info }) => info.run_id))) {
      if (run_id !== kept.info.run_id) await client.call("runs/delete", { run_id });
    }
    return kept;
  }

  async #remember({ run_id: runId }: ServerRun["info"]): Promise<void> {
    await writeJson(join(this.run, runFile.cursor), { server: this.#client.url, runId, sent: this.#sent });
  }

  async #sendStatus({ info }: Remote, { status, endedAt }: RunRecord): Promise<void> {
    if (status === info.status && (endedAt === null || endedAt === info.end_time)) return;
    const change = { status, ...endedAt !== null && { end_time: endedAt } };
    await this.#client.call("runs/update", { run_id: info.run_id, ...change });
    Object.assign(info, change);
  }

  async #describe(there: Remote, record: RunRecord): Promise<void> {
    const { info: { run_id }, params, tags, artifacts } = there;
    const samples = artifacts.has(runFile.samples) ? run_id : undefined;
    const about = await describeRun(this.run, record, samples);
    // A param can be set only once, so values that a resumed run changed become tags.
    const changed = about.params.filter(({ key, value }) => (params.get(key) ?? value) !== value);
    const wanted = [...about.tags, ...changed.map(({ key, value }) => ({ key: `resumed.${key}`, value }))];
    const study = studyOf(this.run);
    const parent = study && await readCursor(study, this.#client.url);
    if (parent) wanted.push({ key: "mlflow.parentRunId", value: parent.runId });
    const news = {
      params: about.params.filter(({ key }) => !params.has(key)),
      tags: wanted.filter(({ key, value }) => tags.get(key) !== value),
    };
    for (const kind of ["params", "tags"] as const) {
      await this.#client.log(run_id, kind, news[kind]);
      for (const { key, value } of news[kind]) there[kind].set(key, value);
    }
    for (const key of [...tags.keys()]) {
      const isOld = /^(resumed\.|flow\.failure$)/.test(key) && !wanted.some((tag) => tag.key === key);
      if (isOld) await this.#client.call("runs/delete-tag", { run_id, key });
      if (isOld) tags.delete(key);
    }
    if (there.hasInputs || about.inputs.length === 0) return;
    await this.#client.call("runs/log-inputs", { run_id, datasets: about.inputs });
    there.hasInputs = true;
  }

  async #sendMetrics(there: Remote, record: RunRecord, isOver: boolean): Promise<number> {
    const { info: { run_id }, tags } = there;
    let count = 0;
    for await (const { lines, end } of metricsFrom(this.run, this.#read.bytes, isOver)) {
      const points = new Map<string, Point>(); // lines of one millisecond may repeat a point
      for (const { step, time = record.startedAt, ...values } of lines) {
        for (const [key, value] of Object.entries(values)) {
          const point = pointOf(key, value, Number(time), step);
          if (typeof value === "number") there.hasMetrics || points.set(JSON.stringify(point), point);
          else if (key.startsWith("image/")) await this.#sendImage(there, value, point);
        }
      }
      await this.#client.log(run_id, "metrics", [...points.values()]);
      count += points.size;
      this.#read.bytes = end;
    }
    const [[name]] = imagesTag;
    const hasImages = [...there.artifacts.keys()].some((path) => path.startsWith("images/"));
    if (hasImages && !tags.has(name)) {
      await this.#client.log(run_id, "tags", entriesOf(imagesTag));
      tags.set(name, "True");
    }
    return count;
  }

  /** Sends a picture under a name with key, step and time, which MLflow's page needs to show images by step. */
  async #sendImage(there: Remote, path: string, { key, step, timestamp }: Point): Promise<void> {
    const id = createHash("sha256").update(`${there.info.run_id}/${path}`).digest("hex"); // the same each time
    const uuid = id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, "$1-$2-$3-$4-$5");
    const name = key.slice("image/".length).replaceAll("/", "~");
    const stem = `images/${name}+step+${step}+timestamp+${timestamp}+${uuid}`;
    for (const name of [`${stem}.png`, `${stem}+compressed.webp`]) {
      if (!there.artifacts.has(name)) await this.#put(there, name, path);
    }
  }

  async #sendFiles(there: Remote, isOver: boolean): Promise<number> {
    let count = 0;
    for (const { path, size, modified } of await runFiles(this.run)) {
      if (!isOver && whenMirrored(path) === "at the end") continue;
      const isThere = there.artifacts.has(path) && (there.artifacts.get(path) ?? size) === size;
      const sent = this.#sent[path];
      if ((isThere || Object.hasOwn(this.refused, path)) && sent?.modified === modified) continue;
      const bytes = await readIfThere(join(this.run, path), this.run);
      if (bytes === undefined) continue; // deleted since it was listed
      const digest = createHash("sha256").update(bytes).digest("hex");
      if (!(isThere && sent?.digest === digest) && await this.#put(there, path, path)) count++;
      this.#sent[path] = { modified, digest };
      await this.#remember(there.info);
    }
    return count;
  }

  /** Stores a file of the run under a name. @returns false if it is gone, or the server will never accept it */
  async #put({ info, artifacts }: Remote, name: string, path: string): Promise<boolean> {
    try {
      using file = await openFile(this.run, path);
      if (file === undefined) return false;
      await this.#client.putArtifact(info.artifact_uri, name, file.body);
      artifacts.set(name, file.size);
      delete this.refused[path];
      return true;
    } catch (error) {
      const isFinal = error instanceof RunError || error instanceof ServerError &&
          (error.details.status === 413 || // proxies have limits, often 1 MB
            ["INVALID_PARAMETER_VALUE", "NO_ARTIFACTS"].includes(error.details.code ?? ""));
      if (!isFinal) throw error;
      this.refused[path] = error.message;
      return false;
    }
  }

  /**
   * Logs the averaged weights of a finished run as a model of MLflow 3, with the run's params and the results at its
   * last step. Weights are logged once; a later call only links new results.
   *
   * @returns the number of files sent
   */
  async #logModel({ info, params, artifacts }: Remote, record: RunRecord): Promise<number> {
    const [client, { run_id, experiment_id }] = [this.#client, info];
    const weights = basename(findWeights(this.run)?.path ?? "");
    if (!artifacts.has(weights) || Object.hasOwn(this.refused, weights)) return 0;
    const bytes = new Uint8Array(await readFile(join(this.run, weights), this.run));
    const digest = createHash("sha256").update(bytes).digest("hex");
    const search = { experiment_ids: [experiment_id], filter: `source_run_id = '${run_id}'` };
    const isOurs = ({ info }: ServerModel) => info.tags?.some(({ value }) => value === digest);
    const model = await client.retry(async () => {
      const { models = [] } = await client.call("logged-models/search", search) as { models?: ServerModel[] };
      return models.find(isOurs) ?? await client.get<ServerModel>("model", "logged-models", {
        experiment_id,
        source_run_id: run_id,
        model_type: "flow_matching",
        name: record.name.replaceAll(/[/:.%"']/g, "_"),
        params: entriesOf(params),
        tags: entriesOf([["flow.weights_sha256", digest]]),
      });
    }).catch((error) => {
      if (error.details?.status !== 404) throw error; // a server before MLflow 3
    });
    if (model === undefined) return 0;
    const { model_id, artifact_uri, status } = model.info;
    const latest = Object.entries(await latestOf(this.run, record.startedAt));
    const step = Math.max(0, ...latest.map(([, { step }]) => step));
    const isReady = status === "LOGGED_MODEL_READY";
    const about = { ...filesOfModel(model, weights, record, run_id), [weights]: bytes };
    for (const [name, body] of isReady ? [] : Object.entries(about)) {
      await client.putArtifact(artifact_uri, name, () => body);
    }
    const { outputs } = await client.get<ServerRun>("run", "runs/get", { run_id });
    if (!outputs?.model_outputs?.some((output) => output.model_id === model_id)) {
      await client.call("runs/outputs", { run_id, models: [{ model_id, step }] });
    }
    const linked = new Set(model.data?.metrics?.map(({ key, timestamp }) => `${key} ${timestamp}`));
    const results = latest.filter(([key, at]) => at.step === step && isResult(key))
      .map(([key, { value, time }]) => ({ ...pointOf(key, value, time, step), model_id }))
      .filter(({ key, timestamp }) => !linked.has(`${key} ${timestamp}`));
    await client.log(run_id, "metrics", results);
    if (isReady) return 0;
    await client.call(`logged-models/${model_id}`, { model_id, status: "LOGGED_MODEL_READY" }, "PATCH");
    return Object.keys(about).length;
  }
}

/** A logged model as a server returns it. */
interface ServerModel {
  readonly info: {
    readonly model_id: string;
    readonly artifact_uri: string;
    readonly status?: string;
    readonly tags?: readonly Entry[];
  };
  readonly data?: { readonly metrics?: readonly Point[] };
}

/** What a model's page and MLflow's client need, and how to load its weights. */
function filesOfModel({ info }: ServerModel, weights: string, record: RunRecord, run_id: string) {
  const { model_id, artifact_uri } = info;
  const created = new Date(record.endedAt ?? record.startedAt).toISOString();
  const mlmodel = { // JSON is also YAML
    artifact_path: artifact_uri,
    flavors: { flow_matching: { data: weights } },
    model_id,
    model_uuid: model_id,
    run_id,
    utc_time_created: created.replace("T", " ").replace("Z", "000"),
  };
  const readme = `# ${record.name}

\`\`\`sh
mlflow artifacts download -u models:/${model_id} -d model   # or models:/NAME/VERSION of a registered one
./denow task sample model/${weights} --out samples.png
\`\`\`

Run the second line in a checkout of the program that trained it; for a network of your own, add \`--model FILE\`.
Other programs read the tensors: \`safetensors.torch.load_file("model/${weights}")\`.
`;
  return { MLmodel: JSON.stringify(mlmodel, null, 2) + "\n", "README.md": readme };
}

/** The tag with which MLflow's page shows images by step. */
const imagesTag = [["mlflow.loggedImages", "True"]] as const;

function entriesOf(values: Iterable<readonly [string, string]>): Entry[] {
  return Array.from(values, ([key, value]) => ({ key, value }));
}

const isActive = ({ info }: ServerRun) => info.lifecycle_stage !== "deleted";

const hasId = ({ data }: ServerRun, id: string) =>
  data?.tags?.some(({ key, value }) => key === idTag && value === id) ?? false;

/** The files that a server has by path: their times of change, and SHA-256, in case a copy has another time. */
type SentFiles = Record<string, { readonly modified: number; readonly digest: string } | undefined>;

/**
 * Reads `mlflow.json`: the server's id of a run, and the files it has.
 *
 * @returns undefined if the run is on no server, or on another one than `url`
 */
async function readCursor(
  run: string,
  url: string,
): Promise<{ readonly runId: string; readonly sent: SentFiles } | undefined> {
  const { server, runId, sent } = await readJson(join(run, runFile.cursor)) ?? {};
  return server === url && typeof runId === "string" ? { runId, sent: Object(sent) } : undefined;
}

/** Opens a file of a run to send. @returns undefined if there is none */
export async function openFile(run: string, path: string) {
  if (isOwn(path)) throw new RunError(`Cannot send ${path}: it is not a result`);
  const file = await openContained(join(run, path), run);
  if (file === undefined) return undefined;
  const { size } = await file.stat();
  async function* pieces(onPiece: () => void) {
    await file!.seek(0, Deno.SeekMode.Start);
    const piece = new Uint8Array(1 << 18);
    for (let count; (count = await file!.read(piece)) !== null; onPiece()) yield piece.slice(0, count);
  }
  const body = (onPiece = () => {}) => ReadableStream.from(pieces(onPiece));
  return { size, body, [Symbol.dispose]: () => file.close() };
}

/**
 * Reads the lines of a run's `metrics.jsonl` from an offset, 1,000 at a time, even while it is being written. Lines that
 * are not metrics are skipped.
 *
 * @param offset end of a line; a shorter file is read from its start
 * @param isOver whether the run has ended; then a complete last line without a line break counts
 */
export async function* metricsFrom(
  run: string,
  offset: number,
  isOver: boolean,
): AsyncGenerator<{ readonly lines: readonly Metrics[]; readonly end: number }> {
  const file = await openContained(join(run, runFile.metrics));
  if (file === undefined) return;
  if ((await file.stat()).size < offset) offset = 0;
  await file.seek(offset, Deno.SeekMode.Start);
  const bytes = await new Response(file.readable).bytes(); // closes the file
  const textOf = (from: number, to?: number) => new TextDecoder().decode(bytes.subarray(from, to));
  let whole = bytes.lastIndexOf(lineBreak) + 1;
  if (isOver && parseMetrics(textOf(whole))) whole = bytes.length;
  const lines = textOf(0, whole).split("\n").flatMap((line) => parseMetrics(line) ?? []);
  for (let at = 0; at < lines.length; at += 1000) {
    yield { lines: lines.slice(at, at + 1000), end: at + 1000 < lines.length ? offset : offset + whole };
  }
}
