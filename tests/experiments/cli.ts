/** Runs the tasks of `deno.json`: in this process, or like a user, in a program with the task's permissions. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import settings from "../../deno.json" with { type: "json" };
import { type Metrics, readMetrics } from "../../experiments/run/metrics_log.ts";
import { Task } from "../../experiments/cli/task.ts";
import { context } from "../../kernels/core/context.ts";
import { DeviceError, init } from "../../kernels/mod.ts";
import { decodeSafetensors } from "../../models/mod.ts";
import { testNeeding, testUnless } from "../permissions.ts";
import { cp } from "node:fs/promises";
import { writeTinyIdx } from "./data/tiny_idx.ts";
import { replacing } from "../replacing.ts";

export type TaskName = keyof typeof settings.tasks;

/** Tasks of `deno.json` that tests can run. */
export const taskNames = (Object.keys(settings.tasks) as TaskName[])
  .filter((name) => / experiments\/\w+\.ts/.test(settings.tasks[name].command));

/** Why runs on WebGPU cannot be tested here. */
export async function missingAdapter(): Promise<string | undefined> {
  try {
    (await init({ device: "webgpu" })).close();
  } catch (error) {
    if (error instanceof DeviceError) return error.message;
    throw error;
  }
}

/** Result of a task. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

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

/** Flags of a whole training run, with those of its pictures. */
const wholeRun = (pictures: string) =>
  `${tinyNetwork} --epochs 3 --max-minutes 0 --log-every 3 ${pictures} --path-samples 0 --no-conditional`;

/** A training run without pictures, which take most of the time of so short a run. */
export const bareRun = wholeRun("--val-epochs 1 --samples 0 --flow-samples 0");

/** The same run with its pictures, but without plane trajectories. */
export const tinyRun = wholeRun(
  "--solver euler:steps=2 --samples 5 --val-epochs 1 --sample-epochs 0 --flow-samples 2 --flow-steps 4 " +
    "--flow-frames 3",
);

/** The same run with plane trajectories. */
export const tinyRunWithPaths = tinyRun.replace("--path-samples 0", "--path-samples 6");

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
  start(task: TaskName, flags: string, env: Record<string, string> = {}): Deno.ChildProcess {
    const [program, ...words] = settings.tasks[task].command.split(" ");
    assert.equal(program, "deno");
    const inRepository = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
    const script = words.findIndex((word) => /^experiments\/.*\.ts$/.test(word));
    words[script] = inRepository(words[script]);
    const own = "--allow-run=experiments/";
    const run = words.findIndex((word) => word.startsWith(own));
    if (run >= 0) words[run] = `--allow-run=${inRepository(words[run].slice("--allow-run=".length))}`;
    const lock = words.indexOf("--lock=deno.lock");
    words[lock] = `--lock=${inRepository("deno.lock")}`;
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
  run(task: TaskName, flags: string, env: Record<string, string> = {}): Promise<Ended> {
    const ended = lastCall.then(() => callTask(task, flags, this.path, env));
    lastCall = ended.catch(() => {});
    return ended;
  }

  /** Runs a task as a program and waits for it. */
  async runProgram(task: TaskName, flags: string, env: Record<string, string> = {}): Promise<Ended> {
    return await ended(this.start(task, flags, env));
  }

  /** Starts a task, and sends it a signal once its run has saved a step, unless it has ended by then. */
  async stopAt(
    step: number,
    { task, flags, run, signal = "SIGKILL" }: {
      readonly task: TaskName;
      readonly flags: string;
      readonly run: string;
      readonly signal?: Deno.Signal;
    },
  ): Promise<Ended> {
    const process = this.start(task, flags);
    let running = true;
    const end = ended(process).finally(() => running = false);
    while (running && await this.stepOf(run) < step) await new Promise((resolve) => setTimeout(resolve, 5));
    if (running) process.kill(signal);
    return await end;
  }

  /** The last saved step of a run; -1 if there is none. */
  async stepOf(run: string): Promise<number> {
    try {
      return (await this.state(run)).progress.step as number;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return -1;
      throw error;
    }
  }

  /** Runs a task, and asserts that it succeeds. */
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

  /** A digest of a file, for comparisons: a difference of long arrays takes minutes to print. */
  async digest(...names: string[]): Promise<string> {
    return fingerprintOf(await this.read(...names));
  }

  /** Sorted names of the files in one of its folders, except hidden ones such as a run's lock. */
  async names(...names: string[]): Promise<string[]> {
    const all = await Array.fromAsync(Deno.readDir(this.file(...names)), ({ name }) => name);
    return all.filter((name) => !name.startsWith(".")).sort();
  }

  /** All its files except links, each with the time of its last change and its size. */
  async listing(folder = this.path): Promise<Map<string, string>> {
    const entries = new Map<string, string>();
    for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
      const path = join(folder, name);
      if (isFile) {
        const { mtime, size } = await Deno.stat(path);
        entries.set(path, `${mtime?.getTime()} ${size}`);
      } else if (isDirectory) {
        entries.set(path, "folder");
        for (const [inside, entry] of await this.listing(path)) entries.set(inside, entry);
      }
    }
    return entries;
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
export function fingerprintOf(data: Uint8Array | Float32Array): string {
  return createHash("sha256").update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)).digest(
    "hex",
  );
}

/** Settles after the latest task call: only one at a time can own the working directory, environment and console. */
let lastCall: Promise<unknown> = Promise.resolve();

/** The script of a task in `deno.json`, with its flags. */
function commandOf(task: TaskName): { script: string; flags: string[] } {
  const words = settings.tasks[task].command.split(" ");
  const script = words.findIndex((word) => /^experiments\/.*\.ts$/.test(word));
  return { script: words[script], flags: words.slice(script + 1) };
}

export async function taskNamed(name: TaskName): Promise<Task> {
  const { script } = commandOf(name);
  const module: Record<string, unknown> = await import(new URL(`../../${script}`, import.meta.url).href);
  const found = Object.values(module).find((value) => value instanceof Task);
  assert.ok(found, `${script} exports no task`);
  return found;
}

/** Calls a task in a folder like its program would, and captures its output. */
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
  using __ = withEnvironment({ ...placeEnvironment(folder), ...env });
  const earlier = Deno.cwd();
  process.chdir(folder); // not Deno.chdir(): a module of the browser would keep the old folder
  try {
    const code = await called.run([...own, ...flags.trim().split(/ +/)]);
    return { code, stdout: stdout.join(""), stderr: stderr.join("") };
  } finally {
    process.chdir(earlier);
    context.device?.close(); // left open if the task failed
    context.device = undefined;
  }
}

function withEnvironment(env: Readonly<Record<string, string>>): Disposable {
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
export async function madeOnce(
  place: Workplace,
  key: string,
  make: (place: Workplace) => Promise<unknown>,
): Promise<void> {
  if (!made.has(key)) made.set(key, { by: `${make}`, place: makeElsewhere(make) });
  const first = made.get(key)!;
  assert.equal(first.by, `${make}`, `"${key}" is already the name of something else that tests make`);
  const { path } = await first.place;
  await Deno.remove(place.file("data"), { recursive: true });
  await cp(path, place.path, { recursive: true, preserveTimestamps: true });
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
