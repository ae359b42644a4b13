import { type CompileProgress, DeviceError, type KernelChoice, type TuneOptions } from "../devices/device.ts";
import {
  assignSlots,
  forwardResults,
  halfValues,
  type MemoryPlan,
  planOf,
  writtenRanges,
} from "./memory_plan.ts";
import { refuse, refuseUnknown } from "../core/checks.ts";
import { type Tensor, tensorsIn } from "../core/tensor.ts";
import { allocateNow, giveOwner, owners, peeks, Recording, type Storage } from "../core/memory.ts";

/** Calls back before each run of the step being traced; outside a step, right away. */
export function whenRun(callback: () => void): void {
  if (owners.recording) owners.recording.beforeRuns.push(callback);
  else callback();
}

/** Traces a step; if that fails, frees the memory that the record owns. */
export function trace<T>(step: () => T): { recording: Recording; result: T } {
  if (owners.recording) refuse(Error, "record a step inside another: record only the outer one");
  const recording = new Recording();
  owners.recording = recording;
  try {
    const result = step();
    if (result instanceof Promise) refuse(TypeError, "record an asynchronous step: read values after run()");
    return { recording, result };
  } catch (error) {
    recording.free();
    throw error;
  } finally {
    owners.recording = undefined;
  }
}

/** A step that was traced once and can be run many times. */
export interface RecordedStep<T> {
  /** What the function returned; its tensors hold the values of the last run. */
  readonly result: T;
  /** Memory that the step needs. */
  readonly plan: MemoryPlan;
  /**
   * Compiles the step's kernels ahead of the first run.
   *
   * @param progress called with the number of kernels compiled so far, and the total to compile
   */
  compile(progress?: CompileProgress): Promise<void>;
  /**
   * Measures which of the ways to run each op is the fastest at the sizes of this step, and uses it from then on.
   * Results stay the same up to rounding, and the same choice gives the same bits. Values do not change.
   *
   * @returns how each op with several ways runs; empty on the CPU device
   */
  tune(options?: TuneOptions): Promise<KernelChoice[]>;
  /** Queues the whole step. */
  run(): void;
}

/** How a step is recorded. */
export interface RecordOptions {
  /**
   * Type in which the step keeps its large values, `f32` by default. `f16` halves their memory and keeps three digits
   * in the range 6e-8 to 65504; arithmetic, inputs and outputs stay in f32.
   */
  readonly precision?: "f32" | "f16";
}

/** Traces a step, plans its memory and uses the plan; if that fails, frees the memory that the record owns. */
function withLayout<T, U>(step: () => T, options: RecordOptions, use: (layout: Layout<T>) => U): U {
  const { recording, result } = trace(step);
  try {
    return use(layOut(recording, result, options));
  } catch (error) {
    recording.free();
    throw error;
  }
}

type Layout<T> = ReturnType<typeof layOut<T>>;

/** A step's ops, and the memory slot of each value. */
function layOut<T>(recording: Recording, result: T, { precision = "f32", ...unknown }: RecordOptions) {
  refuseUnknown("record a step", unknown, ["precision"]);
  const device = recording.calls[0]?.tensors[0]?.storage.device;
  if (!device) refuse(Error, "record a step that runs no op");
  if (precision !== "f32" && precision !== "f16") {
    refuse(TypeError, `keep values in ${precision}`, "precision f32 or f16");
  }
  if (precision === "f16" && !device.halfStorage) {
    refuse(DeviceError, `keep values in f16 on ${device.description}: it has no shader-f16`, "precision f32");
  }
  const outputs = tensorsIn([result, recording.peeks.map(({ x }) => x)]);
  const kept = new Set(outputs.map(({ storage }) => storage));
  forwardResults(recording, kept);
  const half = precision === "f16" ? halfValues(recording, kept) : new Set<Storage>();
  const { slots, slotOf } = assignSlots(recording, kept, half);
  const plan = planOf(device, recording, slots, kept, half);
  return { recording, result, device, outputs, kept, half, slots, slotOf, plan };
}

/**
 * The memory that a step would need, computed without running its ops or allocating memory.
 *
 * @param step a synchronous function of ops
 */
export function planMemory(step: () => unknown, options: RecordOptions = {}): MemoryPlan {
  return withLayout(step, options, ({ recording, plan }) => {
    recording.free();
    return plan;
  });
}

/**
 * Traces a step once, so that running it costs the host next to nothing: no allocation, no graph.
 *
 * Whatever changes between runs must live in tensors, written before `run`; plain numbers are fixed by the trace.
 * Values inside the step share memory when they are not needed at the same time. The memory belongs to the scope around
 * `record` if there is one, and otherwise lives as long as the step.
 *
 * @example
 * ```ts
 * import { add, init, record, tensor } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const x = tensor([1]);
 * const step = record(() => add(x, 1));
 * x.write(new Float32Array([41]));
 * step.run();
 * console.log(await step.result.read()); // [42]
 * ```
 *
 * @param step a synchronous function of ops; it is called once
 * @returns the step, which has not run yet
 */
export function record<T>(step: () => T, options: RecordOptions = {}): RecordedStep<T> {
  return withLayout(step, options, prepared);
}

function prepared<T>(layout: Layout<T>): RecordedStep<T> {
  const { recording, result, device, outputs, kept, half, slots, slotOf, plan } = layout;
  if (plan.largestBytes > device.maxRangeBytes) {
    const most = `at most ${device.maxRangeBytes} on this device; use a smaller batch`;
    refuse(Error, `record the step: its largest value has ${plan.largestBytes} bytes`, most);
  }
  for (const output of outputs) if (recording.owns(output.storage)) output.detach();
  for (const storage of recording.memory) giveOwner(storage);
  const own = [...kept].filter((storage) => !storage.planned);
  const memory: Storage[] = [];
  for (const bytes of slots.sizes) {
    const storage = allocateNow(device, bytes / 4);
    recording.memory.push(storage);
    memory.push(storage);
  }
  for (const storage of own) {
    storage.assign(device.allocate(storage.bytes));
    recording.memory.push(storage);
    giveOwner(storage);
  }
  // Values inside the step get no storage of their own, so using one outside it stays an error.
  const memoryOf = (storage: Storage) => slotOf.has(storage) ? memory[slotOf.get(storage)!] : storage;
  const { calls: recorded, beforeRuns, peeks } = recording; // not the recording itself, which would keep unused memory alive
  const calls = recorded.map(({ kernel, tensors, dims }) => ({
    kernel,
    dims,
    ranges: tensors.map(({ storage, offset, size }) =>
      memoryOf(storage).range(offset, half.has(storage) ? Math.ceil(size / 2) : size)
    ),
    half: kernel.ports.flatMap(({ name }, i) => half.has(tensors[i].storage) ? [name] : []),
  }));
  const used = new Set([
    ...recorded.flatMap(({ tensors }) => tensors.map(({ storage }) => memoryOf(storage))),
    ...own,
  ]);
  const written = writtenRanges(recorded, (storage) => !slotOf.has(storage));
  const replay = device.prepare(calls);
  const check = () => {
    for (const storage of used) storage.check();
  };
  return {
    result,
    plan,
    async compile(progress = () => {}) {
      check();
      await device.compile?.(calls, progress);
    },
    async tune(options = {}) {
      check();
      return await device.tune?.(calls, options) ?? [];
    },
    run() {
      check();
      for (const callback of beforeRuns) callback();
      replay();
      for (const { storage, offset, size } of written) storage.noteWrite(offset, size, "a recorded step");
      for (const { afterRun } of peeks) afterRun();
    },
  };
}

/**
 * Counts the multiply-adds of a step, without running it: convolutions (padding included), matrix products, attention,
 * and their gradients.
 *
 * ```ts
 * import { countMultiplyAdds, init, matmul, zeros } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * console.log(countMultiplyAdds(() => matmul(zeros([2, 3]), zeros([3, 5])))); // 30
 * ```
 */
export function countMultiplyAdds(step: () => unknown): number {
  const { recording } = trace(step);
  recording.free();
  return recording.calls.reduce((sum, { kernel, dims }) => sum + (kernel.multiplyAdds?.(dims) ?? 0), 0);
}

/**
 * Reads a value, and shows it after those before it. If the device has failed, shows none: reading any result says so.
 */
function show(x: Tensor, use: (values: Float32Array) => void): void {
  const shown = Promise.all([x.read().catch(() => undefined), peeks.shown])
    .then(([values]) => values && use(values))
    .finally(() => {
      if (peeks.shown === shown) peeks.shown = undefined;
    });
  peeks.shown = shown;
}

/**
 * Shows a value inside a network whenever it is computed, without changing it: also in each run of a recorded step, as
 * in training, sampling and validation.
 *
 * The values arrive later, in order, because the device runs behind the program; reading a tensor waits for them, and
 * rejects if a function throws. Each call makes the device wait, so remove it before a long training.
 *
 * @param x the value, of any shape
 * @param look a label, to print `label f32[2, 3]: from 0 to 5, mean 2.5, deviation 1.708`; or a function that gets the
 * values
 * @returns x
 *
 * ```ts
 * import { init, multiply, peek, record, tensor } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const x = tensor([1, 2, 3]);
 * const step = record(() => multiply(peek(multiply(x, x), "x^2"), 10));
 * for (let i = 0; i < 2; i++) step.run(); // x^2 f32[3]: from 1 to 9, mean 4.667, deviation 3.3 (twice)
 * ```
 */
export function peek(x: Tensor, look: string | ((values: Float32Array) => void)): Tensor {
  const use = typeof look === "function"
    ? look
    : (values: Float32Array) => console.log(`${look} ${x}: ${summaryOf(values)}`);
  if (owners.recording) owners.recording.peeks.push({ x, afterRun: () => show(x, use) });
  else show(x, use);
  return x;
}

/** Range, mean and standard deviation of the finite values, and how many are not finite. */
function summaryOf(values: Float32Array): string {
  const finite = values.filter(Number.isFinite);
  const mean = finite.reduce((sum, value) => sum + value / finite.length, 0);
  const variance = finite.reduce((sum, value) => sum + (value - mean) ** 2 / finite.length, 0);
  const [least, most] = finite.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  const short = (value: number) => `${Number(value.toPrecision(4))}`;
  const range = `from ${short(least)} to ${short(most)}, mean ${short(mean)}, deviation ${
    short(Math.sqrt(variance))
  }`;
  const bad = values.length - finite.length;
  return [finite.length > 0 && range, bad > 0 && `${bad} not finite`].filter(Boolean).join(", ");
}
