import assert from "node:assert/strict";
import { join } from "node:path";
import { type StoredRun, type TestServer, valuesOf } from "./mlflow_server.ts";

const largest = Number.MAX_VALUE;

/**
 * Asserts that a server holds a run once, and of it exactly what the run folder holds: every point of every metric,
 * every setting, every file byte for byte, and how it ended.
 *
 * @returns the run as the server holds it
 */
export async function assertMirrored(
  server: TestServer,
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
  await assertParams(run, folder);
  await assertFiles(server, run.info.run_id, folder);
  return run;
}

async function assertMetrics(server: TestServer, { info, data }: StoredRun, text: string): Promise<void> {
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
  const number = Number(value);
  const kept = number === Infinity ? largest : number === -Infinity ? -largest : number;
  return `${String(step).padStart(9)} ${time} ${kept}`;
}

/** Every setting of the network, the data and the training is a param; those of the run's place are not. */
async function assertParams({ data }: StoredRun, folder: string): Promise<void> {
  // A run that was killed at once may have no settings yet.
  const config = await json(folder, "config.json").catch((error) => {
    if (error instanceof Deno.errors.NotFound) return {};
    throw error;
  });
  const record = await json(folder, "run.json");
  const expected: Record<string, string> = {};
  for (const [name, value] of Object.entries(config)) {
    const where = ["name", "out", "resume", "mlflow", "experiment", "runName"].includes(name);
    if (value !== null && !where) expected[name] = typeof value === "string" ? value : JSON.stringify(value);
  }
  expected.parameters = String(record.parameterCount);
  const { name, train, validation } = record.dataset as Record<string, unknown>;
  Object.assign(expected, {
    dataset: name,
    trainImages: String(train),
    validationImages: String(validation),
  });
  assert.deepEqual(valuesOf(data.params), expected);
}

async function assertFiles(server: TestServer, runId: string, folder: string): Promise<void> {
  const files = await filesOf(folder);
  const artifacts = (await server.artifacts(runId)).filter((path) => !path.startsWith("images/"));
  assert.deepEqual(artifacts, files);
  for (const path of files) {
    const [stored, kept] = [await server.artifact(runId, path), await Deno.readFile(join(folder, path))];
    assert.ok(stored.length === kept.length && stored.every((byte, i) => byte === kept[i]), path);
  }
}

/** Files of a run folder, but for what says how it was sent; sorted. */
export async function filesOf(folder: string, below = ""): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(folder, below))) {
    const path = below === "" ? name : `${below}/${name}`;
    if (name === ".lock" || path === "mlflow.json" || name.endsWith(".tmp")) continue;
    if (!isDirectory) files.push(path);
    else if (!(await hasRecord(join(folder, path)))) files.push(...await filesOf(folder, path));
  }
  return files.sort();
}

async function hasRecord(folder: string): Promise<boolean> {
  return (await Array.fromAsync(Deno.readDir(folder))).some(({ name }) => name === "run.json");
}

async function json(folder: string, name: string): Promise<Record<string, unknown>> {
  return JSON.parse(await Deno.readTextFile(join(folder, name)));
}
