/** A real MLflow server for tests, and what it holds. */

import { join } from "node:path";
import { installMlflow, type LocalServer, startMlflow } from "../../../experiments/tracking/local_server.ts";
import { freePort } from "../../free_port.ts";
import { granted, type PermissionName } from "../../permissions.ts";

const needed: PermissionName[] = ["read", "write", "run", "net", "env"];

/** MLflow's python, or the reason why there is none here. */
export async function mlflowPython(): Promise<string | { reason: string }> {
  const missing = needed.filter((name) => !granted(name)).map((name) => `--allow-${name}`);
  return missing.length > 0 ? { reason: `needs ${missing.join(" ")}` } : await installMlflow();
}

/** A server with data of its own that can be killed and started again at the same address. */
export class TestServer implements AsyncDisposable {
  #running: LocalServer | undefined;

  private constructor(readonly python: string, readonly folder: string, readonly port: number) {}

  static async start(python: string): Promise<TestServer> {
    const server = new TestServer(python, await Deno.makeTempDir({ prefix: "flow-mlflow-" }), freePort());
    await server.restart();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async restart(): Promise<void> {
    const data = join(this.folder, "data");
    this.#running = await startMlflow(this.python, { data, port: this.port, detached: true });
  }

  /** Ends it at once, as a crash does, and all processes that it started. */
  async kill(): Promise<void> {
    const process = this.#running?.process;
    this.#running = undefined;
    if (process === undefined) return;
    try {
      Deno.kill(-process.pid, "SIGKILL");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // it has ended by itself
    }
    await process.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.folder, { recursive: true });
  }

  /** Answers of its REST interface, read without the code that is tested. */
  async get<Answer>(path: string, query: Record<string, string> = {}): Promise<Answer> {
    const response = await fetch(`${this.url}/api/2.0/mlflow/${path}?${new URLSearchParams(query)}`);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return await response.json();
  }

  async post<Answer>(path: string, json: unknown): Promise<Answer> {
    const response = await fetch(`${this.url}/api/2.0/mlflow/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(json),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return await response.json();
  }

  /** The runs of an experiment that are not deleted. */
  async runs(experiment: string): Promise<StoredRun[]> {
    const { experiment: { experiment_id } } = await this.get<{ experiment: { experiment_id: string } }>(
      "experiments/get-by-name",
      { experiment_name: experiment },
    );
    const { runs = [] } = await this.post<{ runs?: StoredRun[] }>("runs/search", {
      experiment_ids: [experiment_id],
      max_results: 1000,
    });
    return runs;
  }

  /** Paths of a run's artifacts, sorted. */
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

  async artifact(runId: string, path: string): Promise<Uint8Array> {
    const query = new URLSearchParams({ run_uuid: runId, path });
    const response = await fetch(`${this.url}/get-artifact?${query}`);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return await response.bytes();
  }
}

/** A run as the server's search returns it. */
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

/** A list of keys and values as an object. */
export function valuesOf(entries: readonly { key: string; value: string }[] = []): Record<string, string> {
  return Object.fromEntries(entries.map(({ key, value }) => [key, value]));
}
