import { context } from "./context.ts";
import type { Device, Dims, Kernel } from "./devices/device.ts";
import { tensorsIn } from "./scope.ts";
import { allocateNow, giveOwner, Storage } from "./storage.ts";
import type { Tensor } from "./tensor.ts";

/** One op of a record, on memory that may not exist yet. */
interface RecordedCall {
  readonly kernel: Kernel;
  readonly tensors: readonly { readonly storage: Storage; readonly offset: number; readonly size: number }[];
  readonly dims: Dims;
}

/** A step while it is traced: the list of its ops, none of them run. */
export class Recording {
  readonly calls: RecordedCall[] = [];
  /** Tensors written from the host during the trace: they live as long as the record. */
  readonly constants: Storage[] = [];
  readonly #values = new Set<Storage>();

  allocate(device: Device, elements: number): Storage {
    const storage = new Storage(device, elements);
    this.#values.add(storage);
    return storage;
  }

  add(call: RecordedCall): void {
    this.calls.push(call);
  }

  /** First and last call of every value that lives inside the record only. */
  lifetimes(kept: ReadonlySet<Storage>): { first: Map<number, Storage[]>; last: Map<number, Storage[]> } {
    const seen = new Map<Storage, [number, number]>();
    this.calls.forEach(({ tensors }, i) => {
      for (const { storage } of tensors) {
        if (!this.#values.has(storage) || kept.has(storage)) continue;
        const span = seen.get(storage);
        if (span) span[1] = i;
        else seen.set(storage, [i, i]);
      }
    });
    const first = new Map<number, Storage[]>();
    const last = new Map<number, Storage[]>();
    for (const [storage, [from, to]] of seen) {
      first.set(from, [...first.get(from) ?? [], storage]);
      last.set(to, [...last.get(to) ?? [], storage]);
    }
    return { first, last };
  }
}

/** What a recorded step needs, known before it runs. */
export interface MemoryPlan {
  /** Memory for the values inside the step, in bytes. */
  readonly bytes: number;
  /** The largest single value, in bytes: no device can bind more than its `maxRangeBytes`. */
  readonly largestBytes: number;
  /** Ops in the step. */
  readonly calls: number;
}

/** A step traced once, to be run many times. */
export interface RecordedStep<T> {
  /** What the function returned; its tensors hold the values of the latest run. */
  readonly result: T;
  readonly plan: MemoryPlan;
  /** Queues the whole step. */
  run(): void;
}

/** Holds on to all memory that it reads and writes for as long as it can be run. */
class Recorded<T> implements RecordedStep<T> {
  readonly #run: () => void;
  readonly #memory: ReadonlySet<Storage>;

  constructor(readonly result: T, readonly plan: MemoryPlan, run: () => void, memory: ReadonlySet<Storage>) {
    this.#run = run;
    this.#memory = memory;
  }

  run(): void {
    for (const storage of this.#memory) storage.check();
    this.#run();
  }
}

/** Sizes of reusable buffers, handed out smallest first. */
class Slots {
  readonly sizes: number[] = [];
  readonly #free: number[] = [];

  take(bytes: number): number {
    const fit = this.#free.filter((slot) => this.sizes[slot] >= bytes && this.sizes[slot] <= 2 * bytes);
    const slot = fit.sort((a, b) => this.sizes[a] - this.sizes[b])[0] ?? this.sizes.push(bytes) - 1;
    const at = this.#free.indexOf(slot);
    if (at >= 0) this.#free.splice(at, 1);
    return slot;
  }

  give(slot: number): void {
    this.#free.push(slot);
  }
}

function trace<T>(step: () => T): { recording: Recording; result: T } {
  if (context.recording) throw new Error("Cannot record a step inside another: record the outer one alone");
  const recording = new Recording();
  context.recording = recording;
  try {
    const result = step();
    if (result instanceof Promise) {
      throw new TypeError("Cannot record an asynchronous step: read values after run()");
    }
    return { recording, result };
  } finally {
    delete context.recording;
  }
}

function assignSlots(
  recording: Recording,
  kept: ReadonlySet<Storage>,
): { slots: Slots; slotOf: Map<Storage, number> } {
  const { first, last } = recording.lifetimes(kept);
  const slots = new Slots();
  const slotOf = new Map<Storage, number>();
  recording.calls.forEach((_, i) => {
    for (const storage of first.get(i) ?? []) slotOf.set(storage, slots.take(storage.bytes));
    for (const storage of last.get(i) ?? []) slots.give(slotOf.get(storage)!);
  });
  return { slots, slotOf };
}

function planOf(recording: Recording, slots: Slots, kept: ReadonlySet<Storage>): MemoryPlan {
  const outputs = [...kept].filter((storage) => !storage.planned).reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    bytes: outputs + slots.sizes.reduce((sum, bytes) => sum + bytes, 0),
    largestBytes: Math.max(
      0,
      ...recording.calls.flatMap(({ tensors }) => tensors.map(({ size }) => size * 4)),
    ),
    calls: recording.calls.length,
  };
}

/** How much memory a step would need, without running it or allocating any for it. */
export function planMemory(step: () => unknown): MemoryPlan {
  const { recording, result } = trace(step);
  const kept = new Set(tensorsIn(result).map(({ storage }) => storage));
  for (const storage of recording.constants) storage.free();
  return planOf(recording, assignSlots(recording, kept).slots, kept);
}

/**
 * Traces a step once, so that running it again costs the host next to nothing: no allocation, no graph.
 *
 * Everything that changes from run to run must live in tensors (written before `run`); numbers are fixed by the trace.
 * The memory of the values inside is shared by lifetime. It belongs to the scope around `record`, if there is one;
 * else it lives as long as the step.
 *
 * ```ts
 * import { add, init, record, tensor } from "./mod.ts";
 *
 * await init({ device: "cpu" });
 * const x = tensor([1]);
 * const step = record(() => add(x, 1));
 * x.write(new Float32Array([41]));
 * step.run();
 * console.log(await step.result.read()); // [42]
 * ```
 */
export function record<T>(step: () => T): RecordedStep<T> {
  const { recording, result } = trace(step);
  const outputs: Tensor[] = tensorsIn(result);
  const kept = new Set(outputs.map(({ storage }) => storage));
  const { slots, slotOf } = assignSlots(recording, kept);
  const plan = planOf(recording, slots, kept);
  const device = recording.calls[0]?.tensors[0]?.storage.device;
  if (!device) throw new Error("Cannot record a step that runs no op");
  if (plan.largestBytes > device.maxRangeBytes) {
    throw new Error(
      `Cannot record the step: its largest value has ${plan.largestBytes} bytes, and a kernel can bind ` +
        `${device.maxRangeBytes} on this device; use a smaller batch`,
    );
  }
  for (const output of outputs) output.detach();
  for (const storage of recording.constants) giveOwner(storage);
  const own = [...kept].filter((storage) => !storage.planned);
  const memory = slots.sizes.map((bytes) => allocateNow(device, bytes / 4));
  for (const storage of own) {
    storage.assign(device.allocate(storage.bytes));
    giveOwner(storage);
  }
  for (const [storage, slot] of slotOf) storage.assign(memory[slot].range(0, 0).buffer);
  const run = device.prepare(recording.calls.map(({ kernel, tensors, dims }) => ({
    kernel,
    dims,
    ranges: tensors.map(({ storage, offset, size }) => storage.range(offset, size)),
  })));
  const outside = recording.calls.flatMap(({ tensors }) => tensors.map(({ storage }) => storage));
  return new Recorded(
    result,
    plan,
    run,
    new Set([...memory, ...own, ...outside.filter((s) => !slotOf.has(s))]),
  );
}
