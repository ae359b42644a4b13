import { kernels, unfusedKernels } from "./compiled_kernels.ts";
import { DeviceError } from "../device.ts";
import { Layout } from "./memory_layout.ts";
import { type BlockExports, probeWidth, productBlocks, vectorWidth } from "./product_blocks.ts";
import type { SharedMemory } from "./shared_memory.ts";
import { kernelNames } from "./wasm_call.ts";

/** Thread limit of a CPU device; more would only wait for each other. */
export const maxThreads = 64;

/**
 * Why this program can have only one thread; undefined if it can have more. Browsers share memory only within
 * cross-origin isolated pages, and do not let a page's main thread block, which waiting for other threads requires.
 */
export function whySingleThreaded(): string | undefined {
  if ((globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === false) {
    return "this page is not cross-origin isolated";
  }
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0); // returns immediately if blocking is allowed
  } catch {
    return "the main thread of a page may not block; a worker may";
  }
}

/** The smallest module that exports a * b + c of three numbers, by `f32x4.relaxed_madd`. */
const probe = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 125, 125, 125, 1, 125, 3, 2, 1, 0],
  ...[7, 5, 1, 1, 102, 0, 0, 10, 22, 1, 20, 0, 32, 0, 253, 19, 32, 1, 253, 19, 32, 2, 253, 19],
  ...[253, 133, 2, 253, 31, 0, 11],
);

/** Whether this engine fuses multiply and add, four numbers at a time: some have the instruction, but round twice. */
export function fusesMultiplyAdd(): boolean {
  if (!WebAssembly.validate(probe)) return false;
  const { f } = new WebAssembly.Instance(new WebAssembly.Module(probe)).exports;
  const a = 1 + 2 ** -23;
  const square = 1 + 2 ** -22; // a a, rounded
  return (f as (a: number, b: number, c: number) => number)(a, a, -square) !== 0;
}

/** The parts of Node's modules in use. */
interface NodeModules {
  worker_threads: {
    Worker: new (source: string, options: { eval: true; workerData: unknown }) => {
      on(event: "error", listener: (error: Error) => void): void;
    };
  };
  os: { availableParallelism(): number };
}

/** A module of Node; undefined in Deno and in browsers, which have workers and a number of cores as globals. */
function nodeModule<Name extends keyof NodeModules>(name: Name): NodeModules[Name] | undefined {
  if (typeof Worker !== "undefined") return undefined;
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): NodeModules[Name] } };
  return process?.getBuiltinModule?.(`node:${name}`);
}

/** Number of cores of this machine, as reported by the host. */
export function coreCount(): number {
  return nodeModule("os")?.availableParallelism() ?? globalThis.navigator?.hardwareConcurrency ?? 1;
}

/** The kernels' module, and whether multiply and add are fused. */
export interface CompiledKernels {
  readonly module: WebAssembly.Module;
  readonly fused: boolean;
}

const compiled = new Map<boolean, Promise<CompiledKernels>>();

/** The kernels, with fused multiply-add or without; each is compiled once. */
export function loadKernels(fused: boolean): Promise<CompiledKernels> {
  let loaded = compiled.get(fused);
  if (!loaded) {
    loaded = unpacked(fused ? kernels : unfusedKernels).then(async (wasm) => {
      return { module: await WebAssembly.compile(wasm), fused };
    });
    compiled.set(fused, loaded);
  }
  return loaded;
}

/** The bytes of a packed module. */
async function unpacked(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const { body } = new Response(bytes); // no blob: WebKit reads none in workers of pages from files
  return new Uint8Array(
    await new Response(body!.pipeThrough(new DecompressionStream("deflate-raw"))).arrayBuffer(),
  );
}

interface Exports {
  /** Runs a list of calls on this thread. */
  runAlone(program: number, calls: number): void;
  /** Runs a list of calls on all threads; 0 if one has failed. */
  runTogether(program: number, calls: number, threads: number): number;
  /** Bytes of workspace that a list of calls needs on a number of threads. */
  workspaceBytes(program: number, calls: number, threads: number): number;
}

/** What a worker does, as the source of a function. */
const work = `({ module, blocks, memory, thread }) => {
  try {
    const { table } = new WebAssembly.Instance(blocks, { env: { memory } }).exports;
    new WebAssembly.Instance(module, { env: { memory, table } }).exports.work(thread);
  } catch (error) {
    Atomics.store(new Int32Array(memory.buffer), ${Layout.failed / 4}, 1);
    throw error;
  }
}`;

/**
 * URL of the worker's script: a blob needs no permission to load, and has its page's origin, which sharing memory
 * requires.
 */
let workerUrl: string | undefined;

/**
 * Numbers to search after wide vectors: V8 leaves the upper halves of registers in use, and until they are cleared,
 * Math.exp and other code compiled without AVX takes up to twelve times as long. V8's search of 48 numbers or more uses
 * AVX2 and clears them at its end.
 */
const searched = Array.from({ length: 64 }, (_, i) => i);

/** Milliseconds of idleness after which the workers end, so that the program can exit. */
const idleMs = 300;

/** The threads that run the kernels: the caller's own, and workers that start when there is enough work. */
export class ThreadTeam {
  readonly #kernels: CompiledKernels;
  readonly #memory: SharedMemory;
  readonly #exports: Exports;
  readonly #blocks: BlockExports;
  #probes: boolean;
  /** Words shared by the threads; growing the memory does not move them. */
  readonly #words: Int32Array;
  #workers: object[] = [];
  /** Number of earlier workers that were told to end. */
  #leaving = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #workedAt = 0;
  #failure: string | undefined;

  /** @param wide whether products use wide blocks; by default whichever is measured to be faster */
  constructor(kernels: CompiledKernels, memory: SharedMemory, readonly threads: number, wide?: boolean) {
    this.#kernels = kernels;
    this.#memory = memory;
    this.#probes = wide === undefined;
    this.#words = new Int32Array(memory.memory.buffer, 0, Layout.blocks / 4);
    const env = { memory: memory.memory };
    this.#blocks = new WebAssembly.Instance(productBlocks(0, kernels.fused), { env }).exports as BlockExports;
    this.#exports = new WebAssembly.Instance(kernels.module, { env: { ...env, table: this.#blocks.table } })
      .exports as unknown as Exports;
    this.#words[Layout.wide / 4] = Number(wide ?? vectorWidth().isWide);
  }

  /**
   * Runs a list of calls in memory.
   *
   * @param shared whether any call is worth more than one thread
   * @throws {DeviceError} if a kernel trapped, now or before
   */
  run(program: number, calls: number, shared: boolean): void {
    this.#check();
    this.probe();
    try {
      if (shared && this.threads > 1 && this.#ready()) {
        if (!this.#exports.runTogether(program, calls, this.threads)) this.#fail("a worker stopped");
      } else this.#exports.runAlone(program, calls);
    } catch (error) {
      Atomics.store(this.#words, Layout.failed / 4, 1);
      this.#fail(String(error));
    }
    this.#workedAt = performance.now();
    if (this.isWide && searched.includes(-1)) this.#fail("a search failed"); // unused, V8 drops it
    this.#check();
  }

  /** Bytes of workspace that a list of calls in memory needs. */
  workspaceBytes(program: number, calls: number): number {
    return this.#exports.workspaceBytes(program, calls, this.threads);
  }

  /** Ends the workers; the next large op starts new ones. */
  rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (this.#workers.length === 0) return;
    const words = this.#words;
    Atomics.store(words, Layout.quit / 4, 1);
    Atomics.add(words, Layout.start / 4, 1);
    Atomics.notify(words, Layout.start / 4);
    this.#leaving = this.#workers.length;
    this.#workers = [];
  }

  /** Whether all workers are ready; starts them if there are none. */
  #ready(): boolean {
    const words = this.#words;
    if (this.#workers.length === 0) {
      // An earlier worker that has not ended yet would also run the next program.
      if (Atomics.load(words, Layout.left / 4) < this.#leaving) return false;
      for (const word of [Layout.quit, Layout.ready, Layout.left]) Atomics.store(words, word / 4, 0);
      this.#leaving = 0;
      this.#workers = Array.from({ length: this.threads - 1 }, (_, i) => this.#worker(i + 1));
      this.#timer = setInterval(() => {
        if (performance.now() - this.#workedAt > idleMs) this.rest();
      }, idleMs);
    }
    return Atomics.load(words, Layout.ready / 4) === this.#workers.length;
  }

  /** Starts a worker; the result only serves to keep it alive. */
  #worker(thread: number): object {
    const { module, fused } = this.#kernels;
    const data = { module, blocks: productBlocks(thread, fused), memory: this.#memory.memory, thread };
    const node = nodeModule("worker_threads");
    if (node) {
      const source = `(${work})(require("node:worker_threads").workerData)`;
      const worker = new node.Worker(source, { eval: true, workerData: data });
      worker.on("error", ({ message }) => this.#failure ??= message);
      return worker;
    }
    const source = `onmessage = ({ data }) => { (${work})(data); close(); };`;
    workerUrl ??= URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const worker = new Worker(workerUrl, { type: "module" });
    worker.onerror = (event) => {
      event.preventDefault();
      this.#failure ??= event.message;
    };
    worker.postMessage(data);
    return worker;
  }

  /** Whether products use wide blocks. */
  get isWide(): boolean {
    return this.#words[Layout.wide / 4] !== 0;
  }

  /** Whether the caller chose this, or further measurements are unlikely to change it. */
  get knowsWidth(): boolean {
    return !this.#probes || vectorWidth().isLikely;
  }

  /** Measures which blocks are faster, unless that is already settled, and uses them. */
  probe(): void {
    if (!this.#probes) return;
    if (vectorWidth().isSettled) this.#probes = false;
    else probeWidth(this.#blocks, this.#memory.memory);
    this.#words[Layout.wide / 4] = Number(vectorWidth().isWide);
  }

  #fail(reason: string): void {
    const needed = new Float64Array(this.#memory.memory.buffer)[Layout.neededBytes / 8];
    const available = this.#words[Layout.workspaceBytes / 4] >>> 0;
    const kernel = kernelNames[this.#words[Layout.shortOpcode / 4]];
    this.#failure = needed === 0
      ? reason
      : `${kernel} needs ${needed} bytes of workspace, but has ${available}`;
  }

  #check(): void {
    if (this.#failure !== undefined) {
      throw new DeviceError(
        `A kernel of the CPU device failed: ${this.#failure}; restart, or open a new device with init()`,
      );
    }
  }
}
