/** An in-process server that behaves like MLflow, and that tests can make fail, lie or hang. */

import { Buffer } from "node:buffer";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { testNeeding } from "../../permissions.ts";
import { tinyRun } from "../cli.ts";
import { MlflowReader } from "./mirrored.ts";

/** A recorded request, with its raw path and query. */
export type Seen = Readonly<Record<"method" | "path" | "body", string>> & { readonly authorization?: string };

/** A fault of a request: `cut` does the work, then drops the connection before the response. */
export type Fault = "refuse" | "hang" | "cut";

/** A test's handler of requests: returns a response or a fault, or undefined for MLflow's usual response. */
export type Answer = (request: Seen, count: number) => Answered | Promise<Answered>;
type Answered = Response | Fault | undefined;

type Entry = { readonly key: string; readonly value: unknown };
type Point = Entry & { readonly step: number; readonly timestamp: number; readonly model_id?: string };

const mapOf = (entries: readonly Entry[] = []) => new Map(entries.map(({ key, value }) => [key, value]));
const entries = (values: Map<string, unknown>) => Array.from(values, ([key, value]) => ({ key, value }));

/** A run or a logged model. */
class Stored {
  readonly points: Point[] = [];
  readonly params: Map<string, unknown>;
  readonly tags: Map<string, unknown>;
  readonly files = new Map<string, Uint8Array>();
  inputs: unknown[] = [];
  readonly outputs: { readonly model_id: string; readonly step: number }[] = [];

  constructor(readonly info: Record<string, unknown>, params?: readonly Entry[], tags?: readonly Entry[]) {
    [this.params, this.tags] = [mapOf(params), mapOf(tags)];
  }

  get isActive(): boolean {
    return this.info.lifecycle_stage === "active";
  }

  /** As in an answer: a run with the latest point of each metric. */
  get run() {
    const metrics = [...new Map(this.points.map((point) => [point.key, point])).values()];
    return {
      info: this.info,
      data: { metrics, params: entries(this.params), tags: entries(this.tags) },
      inputs: { dataset_inputs: this.inputs },
      outputs: { model_outputs: this.outputs },
    };
  }

  get model() {
    const metrics = this.points.length > 0 && { metrics: this.points };
    return { info: this.info, data: { params: entries(this.params), ...metrics } };
  }
}

const wrong = (error_code: string, message: string, status = 400) =>
  Response.json({ error_code, message }, { status });
const missing = (what: string) => wrong("RESOURCE_DOES_NOT_EXIST", `no such ${what}`, 404);

function newInfo(run_id: string, experiment_id: string) {
  const artifact_uri = `mlflow-artifacts:/1/${run_id}/artifacts`;
  return { run_id, experiment_id, artifact_uri, status: "RUNNING", lifecycle_stage: "active" };
}

/** A server on this machine that keeps runs in memory. */
export class FakeMlflow extends MlflowReader implements AsyncDisposable {
  readonly seen: Seen[] = [];
  readonly models: Stored[] = [];
  readonly #experiments: string[] = [];
  readonly #runs: Stored[] = [];
  #created = 0;

  /** @param answer decides what happens to each request */
  private constructor(readonly server: Server, public answer: Answer) {
    super();
  }

  static async start(answer: Answer = () => undefined): Promise<FakeMlflow> {
    const server = createServer((request, response) => void fake.#handle(request, response));
    const fake = new FakeMlflow(server, answer);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return fake;
  }

  get url(): string {
    const address = this.server.address();
    return `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  forget(): void {
    this.#experiments.length = this.#runs.length = this.models.length = 0;
  }

  /** Changes a stored run without a request. */
  change(runId: string, change: (run: Stored) => void): void {
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
      const { authorization } = headers;
      const seen = { method, path, body: bytes.toString(), ...authorization && { authorization } };
      const what = "x-reader" in headers ? undefined : await this.answer(seen, this.seen.push(seen) - 1);
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
      response.end(await answer.bytes());
    } catch {
      request.socket.destroy(); // the client is gone
    }
  }

  #work(method: string, path: string, bytes: Uint8Array): Response {
    const { pathname, searchParams: query } = new URL(path, this.url);
    const put = /^\/api\/2\.0\/mlflow-artifacts\/artifacts\/1\/(?:models\/)?([rm]\d+)\/artifacts\/(.+)$/
      .exec(pathname);
    if (put) {
      const owner = [...this.#runs, ...this.models].find(({ info: { run_id, model_id } }) =>
        put[1] === (model_id ?? run_id)
      );
      const name = put[2].split("/").map(decodeURIComponent).join("/");
      owner?.files.set(name, bytes);
      return new Response(name.length % 2 ? "{}" : ""); // earlier servers, and MLflow 3.17
    }
    if (pathname === "/get-artifact") {
      const found = this.#run(query.get("run_uuid"))?.files.get(query.get("path")!);
      return found ? new Response(new Uint8Array(found)) : missing("file");
    }
    const json = ["POST", "PATCH"].includes(method) ? JSON.parse(`${bytes}`) : Object.fromEntries(query);
    const run = this.#run(json.run_id);
    if (json.run_id !== undefined && run === undefined) { // a run that a test made up
      return pathname.endsWith("runs/get") ? missing("run") : Response.json({});
    }
    const endpoint = pathname.replace("/api/2.0/mlflow/", "");
    const model = this.models.find(({ info }) => endpoint === `logged-models/${info.model_id}`);
    if (model) {
      model.info.status = json.status;
      return Response.json({ model: model.model });
    }
    const work = this.#endpoints[endpoint];
    if (!work) return wrong("ENDPOINT_NOT_FOUND", endpoint, 404);
    const answer = work(json, run!);
    return answer instanceof Response ? answer : Response.json(answer ?? {});
  }

  /** What each endpoint answers: an object, none for an empty one, or an error. */
  // deno-lint-ignore no-explicit-any -- any JSON may come
  readonly #endpoints: Readonly<Record<string, (json: any, run: Stored) => object | void>> = {
    "experiments/get-by-name": ({ experiment_name }) => {
      const id = this.#experiments.indexOf(experiment_name) + 1;
      return id > 0 ? { experiment: { experiment_id: `${id}` } } : missing("experiment");
    },
    "experiments/create": ({ name }) => {
      if (this.#experiments.includes(name)) return wrong("RESOURCE_ALREADY_EXISTS", "it is there");
      return { experiment_id: `${this.#experiments.push(name)}` };
    },
    "runs/create": ({ run_name, start_time = 0, experiment_id, tags }) => {
      const info = { ...newInfo(`r${++this.#created}`, experiment_id), run_name, start_time };
      this.#runs.push(new Stored(info, [], tags));
      return { run: this.#runs.at(-1)!.run };
    },
    "runs/search": ({ filter = "", experiment_ids, run_view_type }) => {
      const [, key, value] = /^tags\.`(.*)` = '(.*)'$/.exec(filter) ?? [];
      const runs = this.#runs.filter((run) =>
        experiment_ids.includes(run.info.experiment_id) &&
        (key === undefined || run.tags.get(key) === value) && (run_view_type === "ALL" || run.isActive)
      ).map(({ run }) => run);
      return runs.length > 0 ? { runs } : {};
    },
    "runs/get": (_, { run }) => ({ run }),
    "runs/update": ({ status, end_time }, { info }) =>
      void Object.assign(info, status && { status }, end_time && { end_time }),
    "runs/delete": (_, { info }) => void (info.lifecycle_stage = "deleted"),
    "runs/delete-tag": ({ key }, { tags }) => tags.delete(key) ? {} : missing("tag"),
    "runs/log-inputs": ({ datasets }, run) => void (run.inputs = datasets),
    "runs/log-batch": (json, run) => logBatch(run, json, this.models),
    "runs/outputs": ({ models: [output] }, { outputs }) => {
      const isThere = outputs.some(({ model_id }) => model_id === output.model_id);
      return isThere ? wrong("BAD_REQUEST", "UNIQUE constraint failed") : void outputs.push(output);
    },
    "logged-models": ({ params, tags, ...about }) => {
      const model_id = `m${this.models.length + 1}`;
      const artifact_uri = `mlflow-artifacts:/1/models/${model_id}/artifacts`;
      const info = { ...about, tags, model_id, artifact_uri, status: "LOGGED_MODEL_PENDING" };
      this.models.push(new Stored(info, params));
      return { model: this.models.at(-1)!.model };
    },
    "logged-models/search": ({ filter }) => {
      const found = this.models.filter(({ info }) => filter === `source_run_id = '${info.source_run_id}'`);
      return { models: found.map(({ model }) => model) };
    },
    "metrics/get-history": ({ metric_key }, { points }) => ({
      metrics: points.filter(({ key }) => key === metric_key),
    }),
    "artifacts/list": ({ path }, { files }) => {
      const below = path ? `${path}/` : "";
      const inside = [...files.keys()].filter((name) => name.startsWith(below));
      const paths = new Set(inside.map((name) => below + name.slice(below.length).split("/")[0]));
      return {
        files: Array.from(paths, (path) => {
          const file = files.get(path);
          // Some stores do not report sizes.
          return { path, is_dir: !file, ...file && path !== "run.json" && { file_size: file.length } };
        }),
      };
    },
  };

  #run(id: unknown): Stored | undefined {
    return this.#runs.find(({ info }) => info.run_id === id);
  }
}

/** Logs like MLflow: all or nothing, identical points once, and nothing if a type is wrong. */
function logBatch(run: Stored, json: Record<string, readonly Point[]>, models: readonly Stored[]): object {
  const { metrics = [], params = [], tags = [] } = json;
  const invalid = (message: string) => wrong("INVALID_PARAMETER_VALUE", message);
  if (!run.isActive) return invalid("The run must be in the 'active' state.");
  if (metrics.length > 1000 || params.length > 100 || tags.length > 100) return invalid("too many entries");
  const isName = ({ key }: Entry) => /^[\p{L}\p{N}_\-.:/ ]{1,250}$/u.test(key);
  if (![...metrics, ...params, ...tags].every(isName)) return invalid("a bad name");
  const areWhole = metrics.every(({ step, timestamp }) => [step, timestamp].every(Number.isInteger));
  if (!areWhole || ![...params, ...tags].every(({ value }) => typeof value === "string")) return {};
  if (params.some(({ key, value }) => (run.params.get(key) ?? value) !== value)) {
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
  return {};
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
