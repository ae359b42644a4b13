/** Reads a run from a server without the client under test, and compares it with the run's folder. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { describeRun } from "../../../experiments/tracking/describe_run.ts";
import { readRecord, runFiles } from "../../../experiments/tracking/record.ts";

type Entries = readonly { readonly key: string; readonly value: string }[];

type Input = { readonly dataset: Record<"name" | "digest" | "profile", string>; readonly tags: Entries };

/** A run in the results of a server's search. */
export interface StoredRun {
  readonly info: Readonly<Record<"run_id" | "experiment_id" | "run_name" | "status", string>> & {
    readonly start_time: number;
    readonly end_time?: number;
  };
  readonly data: Partial<Record<"params" | "tags", Entries>> & { metrics?: readonly { key: string }[] };
  readonly inputs?: { readonly dataset_inputs?: readonly Input[] };
}

/** Reads a server's REST API. */
export abstract class MlflowReader {
  abstract readonly url: string;

  async #fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { "x-reader": "a test", "content-type": "application/json" };
    const response = await fetch(`${this.url}/${path}`, { ...init, headers });
    if (response.ok) return response;
    throw new Error(`${path}: ${response.status} ${await response.text()}`);
  }

  async get<Answer>(path: string, query: Record<string, string> = {}): Promise<Answer> {
    return await (await this.#fetch(`api/2.0/mlflow/${path}?${new URLSearchParams(query)}`)).json();
  }

  async post<Answer>(path: string, content: unknown): Promise<Answer> {
    const init = { method: "POST", body: JSON.stringify(content) };
    return await (await this.#fetch(`api/2.0/mlflow/${path}`, init)).json();
  }

  /** The runs of an experiment that are not deleted. */
  async runs(experiment_name: string): Promise<StoredRun[]> {
    type Found = { experiment: { experiment_id: string } };
    const { experiment } = await this.get<Found>("experiments/get-by-name", { experiment_name });
    const query = { experiment_ids: [experiment.experiment_id], max_results: 1000 };
    return (await this.post<{ runs?: StoredRun[] }>("runs/search", query)).runs ?? [];
  }

  async artifacts(run_id: string, path?: string): Promise<string[]> {
    type Listed = { files?: { path: string; is_dir: boolean }[] };
    const query = { run_id, ...path !== undefined && { path } };
    const { files = [] } = await this.get<Listed>("artifacts/list", query);
    const inside = files.map((file) => file.is_dir ? this.artifacts(run_id, file.path) : [file.path]);
    return (await Promise.all(inside)).flat().sort();
  }

  async artifact(run_uuid: string, path: string): Promise<Uint8Array> {
    return await (await this.#fetch(`get-artifact?${new URLSearchParams({ run_uuid, path })}`)).bytes();
  }
}

/** A list of keys and values as an object. */
export function valuesOf(entries: Entries = []): Record<string, string> {
  return Object.fromEntries(entries.map(({ key, value }) => [key, value]));
}

/**
 * Asserts that a server holds a run once, with exactly the content of its folder: every point of every metric, every
 * setting, every file byte for byte, and the status.
 *
 * @returns the run on the server
 */
export async function assertMirrored(
  server: MlflowReader,
  experiment: string,
  folder: string,
): Promise<StoredRun> {
  const record = (await readRecord(folder))!;
  const runs = (await server.runs(experiment)).filter(({ data }) =>
    valuesOf(data.tags)["flow.run_id"] === record.id
  );
  assert.equal(runs.length, 1, `${folder} is on the server ${runs.length} times`);
  const [run] = runs;
  const { run_name, status, start_time, end_time = null } = run.info;
  const { name, startedAt, endedAt } = record;
  assert.deepEqual([run_name, status, start_time, end_time], [name, record.status, startedAt, endedAt]);
  const metrics = await Deno.readTextFile(join(folder, "metrics.jsonl")).catch(() => ""); // none was logged
  await assertMetrics(server, run, metrics);
  assert.deepEqual(valuesOf(run.data.params), valuesOf((await describeRun(folder, record)).params));
  const files = (await runFiles(folder)).map(({ path }) => path);
  const artifacts = await server.artifacts(run.info.run_id);
  assert.deepEqual(artifacts.filter((path) => !path.startsWith("images/")), files);
  for (const path of files) {
    const stored = await server.artifact(run.info.run_id, path);
    const kept = await Deno.readFile(join(folder, path));
    assert.ok(stored.length === kept.length && stored.every((byte, i) => byte === kept[i]), path);
  }
  return run;
}

async function assertMetrics(server: MlflowReader, { info, data }: StoredRun, text: string): Promise<void> {
  const { run_id } = info;
  const expected = new Map<string, Set<string>>();
  let pictures = 0;
  for (const line of text.split("\n").filter((line) => line !== "")) {
    const { step, time, ...values } = JSON.parse(line);
    for (const [key, value] of Object.entries(values)) {
      if (key.startsWith("image/")) pictures++;
      else expected.set(key, (expected.get(key) ?? new Set()).add(point(step, time, value)));
    }
  }
  assert.deepEqual((data.metrics ?? []).map(({ key }) => key).sort(), [...expected.keys()].sort());
  for (const [metric_key, points] of expected) {
    type History = { metrics: { step: number; timestamp: number; value: number | string }[] };
    const query = { run_id, metric_key, max_results: "25000" };
    const { metrics } = await server.get<History>("metrics/get-history", query);
    const stored = metrics.map(({ step, timestamp, value }) => point(step ?? 0, timestamp, value));
    assert.equal(new Set(stored).size, stored.length, `${metric_key} has a point twice`);
    assert.deepEqual(stored.sort(), [...points].sort(), metric_key);
  }
  const images = (await server.artifacts(run_id, "images")).filter((path) => path.endsWith(".png"));
  assert.equal(images.length, pictures);
  const named = /^images\/\w+\+step\+\d+\+timestamp\+\d+\+[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.png$/;
  for (const path of images) assert.match(path, named);
}

/** A point as text. The server stores infinite values as the largest number. */
function point(step: number, time: number, value: unknown): string {
  const number = Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, Number(value)));
  return `${String(step).padStart(9)} ${time} ${number}`;
}
