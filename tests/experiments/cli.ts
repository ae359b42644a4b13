/** Runs the tasks of `deno.json`: in this process, or as a user does, in a program with the task's permissions. */

import assert from "node:assert/strict";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import settings from "../../deno.json" with { type: "json" };
import { type Metrics, readMetrics } from "../../experiments/run/metrics_log.ts";
import { Task } from "../../experiments/program/task.ts";
import { context } from "../../kernels/core/context.ts";
import { DeviceError, init } from "../../kernels/mod.ts";
import { decodeSafetensors } from "../../models/mod.ts";
import { testNeeding, testUnless } from "../permissions.ts";
import { cp } from "node:fs/promises";
import { writeTinyIdx } from "./data/tiny_idx.ts";

/** The tasks of `deno.json` that a test can run. */
export const taskNames = [
  "train:residual",
  "train:base",
  "doctor",
  "sample",
  "morph",
  "overfit",
  "judge",
  "report",
  "sync",
  "runs",
  "animate",
  "compare",
  "evaluate",
  "solvers",
  "study",
  "mlflow",
  "notebook",
  "tune",
] as const;

/** One of them. */
export type TaskName = typeof taskNames[number];

/** Why no run on WebGPU can be tested here. */
export async function missingAdapter(): Promise<string | undefined> {
  try {
    (await init({ device: "webgpu" })).close();
  } catch (error) {
    if (error instanceof DeviceError) return error.message;
    throw error;
  }
}

/** How a task ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * What programs of tests are told of V8. A kernel is compiled a second time, by the compiler that makes it fast, only after 8
 * times as much work as usual; V8 compiles and collects garbage without threads of its own. In programs of a second, the first
 * took a fifth of the time of processors, for nothing, and so did the second.
 */
const shortPrograms = { DENO_V8_FLAGS: "--wasm-tiering-budget=100000000,--single-threaded" };

/** Flags of the CPU device in tests that are not about threads: waiting for each other, these would take time from other tests. */
export const oneThread = "--device cpu --threads 1";

/** Flags of a network so small that plain JavaScript trains it in seconds, on the made-up data set. */
export const tinyNetwork = `--data data --filters 8,16 --t-emb 8 --batch-size 8 ${oneThread}`;

/** Flags of a whole training run of seconds, which follows no paths for their picture. */
export const tinyRun = `${tinyNetwork} --epochs 3 --max-minutes 0 --log-every 3 --solver euler:steps=2 ` +
  "--samples 5 --val-epochs 1 --sample-epochs 0 --flow-samples 2 --flow-steps 4 --flow-frames 3 " +
  "--path-samples 0 --no-conditional";

/** The same run with its paths. */
export const tinyRunWithPaths = tinyRun.replace("--path-samples 0", "--path-samples 6");

/** A folder where tasks run, with the made-up data set in `data`. */
export class Workplace {
  readonly #processes: Deno.ChildProcess[] = [];

  constructor(readonly path: string) {}

  /** Ends what still runs in it, and removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#processes) {
      try {
        process.kill("SIGKILL");
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // it has ended
      }
      await process.status;
    }
    await Deno.remove(this.path, { recursive: true });
  }

  /** Starts a task; its flags are separated by spaces, its paths relative to the folder. */
  start(task: TaskName, flags: string, env: Record<string, string> = {}): Deno.ChildProcess {
    const [program, ...words] = settings.tasks[task].command.split(" ");
    assert.equal(program, "deno");
    const inRepository = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
    const script = words.findIndex((word) => word.endsWith(".ts"));
    words[script] = inRepository(words[script]);
    const own = "--allow-run=experiments/";
    const run = words.findIndex((word) => word.startsWith(own));
    if (run >= 0) words[run] = `--allow-run=${inRepository(words[run].slice("--allow-run=".length))}`;
    const lock = words.indexOf("--lock=deno.lock");
    words[lock] = `--lock=${inRepository("deno.lock")}`;
    const process = new Deno.Command(Deno.execPath(), {
      args: [...words, ...flags.trim().split(/ +/)],
      cwd: this.path,
      env: { NO_COLOR: "1", MLFLOW_TRACKING_URI: "", ...shortPrograms, ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#processes.push(process);
    return process;
  }

  /** Runs a task in this process to its end, whatever that is; one task at a time. */
  run(task: TaskName, flags: string, env: Record<string, string> = {}): Promise<Ended> {
    const ended = lastCall.then(() => callTask(task, flags, this.path, env));
    lastCall = ended.catch(() => {});
    return ended;
  }

  /** Runs a task as a program to its end. */
  async runProgram(task: TaskName, flags: string, env: Record<string, string> = {}): Promise<Ended> {
    return await ended(this.start(task, flags, env));
  }

  /** Runs a task that must succeed. */
  async succeed(task: TaskName, flags: string, env: Record<string, string> = {}): Promise<Ended> {
    const end = await this.run(task, flags, env);
    assert.equal(end.code, 0, end.stderr);
    return end;
  }

  file(...names: string[]): string {
    return join(this.path, ...names);
  }

  read(...names: string[]): Promise<Uint8Array<ArrayBuffer>> {
    return Deno.readFile(this.file(...names));
  }

  /** Names in a folder of it, sorted, but for hidden ones: a run's lock. */
  async names(...names: string[]): Promise<string[]> {
    const all = await Array.fromAsync(Deno.readDir(this.file(...names)), ({ name }) => name);
    return all.filter((name) => !name.startsWith(".")).sort();
  }

  /** All that lies in it, but for links: of a file the time of its last change and its bytes. */
  async listing(folder = this.path): Promise<Map<string, string>> {
    const entries = new Map<string, string>();
    for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
      const path = join(folder, name);
      if (isFile) {
        const { mtime } = await Deno.stat(path);
        entries.set(path, `${mtime?.getTime()} ${(await Deno.readFile(path)).toBase64()}`);
      } else if (isDirectory) {
        entries.set(path, "folder");
        for (const [inside, entry] of await this.listing(path)) entries.set(inside, entry);
      }
    }
    return entries;
  }

  /** The metrics of a run without its times and its machine, which no two runs share. */
  async metrics(run: string): Promise<Metrics[]> {
    const lines = await readMetrics(this.file(run, "metrics.jsonl"));
    return lines.map(({ elapsed_seconds: _, time: __, ...line }) =>
      Object.fromEntries(Object.entries(line).filter(([name]) => !name.startsWith("system/"))) as Metrics
    );
  }

  /** What a run goes on from, without its times. */
  async state(run: string): Promise<{ tensors: Map<string, unknown>; progress: Record<string, unknown> }> {
    const { tensors, metadata } = decodeSafetensors(await this.read(run, "state.safetensors"), run);
    const { elapsedSeconds: _, ...progress } = JSON.parse(metadata.progress);
    return { tensors, progress };
  }
}

/** The end of the task that was called last: working directory, environment and console belong to one at a time. */
let lastCall: Promise<unknown> = Promise.resolve();

/** The words of a task's command in `deno.json`: its script, and the flags after it. */
function commandOf(task: TaskName): { script: string; flags: string[] } {
  const words = settings.tasks[task].command.split(" ");
  const script = words.findIndex((word) => word.endsWith(".ts"));
  return { script: words[script], flags: words.slice(script + 1) };
}

/** The task that a script exports. */
export async function taskNamed(name: TaskName): Promise<Task> {
  const { script } = commandOf(name);
  const module: Record<string, unknown> = await import(new URL(`../../${script}`, import.meta.url).href);
  const found = Object.values(module).find((value) => value instanceof Task);
  assert.ok(found, `${script} exports no task`);
  return found;
}

/** Calls a task as its program does, in a folder, and keeps what it prints. */
async function callTask(
  task: TaskName,
  flags: string,
  folder: string,
  env: Readonly<Record<string, string>>,
): Promise<Ended> {
  const { flags: own } = commandOf(task);
  const called = await taskNamed(task);
  const [stdout, stderr]: string[][] = [[], []];
  const decoder = new TextDecoder();
  const writeSync = (bytes: Uint8Array) => {
    stderr.push(decoder.decode(bytes));
    return bytes.length;
  };
  using _ = replacing(
    [console, {
      log: (text: string) => stdout.push(text + "\n"),
      error: (text: string) => stderr.push(text + "\n"),
    }],
    [Deno.stderr, { writeSync, isTerminal: () => false }],
  );
  using __ = withEnvironment({ NO_COLOR: "1", MLFLOW_TRACKING_URI: "", ...env });
  const earlier = Deno.cwd();
  process.chdir(folder); // not Deno's: a module of the browser keeps the folder until it hears of another
  try {
    const code = await called.run([...own, ...flags.trim().split(/ +/)]);
    return { code, stdout: stdout.join(""), stderr: stderr.join("") };
  } finally {
    process.chdir(earlier);
    context.device?.close(); // of a task that an error ended
    context.device = undefined;
  }
}

/** Replaces properties of objects until disposed. */
function replacing(
  ...replaced: readonly [object: object, by: Readonly<Record<string, unknown>>][]
): Disposable {
  const earlier = replaced.map(([object, by]) =>
    [object, Object.fromEntries(Object.keys(by).map((name) => [name, Reflect.get(object, name)]))] as const
  );
  for (const [object, by] of replaced) Object.assign(object, by);
  return { [Symbol.dispose]: () => earlier.forEach(([object, values]) => Object.assign(object, values)) };
}

function withEnvironment(env: Readonly<Record<string, string>>): Disposable {
  const set = (name: string, value: string | undefined) =>
    value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
  const earlier = Object.keys(env).map((name) => [name, Deno.env.get(name)] as const);
  for (const [name, value] of Object.entries(env)) set(name, value);
  return { [Symbol.dispose]: () => earlier.forEach(([name, value]) => set(name, value)) };
}

/** What a started task prints and how it ends. */
export async function ended(process: Deno.ChildProcess): Promise<Ended> {
  const { code, stdout, stderr } = await process.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** A new folder with the made-up data set. */
export async function makePlace(): Promise<Workplace> {
  const place = new Workplace(await Deno.makeTempDir({ prefix: "flow-" }));
  await writeTinyIdx(place.file("data"));
  return place;
}

/**
 * Defines a test in a workplace of its own, which is removed after it.
 *
 * @param reason why the test cannot run here, if it cannot
 */
export function testTask(
  name: string,
  test: (place: Workplace) => Promise<void>,
  reason?: string,
): void {
  const run = async () => {
    await using place = await makePlace();
    await test(place);
  };
  if (reason !== undefined) testUnless(reason, name, run);
  else testNeeding({ read: true, write: true, run: true }, name, run);
}

/** What several tests of a file start from, a trained run say: made once, then copied. */
const made = new Map<string, Promise<Workplace>>();

Deno.test.afterAll(async () => {
  for (const place of await Promise.allSettled(made.values())) {
    if (place.status === "fulfilled") await place.value[Symbol.asyncDispose]();
  }
});

/**
 * Gives a folder what `make` leaves in another that has the same made-up data set.
 *
 * @param key the same for calls that make the same; of these only the first one makes it
 */
export async function madeOnce(
  place: Workplace,
  key: string,
  make: (place: Workplace) => Promise<unknown>,
): Promise<void> {
  if (!made.has(key)) made.set(key, makeElsewhere(make));
  const { path } = await made.get(key)!;
  await Deno.remove(place.file("data"), { recursive: true });
  await cp(path, place.path, { recursive: true });
}

async function makeElsewhere(make: (place: Workplace) => Promise<unknown>): Promise<Workplace> {
  const place = await makePlace();
  try {
    await make(place);
    return place;
  } catch (error) {
    await place[Symbol.asyncDispose]();
    throw error;
  }
}
