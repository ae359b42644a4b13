import { assign } from "../ops/layout.ts";
import {
  type MemoryRange,
  overlap,
  type RecordedCall,
  type Recording,
  type Storage,
} from "../core/memory.ts";
import type { Device, Kernel } from "../devices/device.ts";
import { sumChunks } from "../ops/reduce/reduce.ts";

/**
 * Lets an op write directly to where its result would be copied: `assign(target, f(x))` becomes f writing to target.
 *
 * So collecting gradients in one flat buffer costs no copies. It applies if nothing else reads the value and no call in
 * between touches the target's range.
 */
export function forwardResults(recording: Recording, kept: ReadonlySet<Storage>): void {
  const { calls } = recording;
  const uses = usesOf(calls);
  const moved = new Map<Storage, MemoryRange>();
  const dropped = new Set<number>();
  calls.forEach(({ kernel, tensors: [target, source] }, at) => {
    if (kernel !== assign.kernel || !recording.owns(source.storage) || kept.has(source.storage)) return;
    const [made, copied, ...laterUses] = uses.get(source.storage)!;
    if (copied !== at || laterUses.length > 0 || recording.owns(target.storage)) return;
    if (source.offset !== 0 || source.size !== source.storage.elements) return;
    const touches = (call: RecordedCall) => call.tensors.some((tensor) => overlap(tensor, target));
    const shares = calls[made].tensors.some(({ storage }) => storage === target.storage);
    if (shares || calls.slice(made, at).some(touches)) return;
    moved.set(source.storage, target);
    dropped.add(at);
  });
  recording.calls = calls.filter((_, at) => !dropped.has(at)).map((call) => ({
    ...call,
    tensors: call.tensors.map((tensor) => moved.get(tensor.storage) ?? tensor),
  }));
}

/** For each storage, the calls that use it, in order and without repeats. */
function usesOf(calls: readonly RecordedCall[]): Map<Storage, number[]> {
  const uses = new Map<Storage, number[]>();
  calls.forEach(({ tensors }, at) => {
    for (const storage of new Set(tensors.map(({ storage }) => storage))) {
      const list = uses.get(storage);
      if (list) list.push(at);
      else uses.set(storage, [at]);
    }
  });
  return uses;
}

/** Values with fewer elements are not worth converting. */
const fewest = 1024;

/** Kernels that only sum or copy what they read: terms of a norm, of a loss or of a weight's gradient. */
const sums: ReadonlySet<Kernel> = new Set([sumChunks.kernel, assign.kernel]);

/** The main output of a call; further outputs are statistics, such as the means of a normalisation. */
function resultOf({ kernel, tensors }: RecordedCall): Storage | undefined {
  const at = kernel.ports.findIndex(({ writable, type }) => writable && type === "f32");
  return tensors[at]?.storage;
}

/**
 * Values of a record to keep in f16 to save memory: large results of ops inside the record, that is activations and
 * their gradients. Statistics and values that are only summed stay in f32.
 */
export function halfValues(recording: Recording, kept: ReadonlySet<Storage>): ReadonlySet<Storage> {
  const results = new Set<Storage>();
  const seen = new Set<Storage>();
  const used = new Set<Storage>();
  for (const call of recording.calls) {
    const result = resultOf(call);
    for (const { storage, offset } of call.tensors) {
      if (storage === result && !seen.has(storage)) results.add(storage);
      else if (seen.has(storage) && !sums.has(call.kernel)) used.add(storage);
      if (offset !== 0) results.delete(storage);
      seen.add(storage);
    }
  }
  return new Set(
    [...results].filter((value) =>
      used.has(value) && recording.owns(value) && !kept.has(value) && value.elements >= fewest
    ),
  );
}

/** The memory that a recorded step needs, known before it runs. */
export interface MemoryPlan {
  /** Memory for all values of the step, in bytes. */
  readonly bytes: number;
  /** Size of the largest value, in bytes: a device cannot bind more than its `maxRangeBytes`. */
  readonly largestBytes: number;
  /** Scratch memory of the running ops, in bytes; all steps on a device share it. */
  readonly workspaceBytes: number;
  /** Number of ops in the step. */
  readonly calls: number;
}

/** Reusable buffers by size: `take` gives the smallest free one that fits. */
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

/** Bytes of a value in f32 or f16, in whole words. */
function bytesOf(elements: number, half: boolean): number {
  return Math.max(half ? Math.ceil(elements / 2) : elements, 1) * 4;
}

/** Gives each value of a record a slot; values whose lifetimes do not overlap share one. */
export function assignSlots(
  recording: Recording,
  kept: ReadonlySet<Storage>,
  half: ReadonlySet<Storage>,
): { slots: Slots; slotOf: Map<Storage, number> } {
  const { first, last } = lifetimesOf(recording, kept);
  const slots = new Slots();
  const slotOf = new Map<Storage, number>();
  recording.calls.forEach((_, i) => {
    for (const storage of first.get(i) ?? []) {
      slotOf.set(storage, slots.take(bytesOf(storage.elements, half.has(storage))));
    }
    for (const storage of last.get(i) ?? []) slots.give(slotOf.get(storage)!);
  });
  return { slots, slotOf };
}

/** Values whose lifetime begins, and those whose lifetime ends, at each call; values in `kept` outlive the record. */
function lifetimesOf(recording: Recording, kept: ReadonlySet<Storage>) {
  const spans = new Map<Storage, { first: number; last: number }>();
  recording.calls.forEach(({ tensors }, i) => {
    for (const { storage } of tensors) {
      if (!recording.owns(storage) || kept.has(storage)) continue;
      const span = spans.get(storage);
      if (span) span.last = i;
      else spans.set(storage, { first: i, last: i });
    }
  });
  const at = (end: "first" | "last") => {
    const groups = new Map<number, Storage[]>();
    for (const [storage, { [end]: i }] of spans) groups.set(i, [...groups.get(i) ?? [], storage]);
    return groups;
  };
  return { first: at("first"), last: at("last") };
}

/** The memory that a record needs on a device, given the slots of its values. */
export function planOf(
  device: Device,
  recording: Recording,
  slots: Slots,
  kept: ReadonlySet<Storage>,
  half: ReadonlySet<Storage>,
): MemoryPlan {
  const outputs = [...kept].filter((storage) => !storage.planned).reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    bytes: outputs + slots.sizes.reduce((sum, bytes) => sum + bytes, 0),
    largestBytes: Math.max(
      0,
      ...recording.calls.flatMap(({ tensors }) =>
        tensors.map(({ size, storage }) => bytesOf(size, half.has(storage)))
      ),
    ),
    workspaceBytes: device.workspaceBytes?.(recording.calls) ?? 0,
    calls: recording.calls.length,
  };
}

/** Ranges that calls write in memory visible outside the record; neighbours are merged. */
export function writtenRanges(
  calls: readonly RecordedCall[],
  visible: (storage: Storage) => boolean,
): readonly MemoryRange[] {
  const spans = new Map<Storage, [number, number][]>();
  for (const { kernel, tensors } of calls) {
    tensors.forEach(({ storage, offset, size }, i) => {
      if (!kernel.ports[i].writable || !visible(storage)) return;
      const list = spans.get(storage);
      if (list) list.push([offset, offset + size]);
      else spans.set(storage, [[offset, offset + size]]);
    });
  }
  return [...spans].flatMap(([storage, list]) =>
    joined(list).map(([start, end]) => ({ storage, offset: start, size: end - start }))
  );
}

/** Sorted intervals; those that overlap or touch are merged. */
function joined(intervals: readonly [number, number][]): [number, number][] {
  const result: [number, number][] = [];
  for (const [start, end] of [...intervals].sort(([a], [b]) => a - b)) {
    const last = result.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else result.push([start, end]);
  }
  return result;
}
