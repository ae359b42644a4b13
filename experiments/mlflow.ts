import { join, resolve } from "node:path";
import { print, say } from "./cli/output.ts";
import { checkout, startCommand } from "./run/program_files.ts";
import { main, stopSignal, task } from "./cli/task.ts";
import {
  pythonCommand,
  pythonEnvironment,
  PythonError,
  type Unavailable,
  untilEnded,
} from "./python/python_environment.ts";
import { reasonOf, RunError } from "./run/run_folder.ts";
import { integer, path } from "./cli/kinds.ts";
import { defineSettings } from "./cli/settings.ts";
import { ServerError } from "./tracking/mlflow_client.ts";

const mlflowVersion = "3.17.2";

/** A busy machine takes minutes to load MLflow. */
const startMs = 600_000;
const pauseMs = 100;

/** `deno task mlflow`: serves MLflow until it is stopped. */
export const mlflowTask = task({
  name: "mlflow",
  about: "Start a local MLflow server",
  settings: defineSettings({
    port: integer({ doc: "port on this machine", min: 1, max: 65535, default: 5000 }),
    data: { ...path("DIR", "folder for the server's database and artifacts"), default: "runs/mlflow" },
  }),
  async run({ port, data }) {
    checkPort(port);
    await makeDataFolder(data); // before anything is installed
    say(
      `Starting MLflow ${mlflowVersion}; the first start installs it in .cache, which takes about a minute`,
    );
    const python = await installMlflow();
    if (typeof python !== "string") {
      throw new PythonError(`Cannot install MLflow: ${python.reason}; or use another server`);
    }
    const { url, process, log } = await startMlflow(python, { data, port });
    print(`${url}\n`);
    print(`  MLFLOW_TRACKING_URI=${url} ${startCommand("train:residual")}   mirrors a run`);
    print(`  ${startCommand("sync")} --mlflow ${url}   sends earlier runs\n`);
    print(`Data in ${data}; stop with Ctrl-C`);
    using stop = stopSignal(() => process.kill("SIGTERM"));
    await untilEnded("MLflow", process, stop.signal, log);
  },
});

/** Finds MLflow's python, or installs it in about a minute; returns the reason if it cannot. */
export function installMlflow(): Promise<string | Unavailable> {
  return pythonEnvironment(join(checkout ?? "", `.cache/mlflow-${mlflowVersion}`), [
    `mlflow==${mlflowVersion}`,
  ]);
}

/** An MLflow server on this machine. */
export interface LocalServer {
  readonly url: string;
  readonly process: Deno.ChildProcess;
  readonly log: string;
}

/**
 * Creates the data folder of a server, and a log in it. An existing log is kept, as a running server may be writing it.
 *
 * @returns the path of the log
 * @throws {RunError} if it cannot be written
 */
export async function makeDataFolder(data: string): Promise<string> {
  const log = join(data, "server.log");
  try {
    await Deno.mkdir(data, { recursive: true });
    await Deno.writeTextFile(log, "", { append: true });
  } catch (error) {
    throw new RunError(`Cannot keep the data of a server in ${data}: ${reasonOf(error)}`);
  }
  return log;
}

/**
 * Starts a server that keeps its data in a folder, and waits until it answers.
 *
 * @param python as `installMlflow` returned it
 * @param data the folder, created if missing
 * @param detached whether to start a process group, so that Ctrl-C reaches only this program
 * @throws {RunError} if the folder cannot be written
 * @throws {ServerError} if it exits or does not answer; the end of `server.log` in the folder says why
 */
export async function startMlflow(
  python: string,
  { data, port, detached = false }: { data: string; port: number; detached?: boolean },
): Promise<LocalServer> {
  const folder = resolve(data);
  const log = await makeDataFolder(data);
  const { size: earlier } = await Deno.stat(log);
  const process = pythonCommand(python, {
    args: ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", String(port), "--workers", "1"].concat(
      ["--backend-store-uri", `sqlite:///${join(folder, "mlflow.db")}`],
      ["--artifacts-destination", join(folder, "artifacts")],
    ),
    // Without seven worker processes for evaluating language models, and without telemetry.
    env: { MLFLOW_SERVER_ENABLE_JOB_EXECUTION: "false", MLFLOW_DISABLE_TELEMETRY: "true" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached,
  }).spawn();
  const output = { create: true, append: true } as const;
  const logged = [process.stdout, process.stderr].map((stream) =>
    Deno.open(log, output).then((file) => stream.pipeTo(file.writable)).catch(() => {})
  );
  const url = `http://127.0.0.1:${port}`;
  let running = true;
  const ended = process.status.then(() => running = false);
  for (const until = performance.now() + startMs; running && performance.now() < until;) {
    if (await answers(url)) return { url, process, log };
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, pauseMs))]);
  }
  if (running) process.kill();
  await Promise.all([ended, ...logged]);
  const said = new TextDecoder().decode((await Deno.readFile(log)).subarray(earlier));
  const last = said.trim().split("\n").at(-1);
  throw new ServerError(`Cannot start MLflow at ${url}: ${last} (the whole log: ${log})`);
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(5_000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false; // not yet
  }
}

/**
 * Checks that a port on this machine is free.
 *
 * @throws {ServerError} if another program uses it
 */
export function checkPort(port: number): void {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
  } catch (error) {
    throw new ServerError(`Cannot use port ${port}: ${reasonOf(error)}; give another --port`);
  }
}

if (import.meta.main) await main(mlflowTask);
