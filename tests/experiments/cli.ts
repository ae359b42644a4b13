/** Runs the tasks of `deno.json` as a user does: a program of its own, with the task's permissions. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import settings from "../../deno.json" with { type: "json" };
import { type Metrics, readMetrics } from "../../experiments/run/metrics_log.ts";
import { flagOf, type Rows } from "../../experiments/settings/setting.ts";
import { DeviceError, init } from "../../kernels/mod.ts";
import { decodeSafetensors } from "../../models/mod.ts";
import { testNeeding, testUnless } from "../permissions.ts";
import { writeTinyIdx } from "./data/tiny_idx.ts";

/** A task of `deno.json` that a test can run. */
export type Task =
  | "train:residual"
  | "train:base"
  | "doctor"
  | "sample"
  | "morph"
  | "overfit"
  | "judge"
  | "report"
  | "sync"
  | "runs"
  | "animate"
  | "compare"
  | "evaluate"
  | "solvers"
  | "study"
  | "mlflow"
  | "tune";

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
export const tinyRun =
  `${tinyNetwork} --epochs 3 --max-minutes 0 --log-every 3 --sample-steps 2 --solver euler ` +
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
  start(task: Task, flags: string, env: Record<string, string> = {}): Deno.ChildProcess {
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

  /** Runs a task to its end, whatever that is. */
  async run(task: Task, flags: string, env: Record<string, string> = {}): Promise<Ended> {
    return await ended(this.start(task, flags, env));
  }

  /** Runs a task that must succeed. */
  async succeed(task: Task, flags: string, env: Record<string, string> = {}): Promise<Ended> {
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

/** What a started task prints and how it ends. */
export async function ended(process: Deno.ChildProcess): Promise<Ended> {
  const { code, stdout, stderr } = await process.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Asserts that a help text has a line for every setting, with its default where it or the preset has one. */
export function assertHelp(help: string, rows: Rows, preset: Readonly<Record<string, unknown>> = {}): void {
  assert.match(help, /^Usage: deno task [\w:]+ \[flags\]\n/);
  const lines = help.replaceAll(/\n {20,}/g, " ").split("\n"); // a long flag has its meaning on the next line
  for (const [name, setting] of Object.entries(rows)) {
    const line = lines.find((line) => line.trimStart().split(/[ ,]/)[0] === flagOf(name)) ?? "";
    assert.ok(line.includes(setting.doc), `${flagOf(name)} is missing: ${help}`);
    const given = preset[name] ?? setting.default;
    const value = typeof given === "boolean" ? (given ? "on" : "off") : given;
    if (value !== undefined && value !== null) assert.ok(line.includes(` (default: ${value})`), line);
  }
  assert.match(help, /\n {2}-h, --help /);
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
    await using place = new Workplace(await Deno.makeTempDir({ prefix: "flow-" }));
    await writeTinyIdx(place.file("data"));
    await test(place);
  };
  if (reason !== undefined) testUnless(reason, name, run);
  else testNeeding({ read: true, write: true, run: true }, name, run);
}
