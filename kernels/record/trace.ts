import { context } from "../core/context.ts";
import type { Device, Dims, Kernel } from "../devices/device.ts";
import { Storage } from "../core/storage.ts";
import { Writes } from "../core/writes.ts";

/** One op of a record, on memory that may not be planned yet. */
export interface RecordedCall {
  readonly kernel: Kernel;
  readonly tensors: readonly { readonly storage: Storage; readonly offset: number; readonly size: number }[];
  readonly dims: Dims;
}

/** A step being traced: the list of its ops, none of which has run. */
export class Recording {
  calls: RecordedCall[] = [];
  /** Memory that exists already and lives as long as the record, such as that of tensors made from host values. */
  readonly memory: Storage[] = [];
  /** Called before each of its runs. */
  readonly beforeRuns: (() => void)[] = [];
  /** What its ops overwrite. Nothing has run yet, so the storages know of no such write. */
  readonly writes = new Map<Storage, Writes>();
  readonly #values = new Set<Storage>();

  allocate(device: Device, elements: number): Storage {
    const storage = new Storage(device, elements);
    this.#values.add(storage);
    return storage;
  }

  add(call: RecordedCall): void {
    this.calls.push(call);
  }

  /** Notes that an op overwrites a range. */
  noteWrite(storage: Storage, offset: number, length: number, by: string): void {
    const writes = this.writes.get(storage) ?? new Writes();
    writes.add(offset, length, by);
    this.writes.set(storage, writes);
  }

  /** Frees its memory, when nothing will run the record. */
  free(): void {
    for (const storage of this.memory) storage.free();
  }

  /** Whether memory belongs to a value inside the record, not to a tensor from outside. */
  owns(storage: Storage): boolean {
    return this.#values.has(storage);
  }

  /** The values whose life begins, and those whose life ends, at each call; values in `kept` outlive the record. */
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

/** Calls back before each run of the step that is being traced; outside of one, at once. */
export function whenRun(callback: () => void): void {
  if (context.recording) context.recording.beforeRuns.push(callback);
  else callback();
}

/** Traces a step; if that fails, frees the memory that the record owns. @throws {TypeError} if it is asynchronous */
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
  } catch (error) {
    recording.free();
    throw error;
  } finally {
    context.recording = undefined;
  }
}
