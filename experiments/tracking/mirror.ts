import { createHash } from "node:crypto";
import { join } from "node:path";
import { RunError } from "../run/atomic_write.ts";
import { parseMetrics } from "../run/metrics_log.ts";
import { type MlflowClient, rejectsFile, type ServerRun } from "./client.ts";
import { type Cursor, newCursor, readCursor, type SentFile, writeCursor } from "./cursor.ts";
import { describe, idTag, isRunOf } from "./description.ts";
import { keyOf, type MetricEntry, metricEntry } from "./entries.ts";
import { folderAround, isOwn, OpenFile, runFiles } from "./files.ts";
import { ServerError } from "./http.ts";
import { linesFrom } from "./lines.ts";
import { pageOf } from "./page_of.ts";
import { readRecord, type RunRecord } from "./record.ts";
import { withRetries } from "./retry.ts";
import { runFile } from "../run/layout.ts";

/** Whether a file changes with every step or checkpoint: such files are sent when the run is over. */
const changes = (path: string) => path === runFile.metrics || path.endsWith(".safetensors");

/**
 * Mirrors a run folder to an MLflow server. A pass sends what the server lacks and notes it in the folder, so that the
 * next pass, by this program or another, continues from there. A pass may be cut off anywhere and repeated: metrics that
 * are sent again are stored once, artifacts replace themselves, and a run is looked up by its own id before it is created.
 * The caller holds the run's lock.
 */
export class Mirror {
  #cursor: Cursor | undefined;
  /** Whether this program has seen the run on the server. */
  #claimed = false;
  /** Files that the server rejected: they are not sent again by this program, unless they change. */
  readonly #refusedFiles = new Map<string, SentFile>();
  readonly #onFound: (page: string) => void;

  /**
   * @param onFound called with the run's page once the server has the run
   */
  constructor(
    readonly run: string,
    readonly client: MlflowClient,
    { onFound = () => {} }: { onFound?: (page: string) => void } = {},
  ) {
    this.#onFound = onFound;
  }

  /** What the server rejected for good, and why. */
  get refused(): Readonly<Record<string, string>> {
    return this.#cursor?.refused ?? {};
  }

  /**
   * Sends what the server lacks: of a running run what is final by now, of a finished one everything.
   *
   * @returns how much was sent
   * @throws {ServerError} if the server cannot be reached or refuses
   * @throws {RunError} if the folder cannot be read or written
   */
  async pass(): Promise<{ points: number; files: number }> {
    const record = await readRecord(this.run);
    if (record === undefined) throw new RunError(`Cannot send ${this.run}: it is not a run folder`);
    try {
      const cursor = await this.#claim(record);
      const over = record.status !== "RUNNING";
      if (cursor.status !== "RUNNING" && !over) await this.#sendStatus(record, cursor);
      await this.#describe(record, cursor);
      const points = await this.#sendMetrics(record, cursor, over);
      const files = await this.#sendFiles(cursor, over);
      await this.#describe(record, cursor);
      if (over && cursor.status !== record.status) await this.#sendStatus(record, cursor);
      return { points, files };
    } catch (error) {
      this.#claimed = false;
      throw error;
    }
  }

  async #claim(record: RunRecord): Promise<Cursor> {
    this.#cursor ??= await readCursor(this.run, this.client.url) ?? newCursor(this.client.url);
    if (this.#claimed) return this.#cursor;
    const known = await this.#known(record);
    const experimentId = (known && this.#cursor.experimentId) ??
      await this.client.ensureExperiment(record.experiment);
    const { info } = known ?? await this.#find(experimentId, record);
    if (info.lifecycle_stage === "deleted") {
      throw new ServerError(`${this.client.url} has deleted the run ${info.run_id}; restore it there`, {
        passing: false,
        code: "DELETED",
      });
    }
    if (this.#cursor.runId !== info.run_id) {
      this.#cursor = { ...newCursor(this.client.url), runId: info.run_id, status: info.status };
    }
    this.#cursor.experimentId = experimentId;
    this.#cursor.artifactUri = info.artifact_uri;
    await writeCursor(this.run, this.#cursor);
    this.#claimed = true;
    this.#onFound(pageOf(this.client.url, this.#cursor));
    return this.#cursor;
  }

  /** The run that the server had, if it still has it: its experiment may have another name by now. */
  async #known({ id }: RunRecord): Promise<ServerRun | undefined> {
    const runId = this.#cursor?.runId;
    const run = runId ? await this.client.findRun(runId) : undefined;
    return run?.info.lifecycle_stage === "active" && isRunOf(run, id) ? run : undefined;
  }

  /** The run on the server, created if missing. Lost answers can leave several; all but one are deleted. */
  async #find(experimentId: string, record: RunRecord): Promise<ServerRun> {
    const filter = `tags.\`${idTag}\` = '${record.id.replaceAll("'", "")}'`;
    // What else the server finds is not ours to write or delete.
    const search = async () =>
      (await this.client.searchRuns(experimentId, filter, "ALL")).filter((run) => isRunOf(run, record.id));
    let unsure = false;
    const found = await withRetries(
      async () => {
        unsure = false;
        const runs = await search();
        if (runs.length > 0) return runs;
        unsure = true; // from here on, the run may exist in spite of an error
        return [await this.#create(experimentId, record)];
      },
      (error) => unsure && error instanceof ServerError && error.details.passing ? 0 : undefined,
      {
        pauses: this.client.http.pauses,
        patience: this.client.http.patience,
        signal: this.client.signal,
      },
    );
    const again = unsure ? await search() : [];
    const runs = again.length > 0 ? again : found;
    const active = runs.filter(({ info }) => info.lifecycle_stage === "active");
    const known = active.find(({ info }) => info.run_id === this.#cursor?.runId);
    const kept = known ?? active.sort((a, b) => a.info.run_id < b.info.run_id ? -1 : 1)[0] ?? runs[0];
    for (const { info } of active) if (info !== kept.info) await this.client.deleteRun(info.run_id);
    return kept;
  }

  async #create(experimentId: string, record: RunRecord): Promise<ServerRun> {
    const parent = await this.#parent();
    return await this.client.createRun({
      experiment_id: experimentId,
      run_name: record.name,
      start_time: record.startedAt,
      tags: [
        { key: idTag, value: record.id },
        ...parent === undefined ? [] : [{ key: "mlflow.parentRunId", value: parent }],
      ],
    });
  }

  /** The server's id of the run whose folder contains this one. */
  async #parent(): Promise<string | undefined> {
    const folder = folderAround(this.run);
    if (await readRecord(folder) === undefined) return undefined;
    const runId = (await readCursor(folder, this.client.url))?.runId;
    if (runId) return runId;
    throw new RunError(
      `Cannot send ${this.run}: the run that it is nested in, ${folder}, has to be sent first`,
    );
  }

  async #sendStatus({ status, endedAt }: RunRecord, cursor: Cursor): Promise<void> {
    await this.client.updateRun(cursor.runId!, { status, ...endedAt !== null && { end_time: endedAt } });
    cursor.status = status;
    await writeCursor(this.run, cursor);
  }

  async #describe(record: RunRecord, cursor: Cursor): Promise<void> {
    const { params, tags, inputs } = await describe(this.run, record, cursor);
    // A param can be set only once; values that a resumed run changed become tags.
    const changed = params.flatMap(({ key, value }) =>
      key in cursor.params && cursor.params[key] !== value ? [{ key: `resumed.${key}`, value }] : []
    );
    const newParams = params.filter(({ key }) => !(key in cursor.params));
    const allTags = [...tags, ...changed];
    const newTags = allTags.filter(({ key, value }) => cursor.tags[key] !== value);
    // Why an earlier session failed, say.
    const goneTags = Object.keys(cursor.tags).filter((gone) => !allTags.some(({ key }) => key === gone));
    const newInputs = JSON.stringify(inputs);
    const sendInputs = inputs.length > 0 && newInputs !== cursor.inputs;
    if (newParams.length + newTags.length + goneTags.length === 0 && !sendInputs) return;
    for (const [kind, entries] of [["params", newParams], ["tags", newTags]] as const) {
      await this.client.logAll(cursor.runId!, kind, entries, ({ key }, reason) => {
        cursor.refused[`${kind}/${key}`] = reason;
      });
      for (const { key, value } of entries) cursor[kind][key] = value;
    }
    for (const key of goneTags) {
      await this.client.deleteTag(cursor.runId!, key);
      delete cursor.tags[key];
    }
    if (sendInputs) {
      await this.client.logInputs(cursor.runId!, inputs);
      cursor.inputs = newInputs;
    }
    await writeCursor(this.run, cursor);
  }

  async #sendMetrics(record: RunRecord, cursor: Cursor, over: boolean): Promise<number> {
    const path = join(this.run, runFile.metrics);
    let points = 0;
    // The incomplete last line of a run that was killed is cut where somebody adds to the file: it is not counted.
    const isWhole = (line: string) => over && parseMetrics(line) !== undefined;
    for await (const { lines, end } of linesFrom(path, cursor.metricsBytes, isWhole)) {
      const entries: MetricEntry[] = [];
      for (const text of lines) {
        const line = parseMetrics(text);
        if (line === undefined) continue; // whoever reads the run says so
        const { step, time, ...values } = line;
        const at = typeof time === "number" ? time : record.startedAt;
        for (const [key, value] of Object.entries(values)) {
          if (typeof value === "number") {
            entries.push(metricEntry(key, value, at, step));
            cursor.latest[key] = { value, step };
          } else if (key.startsWith("image/")) {
            await this.#sendImage(cursor, key.slice("image/".length), value, step, at);
          }
        }
      }
      await this.client.logAll(cursor.runId!, "metrics", entries, ({ key }, reason) => {
        cursor.refused[`metrics/${key}`] = reason;
      });
      points += entries.length;
      cursor.metricsBytes = end;
      await writeCursor(this.run, cursor);
    }
    return points;
  }

  /** Sends a picture under the name of key, step and time by which MLflow's page finds images over steps. */
  async #sendImage(cursor: Cursor, key: string, path: string, step: number, time: number): Promise<void> {
    using file = await this.#openImage(cursor, path);
    if (file === undefined) return;
    // A fixed name, so that a picture that is sent again replaces itself.
    const id = createHash("sha256").update(`${cursor.runId}/${path}`).digest("hex");
    const uuid = [id.slice(0, 8), id.slice(8, 12), id.slice(12, 16), id.slice(16, 20), id.slice(20, 32)].join(
      "-",
    );
    const stem = `images/${keyOf(key).replaceAll("/", "~")}+step+${step}+timestamp+${
      Math.trunc(time)
    }+${uuid}`;
    for (const name of [`${stem}.png`, `${stem}+compressed.webp`]) {
      await this.#put(cursor, name, file);
    }
    cursor.images++;
  }

  /** Opens a picture that `metrics.jsonl` names, which may be anything: only a file that is also sent by itself. */
  async #openImage(cursor: Cursor, path: string): Promise<OpenFile | undefined> {
    try {
      const file = isOwn(path) ? undefined : await OpenFile.open(this.run, path);
      if (file === undefined) cursor.refused[`images/${path}`] = "the file is gone";
      return file;
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      cursor.refused[`images/${path}`] = error.message;
      return undefined;
    }
  }

  async #sendFiles(cursor: Cursor, over: boolean): Promise<number> {
    let count = 0;
    for (const { path, size, modified } of await runFiles(this.run)) {
      const sent = cursor.files[path];
      const isKnown = [sent, this.#refusedFiles.get(path)].some((known) =>
        known?.size === size && known.modified === modified
      );
      if (isKnown || (!over && changes(path))) continue;
      using file = await OpenFile.open(this.run, path);
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

  /** Stores a file; false if the server rejects it for good. */
  async #put(cursor: Cursor, path: string, file: OpenFile): Promise<boolean> {
    try {
      await this.client.putArtifact(cursor.artifactUri!, path, () => file.body());
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
