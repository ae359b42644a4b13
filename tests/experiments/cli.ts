/** Runs the tasks of `deno.json`: in this process, or like a user, in a program with the task's permissions. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cp, readdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import settings from "../../deno.json" with { type: "json" };
import type { Task } from "../../experiments/cli/task.ts";
import { type Metrics, readMetrics } from "../../experiments/run/metrics_log.ts";
import { scriptOf, tasks } from "../../experiments/tasks.ts";
import { context } from "../../kernels/core/context.ts";
import { decodeSafetensors } from "../../models/mod.ts";
import { testNeeding, testUnless } from "../permissions.ts";
import { replacing } from "../replacing.ts";
import { writeTinyIdx } from "./data/tiny_idx.ts";

export type TaskName = keyof typeof settings.tasks;

/** Tasks that tests can run. */
export const taskNames = tasks.filter(({ load }) => load).map(({ name }) => name as TaskName);

/** Result of a task. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

type Environment = Readonly<Record<string, string>>;

/**
 * V8 flags for programs of tests: the fast compiler runs only after 8 times the usual amount of work, and V8 compiles
 * and collects garbage without threads of its own. In programs of a second, each of the two took a fifth of the
 * processor time for nothing.
 */
const shortPrograms = { DENO_V8_FLAGS: "--wasm-tiering-budget=100000000,--single-threaded" };

/** Environment variables of tasks: no colour, no server, and the folder's own user settings. */
const placeEnvironment = (folder: string) => ({
  NO_COLOR: "1",
  MLFLOW_TRACKING_URI: "",
  XDG_CONFIG_HOME: join(folder, ".config"),
});

/** Flags of the CPU device in tests that are not about threads; waiting threads would slow down other tests. */
export const oneThread = "--device cpu --threads 1";

/** Flags of a network that trains in seconds on the made-up data set, even in plain JavaScript. */
export const tinyNetwork = `--data data --filters 8,16 --t-emb 8 --batch-size 8 ${oneThread}`;

/** Flags of a training run without pictures, which take most of the time of so short a run. */
export const noPictures = "--samples 0 --flow-samples 0 --path-samples 0";

const wholeRun = (pictures: string) =>
  `${tinyNetwork} --epochs 3 --max-minutes 0 --log-every 3 ${pictures} --path-samples 0 --no-conditional`;

/** A whole training run without pictures. */
export const bareRun = wholeRun("--val-epochs 1 --samples 0 --flow-samples 0");

/** The same run with its pictures, but without plane trajectories. */
export const tinyRun = wholeRun(
  "--solver euler:steps=2 --samples 5 --val-epochs 1 --sample-epochs 0 --flow-samples 2 --flow-steps 4 " +
    "--flow-frames 3",
);

/** The same run with plane trajectories. */
export const tinyRunWithPaths = tinyRun.replace("--path-samples 0", "--path-samples 6");

/** Waits until something holds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!await holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** A folder for running tasks, with the made-up data set in `data`. */
export class Workplace {
  readonly #processes: Deno.ChildProcess[] = [];

  constructor(readonly path: string) {}

  /** Ends its running programs, and removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#processes) {
      try {
        process.kill("SIGKILL");
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // it has ended already
      }
      await process.status;
    }
    await Deno.remove(this.path, { recursive: true });
  }

  /** Starts a task as a program; flags are separated by spaces, paths relative to the folder. */
  start(task: TaskName, flags: string, env: Environment = {}): Deno.ChildProcess {
    const inRepository = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
    const [, ...words] = settings.tasks[task].command.split(" ")
      .map((word) => word.replace(/(?<=^|=)(experiments\/\w+\.ts|deno\.lock)$/, inRepository));
    const process = new Deno.Command(Deno.execPath(), {
      args: [...words, ...flags.trim().split(/ +/)],
      cwd: this.path,
      env: { ...placeEnvironment(this.path), ...shortPrograms, ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#processes.push(process);
    return process;
  }

  /** Runs a task in this process, one at a time. */
  run(task: TaskName, flags: string, env: Environment = {}): Promise<Ended> {
    const ended = lastCall.then(() => callTask(task, flags, this.path, env));
    lastCall = ended.catch(() => {});
    return ended;
  }

  /** Runs a task as a program and waits for it. */
  async runProgram(task: TaskName, flags: string, env: Environment = {}): Promise<Ended> {
    return await ended(this.start(task, flags, env));
  }

  /** Starts a task as a program, and sends it a signal when something holds, unless it has ended by then. */
  async stopWhen(
    holds: () => Promise<boolean>,
    task: TaskName,
    flags: string,
    signal: Deno.Signal = "SIGINT",
  ): Promise<Ended> {
    const process = this.start(task, flags);
    let running = true;
    const end = ended(process).finally(() => running = false);
    await until(async () => !running || await holds());
    if (running) process.kill(signal);
    return await end;
  }

  /** The last saved step of a run; -1 if there is none. */
  async stepOf(run: string): Promise<number> {
    return await this.exists(run, "state.safetensors") ? (await this.state(run)).progress.step as number : -1;
  }

  /** Runs a task, and asserts that it succeeds. */
  async succeed(task: TaskName, flags: string, env: Environment = {}): Promise<Ended> {
    const end = await this.run(task, flags, env);
    assert.equal(end.code, 0, end.stderr);
    return end;
  }

  file(...names: string[]): string {
    return join(this.path, ...names);
  }

  exists(...names: string[]): Promise<boolean> {
    return Deno.stat(this.file(...names)).then(() => true, () => false);
  }

  read(...names: string[]): Promise<Uint8Array<ArrayBuffer>> {
    return Deno.readFile(this.file(...names));
  }

  text(...names: string[]): Promise<string> {
    return Deno.readTextFile(this.file(...names));
  }

  // deno-lint-ignore no-explicit-any
  async json(...names: string[]): Promise<any> {
    return JSON.parse(await this.text(...names));
  }

  /** Writes a file, text or JSON, and its folders. */
  async write(name: string, content: unknown): Promise<void> {
    await Deno.mkdir(join(this.file(name), ".."), { recursive: true });
    const text = typeof content === "string" ? content : JSON.stringify(content);
    await Deno.writeTextFile(this.file(name), text);
  }

  /** A digest of a file, for comparisons: a difference of long arrays takes minutes to print. */
  async digest(...names: string[]): Promise<string> {
    return fingerprintOf(await this.read(...names));
  }

  /** Sorted names of the files in one of its folders, except hidden ones such as a run's lock. */
  async names(...names: string[]): Promise<string[]> {
    return (await readdir(this.file(...names))).filter((name) => !name.startsWith(".")).sort();
  }

  /** All its files except links, each with the time of its last change and its size. */
  async listing(folder = this.path): Promise<Map<string, string>> {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const listed = entries.filter((entry) => entry.isFile() || entry.isDirectory()).map(async (entry) => {
      const path = join(entry.parentPath, entry.name);
      const { isDirectory, mtime, size } = await Deno.stat(path);
      return [path, isDirectory ? "folder" : `${mtime?.getTime()} ${size}`] as const;
    });
    return new Map(await Promise.all(listed));
  }

  /** The metrics of a run, without values that differ between runs: times and machine. */
  async metrics(run: string): Promise<Metrics[]> {
    const lines = await readMetrics(this.file(run, "metrics.jsonl"));
    return lines.map(({ elapsed_seconds: _, time: __, ...line }) =>
      Object.fromEntries(Object.entries(line).filter(([name]) => !name.startsWith("system/"))) as Metrics
    );
  }

  /** The saved state of a run, with digests of its tensors, without its times. */
  async state(run: string): Promise<{ tensors: Map<string, string>; progress: Record<string, unknown> }> {
    const { tensors, metadata } = decodeSafetensors(await this.read(run, "state.safetensors"), run);
    const { elapsedSeconds: _, ...progress } = JSON.parse(metadata.progress);
    const digests = [...tensors].map(([name, { shape, data }]) =>
      [name, `${shape} ${fingerprintOf(data)}`] as const
    );
    return { tensors: new Map(digests), progress };
  }
}

/** SHA-256 of an array, in hex. */
export function fingerprintOf({ buffer, byteOffset, byteLength }: Uint8Array | Float32Array): string {
  return createHash("sha256").update(new Uint8Array(buffer, byteOffset, byteLength)).digest("hex");
}

/** Settles after the latest task call: only one at a time can own the working directory, environment and console. */
let lastCall: Promise<unknown> = Promise.resolve();

const rowOf = (name: TaskName) => tasks.find((task) => task.name === name)!;

export async function taskNamed(name: TaskName): Promise<Task> {
  return await rowOf(name).load!() as Task;
}

/** Calls a task in a folder like its program would, and captures its output. */
async function callTask(task: TaskName, flags: string, folder: string, env: Environment): Promise<Ended> {
  const [, ...own] = scriptOf(rowOf(task));
  const called = await taskNamed(task);
  let [stdout, stderr] = ["", ""];
  const writeSync = (bytes: Uint8Array) => {
    stderr += new TextDecoder().decode(bytes);
    return bytes.length;
  };
  const log = (text: string) => stdout += text + "\n";
  const error = (text: string) => stderr += text + "\n";
  using _ = replacing([console, { log, error }], [Deno.stderr, { writeSync, isTerminal: () => false }]);
  using __ = withEnvironment({ ...placeEnvironment(folder), ...env });
  const earlier = Deno.cwd();
  process.chdir(folder); // not Deno.chdir(): a module of the browser would keep the old folder
  try {
    const code = await called.run([...own, ...flags.trim().split(/ +/)]);
    return { code, stdout, stderr };
  } finally {
    process.chdir(earlier);
    context.device?.close(); // left open if the task failed
    context.device = undefined;
  }
}

function withEnvironment(env: Environment): Disposable {
  const set = (name: string, value: string | undefined) =>
    value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
  const earlier = Object.keys(env).map((name) => [name, Deno.env.get(name)] as const);
  for (const [name, value] of Object.entries(env)) set(name, value);
  return { [Symbol.dispose]: () => earlier.forEach(([name, value]) => set(name, value)) };
}

/** Output and exit code of a started task. */
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
 * Defines a test with a workplace, which is removed afterwards.
 *
 * @param reason why the test cannot run here, if so
 */
export function testTask(name: string, test: (place: Workplace) => Promise<void>, reason?: string): void {
  const run = async () => {
    await using place = await makePlace();
    await test(place);
  };
  if (reason !== undefined) testUnless(reason, name, run);
  else testNeeding({ read: true, write: true, run: true }, name, run);
}

type Make = (place: Workplace) => Promise<unknown>;

/** Workplaces shared by several tests of a file, such as one with a trained run: made once, then copied. */
const made = new Map<string, { readonly by: string; readonly place: Promise<Workplace> }>();

Deno.test.afterAll(async () => {
  for (const place of await Promise.allSettled(Array.from(made.values(), ({ place }) => place))) {
    if (place.status === "fulfilled") await place.value[Symbol.asyncDispose]();
  }
});

/**
 * Copies the result of `make` into a workplace with the same made-up data set.
 *
 * @param key identifies the result among all files of tests; only the first call with a key runs `make`
 */
export async function madeOnce(place: Workplace, key: string, make: Make): Promise<void> {
  if (!made.has(key)) made.set(key, { by: `${make}`, place: makeElsewhere(make) });
  const first = made.get(key)!;
  assert.equal(first.by, `${make}`, `"${key}" is already the name of something else that tests make`);
  const { path } = await first.place;
  await Deno.remove(place.file("data"), { recursive: true });
  await cp(path, place.path, { recursive: true, preserveTimestamps: true });
}

async function makeElsewhere(make: Make): Promise<Workplace> {
  const place = await makePlace();
  try {
    await make(place);
    return place;
  } catch (error) {
    await place[Symbol.asyncDispose]();
    throw error;
  }
}
