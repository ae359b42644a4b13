import { createHash } from "node:crypto";
import { RunError } from "../run/run_folder.ts";
import { whenMirrored } from "../run/files.ts";
import { type Cursor, newCursor, readCursor, type SentFile, writeCursor } from "./cursor.ts";
import { describeRun, idTag, type MetricEntry, metricEntry, mlflowKey } from "./describe_run.ts";
import { type HttpServer, ServerError } from "./http_server.ts";
import { pointId, type ServerRun } from "./mlflow_endpoints.ts";
import { logModel } from "./logged_model.ts";
import { MlflowClient, rejectsFile } from "./mlflow_client.ts";
import { readRecord, type RunRecord } from "./record.ts";
import { folderAround, isOwn, metricsFrom, type OpenFile, openFile, runFiles } from "./run_files.ts";

/** A run on the server, as it was found. */
interface RemoteRun {
  info: ServerRun["info"];
  /** For a run that has ended: its points by metric, and its artifacts with their sizes. */
  readonly points: Map<string, Set<string>>;
  artifacts: ReadonlyMap<string, number | undefined>;
}

/**
 * Mirrors a run folder to an MLflow server. A pass sends what the server lacks and records it in the folder, so that the
 * next pass, by this program or another, continues from there. A pass may be interrupted anywhere and repeated: metrics
 * sent twice are stored once, artifacts are overwritten, and a run is looked up by our id before it is created. The
 * caller holds the run's lock.
 */
export class Mirror {
  /** The run's page; undefined until the server is known to have the run. */
  page: string | undefined;
  readonly #client: MlflowClient;
  /** The state of the server according to the folder. */
  #cursor: Cursor | undefined;
  /** The run on the server; undefined before the first pass and after an error, when a pass looks it up. */
  #there: RemoteRun | undefined;
  /** Files that the server rejected; this program sends them again only if they change. */
  readonly #refusedFiles = new Map<string, SentFile>();

  constructor(readonly run: string, server: HttpServer) {
    this.#client = new MlflowClient(server);
  }

  /** What the server rejected permanently, and why. */
  get refused(): Readonly<Record<string, string>> {
    return this.#cursor?.refused ?? {};
  }

  /**
   * Sends what the server lacks; for a run in progress, only data that is already final.
   *
   * @returns the number of points and files sent
   * @throws {ServerError} if the server cannot be reached or rejects a request
   * @throws {RunError} if the folder cannot be read or written
   */
  async pass(): Promise<{ points: number; files: number }> {
    const record = await readRecord(this.run);
    if (record === undefined) throw new RunError(`Cannot send ${this.run}: it is not a run folder`);
    try {
      const cursor = await this.#claim(record);
      const isOver = record.status !== "RUNNING";
      if (!isOver) await this.#sendStatus(record);
      await this.#describe(record, cursor);
      const points = await this.#sendMetrics(record, cursor, isOver);
      let files = await this.#sendFiles(cursor, isOver);
      await this.#describe(record, cursor); // includes the new results and pictures
      if (record.status === "FINISHED") {
        files += await logModel(this.#client, this.run, record, cursor, this.#there!.info);
        await writeCursor(this.run, cursor);
      }
      if (isOver) await this.#sendStatus(record);
      return { points, files };
    } catch (error) {
      this.#there = undefined;
      throw error;
    }
  }

  async #claim(record: RunRecord): Promise<Cursor> {
    const { url } = this.#client;
    this.#cursor ??= await readCursor(this.run, url) ?? newCursor(url);
    if (this.#there) return this.#cursor;
    const remote = await this.#earlierRun(record.id) ?? await this.#find(record);
    const { info } = remote;
    if (!isActive(remote)) {
      throw new ServerError(`${url} has deleted the run ${info.run_id}; restore it there`, {
        code: "DELETED",
      });
    }
    if (this.#cursor.runId !== info.run_id) this.#cursor = newCursor(url, info.run_id);
    const there: RemoteRun = { info, points: new Map(), artifacts: new Map() };
    if (record.status !== "RUNNING") await this.#verify(this.#cursor, remote, there);
    await writeCursor(this.run, this.#cursor);
    this.#there = there;
    const [experiment, id] = [info.experiment_id, info.run_id].map(encodeURIComponent);
    // Without the query, the page opens in another mode.
    this.page = `${url}/#/experiments/${experiment}/runs/${id}?workflowType=machine_learning`;
    return this.#cursor;
  }

  /** Corrects the cursor of an ended run whose server has lost data, for example after a restore from a backup. */
  async #verify(
    cursor: Cursor,
    { info, data = {}, inputs = {} }: ServerRun,
    found: RemoteRun,
  ): Promise<void> {
    const sent = new Set(Object.keys(cursor.latest).map(mlflowKey));
    for (const { key } of data.metrics ?? []) {
      if (sent.has(key)) found.points.set(key, await this.#client.points(info.run_id, key));
    }
    cursor.metricsBytes = 0;
    for (const kind of ["params", "tags"] as const) {
      const there = new Set(data[kind]?.map(({ key }) => key));
      cursor[kind] = pick(cursor[kind], (key) => there.has(key));
    }
    if (!inputs.dataset_inputs?.length) cursor.inputs = null;
    if (Object.keys(cursor.files).length === 0) return; // the server may not keep any
    const there = found.artifacts = await this.#client.artifacts(info.run_id);
    cursor.files = pick(
      cursor.files,
      (path, { size }) => there.has(path) && (there.get(path) ?? size) === size,
    );
  }

  /** The run with an id if the server still has it; its experiment may have been renamed. */
  async #earlierRun(id: string): Promise<ServerRun | undefined> {
    const runId = this.#cursor?.runId;
    const { run } = runId ? await this.#client.callIfThere("runs/get", { run_id: runId }) ?? {} : {};
    return run && isActive(run) && hasId(run, id) ? run : undefined;
  }

  /** Finds the run on the server, or creates it. Lost responses can leave duplicates; all but one are deleted. */
  async #find(record: RunRecord): Promise<ServerRun> {
    const experimentId = await this.#client.ensureExperiment(record.experiment);
    const filter = `tags.\`${idTag}\` = '${record.id.replaceAll("'", "")}'`;
    // The search may return other runs, which must not be changed or deleted.
    const search = async () =>
      (await this.#client.searchRuns(experimentId, filter, "ALL")).filter((run) => hasId(run, record.id));
    let isCreating = false;
    const runs = await this.#client.http.retry(async () => {
      isCreating = false;
      const matches = await search();
      if (matches.length > 0) return matches;
      isCreating = true; // from here on, the run may exist despite an error
      const created = await this.#create(experimentId, record);
      const all = await search();
      return all.length > 0 ? all : [created];
    }, ({ details }) => isCreating && details.retryable ? 0 : undefined);
    const active = runs.filter(isActive).sort((a, b) => a.info.run_id < b.info.run_id ? -1 : 1);
    const kept = active.find(({ info }) => info.run_id === this.#cursor?.runId) ?? active[0] ?? runs[0];
    for (const run of active) {
      if (run !== kept) await this.#client.callIfThere("runs/delete", { run_id: run.info.run_id });
    }
    return kept;
  }

  async #create(experimentId: string, record: RunRecord): Promise<ServerRun> {
    const tags = [{ key: idTag, value: record.id }];
    const folder = folderAround(this.run);
    if (await readRecord(folder)) { // a nested run
      const parent = (await readCursor(folder, this.#client.url))?.runId;
      if (!parent) {
        throw new RunError(
          `Cannot send ${this.run}: its parent run ${folder} must be sent first`,
        );
      }
      tags.push({ key: "mlflow.parentRunId", value: parent });
    }
    const about = { experiment_id: experimentId, run_name: record.name, start_time: record.startedAt };
    return (await this.#client.call("runs/create", { ...about, tags })).run;
  }

  async #sendStatus({ status, endedAt }: RunRecord): Promise<void> {
    const { run_id, status: statusThere, end_time } = this.#there!.info;
    if (status === statusThere && (endedAt === null || endedAt === end_time)) return;
    const change = { status, ...endedAt !== null && { end_time: endedAt } };
    await this.#client.callIfThere("runs/update", { run_id, ...change });
    this.#there!.info = { ...this.#there!.info, ...change };
  }

  async #describe(record: RunRecord, cursor: Cursor): Promise<void> {
    const { params, tags, inputs } = await describeRun(this.run, record, cursor);
    const runId = cursor.runId!;
    // A param can be set only once, so values that a resumed run changed become tags.
    const changed = params.filter(({ key, value }) => key in cursor.params && cursor.params[key] !== value);
    const allTags = [...tags, ...changed.map(({ key, value }) => ({ key: `resumed.${key}`, value }))];
    const news = {
      params: params.filter(({ key }) => !(key in cursor.params)),
      tags: allTags.filter(({ key, value }) => cursor.tags[key] !== value),
    };
    // For example, the reason why an earlier session failed.
    const gone = Object.keys(cursor.tags).filter((key) => !allTags.some((tag) => tag.key === key));
    const newInputs = inputs.length > 0 ? JSON.stringify(inputs) : cursor.inputs;
    const isNew = newInputs !== cursor.inputs;
    if (news.params.length + news.tags.length + gone.length === 0 && !isNew) return;
    for (const kind of ["params", "tags"] as const) {
      await this.#client.logAll(runId, kind, news[kind], ({ key }, reason) => {
        cursor.refused[`${kind}/${key}`] = reason;
      });
      for (const { key, value } of news[kind]) cursor[kind][key] = value;
    }
    for (const key of gone) {
      await this.#client.callIfThere("runs/delete-tag", { run_id: runId, key });
      delete cursor.tags[key];
    }
    if (isNew) await this.#client.callIfThere("runs/log-inputs", { run_id: runId, datasets: inputs });
    cursor.inputs = newInputs;
    await writeCursor(this.run, cursor);
  }

  async #sendMetrics(record: RunRecord, cursor: Cursor, isOver: boolean): Promise<number> {
    let points = 0;
    for await (const { lines, end } of metricsFrom(this.run, cursor.metricsBytes, isOver)) {
      // Lines of the same millisecond may repeat a point, such as that of the epoch.
      const unique = new Map<string, MetricEntry>();
      for (const { step, time, ...values } of lines) {
        const at = typeof time === "number" ? time : record.startedAt;
        for (const [key, value] of Object.entries(values)) {
          if (typeof value === "number") {
            const entry = metricEntry(key, value, at, step);
            if (!this.#there!.points.get(entry.key)?.has(pointId(entry))) {
              unique.set(`${entry.key} ${pointId(entry)} ${value}`, entry);
            }
            cursor.latest[key] = { value: Number.isFinite(value) ? value : null, step };
          } else if (key.startsWith("image/")) {
            await this.#sendImage(cursor, value, mlflowKey(key.slice("image/".length)), step, at);
          }
        }
      }
      const entries = [...unique.values()];
      await this.#client.logAll(cursor.runId!, "metrics", entries, ({ key }, reason) => {
        cursor.refused[`metrics/${key}`] = reason;
        points--;
      });
      points += entries.length;
      cursor.metricsBytes = end;
      await writeCursor(this.run, cursor);
    }
    return points;
  }

  /**
   * Sends a picture under a name with key, step and time, which MLflow's page needs to show images by step.
   *
   * @param path any path in `metrics.jsonl`; only files that are sent anyway are opened
   */
  async #sendImage(cursor: Cursor, path: string, key: string, step: number, time: number): Promise<void> {
    // With a deterministic name, a picture that is sent again overwrites itself.
    const id = createHash("sha256").update(`${cursor.runId}/${path}`).digest("hex");
    const uuid = id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, "$1-$2-$3-$4-$5");
    const stem = `images/${key.replaceAll("/", "~")}+step+${step}+timestamp+${Math.trunc(time)}+${uuid}`;
    const names = [`${stem}.png`, `${stem}+compressed.webp`].filter((name) =>
      !this.#there!.artifacts.has(name)
    );
    if (names.length === 0) return;
    try {
      using file = isOwn(path) ? undefined : await openFile(this.run, path);
      if (file === undefined) throw new RunError("the file is gone");
      for (const name of names) await this.#put(cursor, name, file);
      cursor.images++;
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      cursor.refused[`images/${path}`] = error.message;
    }
  }

  async #sendFiles(cursor: Cursor, isOver: boolean): Promise<number> {
    let count = 0;
    for (const { path, size, modified } of await runFiles(this.run)) {
      if (!isOver && whenMirrored(path) === "at the end") continue;
      const sent = cursor.files[path];
      const seen = [sent, this.#refusedFiles.get(path)];
      if (seen.some((file) => file?.size === size && file.modified === modified)) continue;
      using file = await openFile(this.run, path);
      if (file === undefined) continue; // deleted since it was listed
      if (sent?.sha256 !== file.sent.sha256) {
        if (!await this.#put(cursor, path, file)) {
          this.#refusedFiles.set(path, file.sent);
          continue;
        }
        count++;
      }
      cursor.files[path] = file.sent;
      await writeCursor(this.run, cursor);
    }
    return count;
  }

  /** Stores a file. @returns false if the server rejects it permanently */
  async #put(cursor: Cursor, path: string, file: OpenFile): Promise<boolean> {
    try {
      await this.#client.putArtifact(this.#there!.info.artifact_uri ?? "", path, () => file.body());
      delete cursor.refused[`artifacts/${path}`];
      return true;
    } catch (error) {
      if (!rejectsFile(error)) throw error;
      cursor.refused[`artifacts/${path}`] = (error as Error).message;
      await writeCursor(this.run, cursor);
      return false;
    }
  }
}

function pick<Value>(
  values: Readonly<Record<string, Value>>,
  accepts: (key: string, value: Value) => boolean,
) {
  return Object.fromEntries(Object.entries(values).filter(([key, value]) => accepts(key, value)));
}

function isActive({ info }: Pick<ServerRun, "info">): boolean {
  return info.lifecycle_stage !== "deleted";
}

function hasId({ data }: ServerRun, id: string): boolean {
  return data?.tags?.some(({ key, value }) => key === idTag && value === id) ?? false;
}
