import { type CompileProgress, type Device, DeviceError, type KernelCall } from "../devices/device.ts";
import { forwardResults } from "./forwarding.ts";
import { halfValues } from "./half_values.ts";
import { assignSlots, type MemoryPlan, planOf } from "./memory_plan.ts";
import { trace } from "./trace.ts";
import { tensorsIn } from "../core/scope.ts";
import { allocateNow, giveOwner, type Storage } from "../core/storage.ts";

/** A step traced once, to be run many times. */
export interface RecordedStep<T> {
  /** What the function returned; its tensors hold the values of the latest run. */
  readonly result: T;
  /** Memory that the step needs. */
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

/** How a step is recorded. */
export interface RecordOptions {
  /**
   * How the large values inside the step are kept, `f32` by default. In `f16` they take half the memory, to three digits
   * and from 6e-8 to 65504; the arithmetic, and all that goes in and out, stays in f32.
   */
  readonly precision?: "f32" | "f16";
}

/** A step's ops, and which values share which memory. */
function laidOut<T>(step: () => T, { precision = "f32" }: RecordOptions) {
  const { recording, result } = trace(step);
  const device = recording.calls[0]?.tensors[0]?.storage.device;
  if (!device) throw new Error("Cannot record a step that runs no op");
  if (precision === "f16" && !device.halfStorage) {
    throw new DeviceError(
      `Cannot keep values in f16 on ${device.description}: it has no shader-f16 (expected precision f32)`,
    );
  }
  const outputs = tensorsIn(result);
  const kept = new Set(outputs.map(({ storage }) => storage));
  forwardResults(recording, kept);
  const half = precision === "f16" ? halfValues(recording, kept) : new Set<Storage>();
  const { slots, slotOf } = assignSlots(recording, kept, half);
  return {
    recording,
    result,
    device,
    outputs,
    kept,
    half,
    slots,
    slotOf,
    plan: planOf(recording, slots, kept, half),
  };
}

/**
 * How much memory a step would need, without running it or allocating any for it.
 *
 * @throws {DeviceError} if values cannot be kept in the precision wanted
 */
export function planMemory(step: () => unknown, options: RecordOptions = {}): MemoryPlan {
  const { recording, plan } = laidOut(step, options);
  for (const storage of recording.constants) storage.free();
  return plan;
}

/**
 * Traces a step once, so that running it again costs the host next to nothing: no allocation, no graph.
 *
 * Everything that changes from run to run must live in tensors (written before `run`); numbers are fixed by the trace.
 * The memory of the values inside is shared by lifetime. It belongs to the scope around `record`, if there is one;
 * else it lives as long as the step.
 *
 * @throws {DeviceError} if values cannot be kept in the precision wanted
 *
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
 */
export function record<T>(step: () => T, options: RecordOptions = {}): RecordedStep<T> {
  const { recording, result, device, outputs, kept, half, slots, slotOf, plan } = laidOut(step, options);
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
    ranges: tensors.map(({ storage, offset, size }) =>
      memoryOf(storage).range(offset, half.has(storage) ? Math.ceil(size / 2) : size)
    ),
    half: kernel.ports.flatMap(({ name }, i) => half.has(tensors[i].storage) ? [name] : []),
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
