/** Reads a run from a server without the code under test, and compares it with the run's folder. */

import assert from "node:assert/strict";
import { join } from "node:path";

/** A run as a server's search returns it. */
export interface StoredRun {
  readonly info: {
    readonly run_id: string;
    readonly run_name: string;
    readonly status: string;
    readonly start_time: number;
    readonly end_time?: number;
  };
  readonly data: {
    readonly metrics?: readonly { readonly key: string }[];
    readonly params?: readonly { readonly key: string; readonly value: string }[];
    readonly tags?: readonly { readonly key: string; readonly value: string }[];
  };
  readonly inputs?: {
    readonly dataset_inputs?: readonly {
      readonly dataset: { readonly name: string; readonly digest: string; readonly profile: string };
      readonly tags: readonly { readonly key: string; readonly value: string }[];
    }[];
  };
}

/** Reads a server's REST interface. */
export abstract class MlflowReader {
  abstract readonly url: string;

  async #bytes(path: string, init: RequestInit = {}): Promise<Uint8Array> {
    const response = await fetch(`${this.url}/${path}`, {
      ...init,
      headers: { "x-reader": "a test", "content-type": "application/json" },
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return await response.bytes();
  }

  async get<Answer>(path: string, query: Record<string, string> = {}): Promise<Answer> {
    const bytes = await this.#bytes(`api/2.0/mlflow/${path}?${new URLSearchParams(query)}`);
    return JSON.parse(new TextDecoder().decode(bytes));
  }

  async post<Answer>(path: string, content: unknown): Promise<Answer> {
    const bytes = await this.#bytes(`api/2.0/mlflow/${path}`, {
      method: "POST",
      body: JSON.stringify(content),
    });
    return JSON.parse(new TextDecoder().decode(bytes));
  }

  /** The runs of an experiment that are not deleted. */
  async runs(experiment: string): Promise<StoredRun[]> {
    const { experiment: { experiment_id } } = await this.get<{ experiment: { experiment_id: string } }>(
      "experiments/get-by-name",
      { experiment_name: experiment },
    );
    const query = { experiment_ids: [experiment_id], max_results: 1000 };
    return (await this.post<{ runs?: StoredRun[] }>("runs/search", query)).runs ?? [];
  }

  async artifacts(runId: string, path?: string): Promise<string[]> {
    const { files = [] } = await this.get<{ files?: { path: string; is_dir: boolean }[] }>(
      "artifacts/list",
      { run_id: runId, ...path !== undefined && { path } },
    );
    const all = await Promise.all(
      files.map((file) => file.is_dir ? this.artifacts(runId, file.path) : [file.path]),
    );
    return all.flat().sort();
  }

  artifact(runId: string, path: string): Promise<Uint8Array> {
    return this.#bytes(`get-artifact?${new URLSearchParams({ run_uuid: runId, path })}`);
  }
}

/** A list of keys and values as an object. */
export function valuesOf(entries: readonly { key: string; value: string }[] = []): Record<string, string> {
  return Object.fromEntries(entries.map(({ key, value }) => [key, value]));
}

/**
 * Asserts that a server holds a run once, with exactly the content of its folder: every point of every metric, every
 * setting, every file byte for byte, and the status.
 *
 * @returns the run as the server holds it
 */
export async function assertMirrored(
  server: MlflowReader,
  experiment: string,
  folder: string,
): Promise<StoredRun> {
  const record = await json(folder, "run.json");
  const runs = (await server.runs(experiment)).filter(({ data }) =>
    valuesOf(data.tags)["flow.run_id"] === record.id
  );
  assert.equal(runs.length, 1, `${folder} is on the server ${runs.length} times`);
  const [run] = runs;
  assert.deepEqual([run.info.run_name, run.info.status, run.info.start_time, run.info.end_time ?? null], [
    record.name,
    record.status,
    record.startedAt,
    record.endedAt,
  ]);
  await assertMetrics(server, run, await Deno.readTextFile(join(folder, "metrics.jsonl")));
  await assertParams(run, folder, record);
  const files = await filesOf(folder);
  const artifacts = await server.artifacts(run.info.run_id);
  assert.deepEqual(artifacts.filter((path) => !path.startsWith("images/")), files);
  for (const path of files) {
    const [stored, kept] = [
      await server.artifact(run.info.run_id, path),
      await Deno.readFile(join(folder, path)),
    ];
    assert.ok(stored.length === kept.length && stored.every((byte, i) => byte === kept[i]), path);
  }
  return run;
}

async function assertMetrics(
  server: MlflowReader,
  { info, data }: StoredRun,
  text: string,
): Promise<void> {
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
  for (const [key, points] of expected) {
    const { metrics } = await server.get<
      { metrics: { step: number; timestamp: number; value: number | string }[] }
    >("metrics/get-history", { run_id: info.run_id, metric_key: key, max_results: "25000" });
    const stored = metrics.map(({ step, timestamp, value }) => point(step ?? 0, timestamp, value));
    assert.equal(new Set(stored).size, stored.length, `${key} has a point twice`);
    assert.deepEqual(stored.sort(), [...points].sort(), key);
  }
  const images = (await server.artifacts(info.run_id, "images")).filter((path) => path.endsWith(".png"));
  assert.equal(images.length, pictures);
  for (const path of images) {
    assert.match(
      path,
      /^images\/samples\+step\+\d+\+timestamp\+\d+\+[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.png$/,
    );
  }
}

/** A point as text. The server keeps an infinite value as the largest number. */
function point(step: number, time: number, value: unknown): string {
  const number = Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, Number(value)));
  return `${String(step).padStart(9)} ${time} ${number}`;
}

/** Asserts that all settings of network, data and training are params, and those of storage are not. */
async function assertParams(
  { data }: StoredRun,
  folder: string,
  { parameterCount, dataset }: Record<string, unknown>,
): Promise<void> {
  // A run that was killed at once may have no settings yet.
  const config = await json(folder, "config.json").catch((error) => {
    if (error instanceof Deno.errors.NotFound) return {};
    throw error;
  });
  const { name, train, validation } = dataset as Record<string, unknown>;
  const values = {
    ...config,
    parameters: parameterCount,
    dataset: name,
    trainImages: train,
    validationImages: validation,
  };
  const expected: Record<string, string> = {};
  for (const [name, value] of Object.entries(values)) {
    const isPlace = ["name", "out", "resume", "mlflow", "experiment", "runName"].includes(name);
    if (value !== null && !isPlace) {
      expected[name] = typeof value === "string" ? value : JSON.stringify(value);
    }
  }
  assert.deepEqual(valuesOf(data.params), expected);
}

/** Files of a run folder except the cursor, sorted. */
async function filesOf(folder: string, below = ""): Promise<string[]> {
  const files: string[] = [];
  const entries = await Array.fromAsync(Deno.readDir(join(folder, below)));
  if (below !== "" && entries.some(({ name }) => name === "run.json")) return []; // a nested run
  for (const { name, isDirectory } of entries) {
    const path = below === "" ? name : `${below}/${name}`;
    if (name === ".lock" || path === "mlflow.json" || name.endsWith(".tmp")) continue;
    if (isDirectory) files.push(...await filesOf(folder, path));
    else files.push(path);
  }
  return files.sort();
}

async function json(folder: string, name: string): Promise<Record<string, unknown>> {
  return JSON.parse(await Deno.readTextFile(join(folder, name)));
}
