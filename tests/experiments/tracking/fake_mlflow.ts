/** An in-process server that behaves like MLflow, and that tests can make fail, lie or hang. */

import { Buffer } from "node:buffer";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { testNeeding } from "../../permissions.ts";
import { tinyRun } from "../cli.ts";
import { MlflowReader } from "./mirrored.ts";

/** A recorded request. */
export interface Seen {
  readonly method: string;
  /** The raw path with its query. */
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: string;
}

/** A fault of a request: `cut` does the work, then drops the connection before the response. */
export type Fault = "refuse" | "hang" | "cut";

/** A test's handler of requests: returns a response or a fault, or undefined for MLflow's usual response. */
export type Answer = (request: Seen, count: number) => Answered | Promise<Answered>;
type Answered = Response | Fault | undefined;

interface Entry {
  readonly key: string;
  readonly value: unknown;
}

interface Point extends Entry {
  readonly step: number;
  readonly timestamp: number;
  readonly model_id?: string;
}

/** A logged model, with its files and points. */
interface FakeModel {
  readonly info: Record<string, unknown> & { readonly model_id: string; readonly source_run_id: string };
  readonly params: readonly Entry[];
  readonly points: Point[];
  readonly files: Map<string, Uint8Array>;
}

interface FakeRun {
  readonly info: Record<string, unknown> & { readonly run_id: string; readonly experiment_id: string };
  readonly points: Point[];
  readonly params: Map<string, unknown>;
  readonly tags: Map<string, unknown>;
  inputs: unknown[];
  readonly outputs: { readonly model_id: string; readonly step: number }[];
  readonly files: Map<string, Uint8Array>;
}

const wrong = (code: string, message: string, status = 400) =>
  Response.json({ error_code: code, message }, { status });

const missing = (what: string) => wrong("RESOURCE_DOES_NOT_EXIST", `no such ${what}`, 404);

/** A server on this machine that keeps runs in memory. */
export class FakeMlflow extends MlflowReader implements AsyncDisposable {
  readonly seen: Seen[] = [];
  /** Decides what happens to each request. */
  answer: Answer;
  readonly #server: Server;
  readonly #experiments: string[] = [];
  readonly #runs: FakeRun[] = [];
  readonly models: FakeModel[] = [];
  #created = 0;

  private constructor(server: Server, answer: Answer) {
    super();
    this.#server = server;
    this.answer = answer;
  }

  static async start(answer: Answer = () => undefined): Promise<FakeMlflow> {
    const server = createServer((request, response) => void fake.#handle(request, response));
    const fake = new FakeMlflow(server, answer);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return fake;
  }

  get url(): string {
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  forget(): void {
    this.#experiments.length = this.#runs.length = this.models.length = 0;
  }

  /** Changes a stored run without a request. */
  change(runId: string, change: (run: FakeRun) => void): void {
    change(this.#run(runId)!);
  }

  /** The content of all requests to an endpoint, e.g. `runs/create`. */
  // deno-lint-ignore no-explicit-any -- tests check its content
  sent(endpoint: string): any[] {
    return this.seen.filter(({ path }) => path.endsWith(`/${endpoint}`)).map(({ body }) => JSON.parse(body));
  }

  /** Creates a run for made-up lists. */
  static run(info: Record<string, unknown> = {}, data: Record<string, unknown> = {}): unknown {
    return { info: { ...newInfo("r1", "1"), run_name: "theirs", ...info }, data };
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const bytes = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Uint8Array>));
      const { method = "GET", url: path = "/", headers } = request;
      const isReader = "x-reader" in headers;
      const seen = { method, path, authorization: headers.authorization, body: bytes.toString() };
      const what = isReader ? undefined : await this.answer(seen, this.seen.push(seen) - 1);
      if (what === "hang") return;
      if (what === "refuse") return void request.socket.destroy();
      const isJson = method !== "POST" || headers["content-type"] === "application/json";
      const answer = what instanceof Response
        ? what
        : isJson
        ? this.#work(method, path, bytes)
        : wrong("INVALID_PARAMETER_VALUE", "Content-Type must be one of ['application/json'].");
      if (what === "cut") return void request.socket.destroy();
      // One connection per request, because clients silently resend requests that were lost on an old connection.
      response.writeHead(answer.status, { ...Object.fromEntries(answer.headers), connection: "close" });
      for await (const piece of answer.body ?? []) {
        if (response.destroyed) break;
        await new Promise<void>((resolve) => response.write(piece, () => resolve()));
      }
      response.end();
    } catch {
      request.socket.destroy(); // the client is gone
    }
  }

  #work(method: string, path: string, bytes: Uint8Array): Response {
    const { pathname, searchParams: query } = new URL(path, this.url);
    const file = /^\/api\/2\.0\/mlflow-artifacts\/artifacts\/1\/(?:models\/)?([rm]\d+)\/artifacts\/(.+)$/
      .exec(pathname);
    if (file) {
      const files = [...this.#runs, ...this.models].find(({ info }) =>
        [info.run_id, info.model_id].includes(file[1])
      )?.files ?? new Map<string, Uint8Array>();
      const name = file[2].split("/").map(decodeURIComponent).join("/");
      if (method !== "PUT") return new Response(new Uint8Array(files.get(name)!));
      files.set(name, bytes);
      return new Response(name.length % 2 ? "{}" : ""); // earlier servers, and MLflow 3.17
    }
    if (pathname === "/get-artifact") {
      const found = this.#run(query.get("run_uuid"))?.files.get(query.get("path")!);
      return found ? new Response(new Uint8Array(found)) : new Response("no such file", { status: 404 });
    }
    const json = method === "POST" || method === "PATCH"
      ? JSON.parse(new TextDecoder().decode(bytes))
      : Object.fromEntries(query);
    const run = this.#run(json.run_id);
    if (json.run_id !== undefined && run === undefined) { // a run that a test made up
      return pathname.endsWith("runs/get") ? missing("run") : Response.json({});
    }
    return this.#answer(pathname.replace("/api/2.0/mlflow/", ""), json, run!);
  }

  // deno-lint-ignore no-explicit-any -- any JSON may come
  #answer(endpoint: string, json: any, run: FakeRun): Response {
    switch (endpoint) {
      case "experiments/get-by-name": {
        const id = this.#experiments.indexOf(json.experiment_name) + 1;
        return id > 0 ? Response.json({ experiment: { experiment_id: `${id}` } }) : missing("experiment");
      }
      case "experiments/create":
        if (this.#experiments.includes(json.name)) return wrong("RESOURCE_ALREADY_EXISTS", "it is there");
        return Response.json({ experiment_id: `${this.#experiments.push(json.name)}` });
      case "runs/create": {
        const { run_name, start_time = 0, experiment_id, tags } = json;
        const info = { ...newInfo(`r${++this.#created}`, experiment_id), run_name, start_time };
        const tagged = new Map<string, unknown>(tags.map(({ key, value }: Entry) => [key, value]));
        const run = {
          info,
          points: [],
          params: new Map(),
          tags: tagged,
          inputs: [],
          outputs: [],
          files: new Map(),
        };
        this.#runs.push(run);
        return Response.json({ run: stored(run) });
      }
      case "runs/search": {
        const [, key, value] = /^tags\.`(.*)` = '(.*)'$/.exec(json.filter ?? "") ?? [];
        const found = this.#runs.filter(({ info, tags }) =>
          json.experiment_ids.includes(info.experiment_id) &&
          (key === undefined || tags.get(key) === value) &&
          (json.run_view_type === "ALL" || info.lifecycle_stage === "active")
        );
        return Response.json(found.length === 0 ? {} : { runs: found.map(stored) });
      }
      case "runs/get":
        return Response.json({ run: stored(run) });
      case "runs/update":
        if (json.status) run.info.status = json.status;
        if (json.end_time) run.info.end_time = json.end_time;
        return Response.json({});
      case "runs/delete":
        run.info.lifecycle_stage = "deleted";
        return Response.json({});
      case "runs/delete-tag":
        return run.tags.delete(json.key) ? Response.json({}) : missing("tag");
      case "runs/log-inputs":
        run.inputs = json.datasets;
        return Response.json({});
      case "runs/log-batch":
        return logBatch(run, json, this.models);
      case "runs/outputs":
        if (run.outputs.some(({ model_id }) => model_id === json.models[0].model_id)) {
          return wrong("BAD_REQUEST", "UNIQUE constraint failed");
        }
        run.outputs.push(...json.models);
        return Response.json({});
      case "logged-models": {
        const { params, ...about } = json;
        const model_id = `m${this.models.length + 1}`;
        const artifact_uri = `mlflow-artifacts:/1/models/${model_id}/artifacts`;
        const info = { ...about, model_id, artifact_uri, status: "LOGGED_MODEL_PENDING" };
        this.models.push({ info, params, points: [], files: new Map() });
        return Response.json({ model: storedModel(this.models.at(-1)!) });
      }
      case "logged-models/search": {
        const found = this.models.filter(({ info }) =>
          json.filter === `source_run_id = '${info.source_run_id}'`
        );
        return Response.json({ models: found.map(storedModel) });
      }
      case "metrics/get-history":
        return Response.json({ metrics: run.points.filter(({ key }) => key === json.metric_key) });
      case "artifacts/list": {
        const below = json.path ? `${json.path}/` : "";
        const inside = [...run.files.keys()].filter((name) => name.startsWith(below));
        const paths = new Set(inside.map((name) => below + name.slice(below.length).split("/")[0]));
        const files = [...paths].map((path) => {
          const file = run.files.get(path);
          // Some stores do not report sizes.
          return { path, is_dir: !file, ...file && path !== "run.json" && { file_size: file.length } };
        });
        return Response.json({ files });
      }
      default: {
        const model = this.models.find(({ info }) => endpoint === `logged-models/${info.model_id}`);
        if (model) Object.assign(model.info, { status: json.status });
        if (model) return Response.json({ model: storedModel(model) });
        return wrong("ENDPOINT_NOT_FOUND", endpoint, 404);
      }
    }
  }

  #run(id: unknown): FakeRun | undefined {
    return this.#runs.find(({ info }) => info.run_id === id);
  }
}

function newInfo(run_id: string, experiment_id: string) {
  const artifact_uri = `mlflow-artifacts:/1/${run_id}/artifacts`;
  return { run_id, experiment_id, artifact_uri, status: "RUNNING", lifecycle_stage: "active" };
}

function storedModel({ info, params, points }: FakeModel) {
  return { info, data: { params, ...points.length > 0 && { metrics: points } } };
}

function stored({ info, points, params, tags, inputs, outputs }: FakeRun) {
  const entries = (values: Map<string, unknown>) => [...values].map(([key, value]) => ({ key, value }));
  const latest = new Map(points.map((point) => [point.key, point]));
  return {
    info,
    data: { metrics: [...latest.values()], params: entries(params), tags: entries(tags) },
    inputs: { dataset_inputs: inputs },
    outputs: { model_outputs: outputs },
  };
}

/** Logs like MLflow: all or nothing, identical points once, and nothing if a type is wrong. */
function logBatch(
  run: FakeRun,
  json: Record<string, readonly Entry[]>,
  models: readonly FakeModel[],
): Response {
  const { metrics = [], params = [], tags = [] } = json as Record<string, readonly Point[]>;
  const all = [...metrics, ...params, ...tags];
  const invalid = (message: string) => wrong("INVALID_PARAMETER_VALUE", message);
  if (run.info.lifecycle_stage !== "active") {
    return invalid(`The run ${run.info.run_id} must be in the 'active' state. Current state is deleted.`);
  }
  if (metrics.length > 1000 || params.length > 100 || tags.length > 100) return invalid("too many entries");
  if (all.some(({ key }) => !/^[\p{L}\p{N}_\-.:/ ]{1,250}$/u.test(key))) return invalid("a bad name");
  const areWhole = metrics.every(({ step, timestamp }) => [step, timestamp].every(Number.isInteger));
  const areTexts = [...params, ...tags].every(({ value }) => typeof value === "string");
  if (!areWhole || !areTexts) return Response.json({});
  if (params.some(({ key, value }) => run.params.has(key) && run.params.get(key) !== value)) {
    return invalid("a param has another value");
  }
  const pointOf = ({ key, value, step, timestamp }: Point) => `${key} ${value} ${step} ${timestamp}`;
  const known = new Set(run.points.map(pointOf));
  for (const { model_id, ...point } of metrics) {
    if (!known.has(pointOf(point))) run.points.push(point);
    models.find(({ info }) => info.model_id === model_id)?.points.push(point);
  }
  for (const { key, value } of params) run.params.set(key, value);
  for (const { key, value } of tags) run.tags.set(key, value);
  return Response.json({});
}

/** Defines a test with a fake server. */
export function testOnFake(name: string, test: (server: FakeMlflow) => Promise<void>): void {
  testNeeding({ net: true, read: true, write: true }, name, async () => {
    await using server = await FakeMlflow.start();
    await test(server);
  });
}

/** Flags of a run that also draws samples during training. */
export const mirroredRun = `${tinyRun} --out run`.replace("--sample-epochs 0", "--sample-epochs 2");

/** Environment for fast retries, and for long waits for a server on a busy machine. */
export const quick = { MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR: "0.05", MLFLOW_HTTP_REQUEST_TIMEOUT: "60" };

/** Waits for some milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
