import type { CompileProgress, Device, KernelCall } from "./devices/device.ts";
import { forwardResults } from "./forwarding.ts";
import { assignSlots, type MemoryPlan, planOf } from "./memory_plan.ts";
import { trace } from "./recording.ts";
import { tensorsIn } from "./scope.ts";
import { allocateNow, giveOwner, type Storage } from "./storage.ts";
import type { Tensor } from "./tensor.ts";

/** A step traced once, to be run many times. */
export interface RecordedStep<T> {
  /** What the function returned; its tensors hold the values of the latest run. */
  readonly result: T;
  readonly plan: MemoryPlan;
  /**
   * Compiles the step's kernels ahead, so that the first run need not wait for them; it would compile them too.
   *
   * @param progress hears how many of those not compiled before are done
   */
  compile(progress?: CompileProgress): Promise<void>;
  /** Queues the whole step. */
  run(): void;
}

/** How much memory a step would need, without running it or allocating any for it. */
export function planMemory(step: () => unknown): MemoryPlan {
  const { recording, result } = trace(step);
  const kept = new Set(tensorsIn(result).map(({ storage }) => storage));
  for (const storage of recording.constants) storage.free();
  forwardResults(recording, kept);
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
  forwardResults(recording, kept);
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
  // Values inside get no storage of their own, so that using one outside the step stays an error.
  const memoryOf = (storage: Storage) => slotOf.has(storage) ? memory[slotOf.get(storage)!] : storage;
  const calls = recording.calls.map(({ kernel, tensors, dims }) => ({
    kernel,
    dims,
    ranges: tensors.map(({ storage, offset, size }) => memoryOf(storage).range(offset, size)),
  }));
  const used = recording.calls.flatMap(({ tensors }) => tensors.map(({ storage }) => memoryOf(storage)));
  return recordedStep(device, calls, result, plan, new Set([...used, ...own]));
}

/** A step that holds on to all memory that it reads and writes for as long as it can be run. */
function recordedStep<T>(
  device: Device,
  calls: readonly KernelCall[],
  result: T,
  plan: MemoryPlan,
  memory: ReadonlySet<Storage>,
): RecordedStep<T> {
  const replay = device.prepare(calls);
  const check = () => {
    for (const storage of memory) storage.check();
  };
  return {
    result,
    plan,
    async compile(progress = () => {}) {
      check();
      await device.compile?.(calls, progress);
    },
    run() {
      check();
      replay();
    },
  };
}
