import type { Device } from "../devices/device.ts";
import type { Recording } from "./trace.ts";
import type { Storage } from "../core/storage.ts";

/**
 * The memory that a recorded step needs, known before it runs. Scratch memory within ops, which a device keeps once for
 * all steps, is not counted.
 */
export interface MemoryPlan {
  /** Memory for all values of the step, in bytes. */
  readonly bytes: number;
  /** Size of the largest value, in bytes: a device cannot bind more than its `maxRangeBytes`. */
  readonly largestBytes: number;
  /** Memory that ops use besides, while they run; all steps on a device share it. */
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
  const { first, last } = recording.lifetimes(kept);
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
