import { context } from "../core/context.ts";
import type { Device, Dims, Kernel } from "../devices/device.ts";
import { Storage } from "../core/storage.ts";

/** One op of a record, on memory that may not exist yet. */
export interface RecordedCall {
  readonly kernel: Kernel;
  readonly tensors: readonly { readonly storage: Storage; readonly offset: number; readonly size: number }[];
  readonly dims: Dims;
}

/** A step while it is traced: the list of its ops, none of them run. */
export class Recording {
  calls: RecordedCall[] = [];
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

  /** Whether memory belongs to a value inside the record, and not to a tensor from outside. */
  owns(storage: Storage): boolean {
    return this.#values.has(storage);
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

/** Traces a step. @throws {TypeError} if it is asynchronous */
export function trace<T>(step: () => T): { recording: Recording; result: T } {
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
