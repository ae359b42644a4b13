import { refuse } from "./checks.ts";
import type { BufferRange, Device, DeviceBuffer, Dims, Kernel } from "../devices/device.ts";

/** Owners of new memory: the innermost scope, and the step being traced. */
export const owners: { scope: Scope | undefined; recording: Recording | undefined } = {
  scope: undefined,
  recording: undefined,
};

/** Settles once all values that `peek` was called for are shown; rejects with what a user's function threw. */
export const peeks: { shown: Promise<void> | undefined } = { shown: undefined };

let order = 0;

/** The next event number; running an op and writing to memory are events. */
export function nextOrder(): number {
  return order++;
}

/** Overwritten ranges of one memory, each with its latest write: when, and by what. */
class Writes {
  readonly #ranges = new Map<string, { start: number; end: number; by: string; order: number }>();
  #latest = -1;

  /** Notes that `length` elements from `start` were overwritten. */
  add(start: number, length: number, by: string): void {
    this.#latest = nextOrder();
    this.#ranges.set(`${start}+${length}`, { start, end: start + length, by, order: this.#latest });
  }

  /** What wrote to any of `length` elements from `start` after the event `since`, if anything. */
  find(start: number, length: number, since: number): string | undefined {
    if (this.#latest <= since) return undefined;
    for (const write of this.#ranges.values()) {
      if (write.order > since && write.start < start + length && start < write.end) return write.by;
    }
    return undefined;
  }
}

/** Frees the memory of tensors made outside any scope when they are garbage collected. */
const collected = new FinalizationRegistry<{ device: Device; buffer: DeviceBuffer }>(({ device, buffer }) =>
  device.release(buffer)
);

/** Memory behind one or more tensors. While a step is traced, its values have no buffer; the plan assigns one. */
export class Storage {
  #buffer: DeviceBuffer | undefined;
  #freed: string | undefined;
  #writes: Writes | undefined;

  /** Memory for `elements` of 4 bytes; without a buffer, it is planned later. */
  constructor(
    readonly device: Device,
    readonly elements: number,
    buffer?: DeviceBuffer,
    /** Whether it never gets memory: ops on symbolic values do not run, and only keep their history. See `jvp`. */
    readonly isSymbolic: boolean = false,
  ) {
    this.#buffer = buffer;
  }

  /** Memory for values that are never computed. */
  static symbolic(device: Device, elements: number): Storage {
    return new Storage(device, elements, undefined, true);
  }

  /** Size in bytes; even an empty tensor has memory for one element. */
  get bytes(): number {
    return Math.max(this.elements, 1) * 4;
  }

  /** Whether memory is assigned; false for values of a step that is still being traced. */
  get planned(): boolean {
    return this.#buffer !== undefined;
  }

  /** Checks that the memory was not freed. */
  check(): void {
    if (this.#freed !== undefined) throw new Error(this.#freed);
  }

  /** A range of its buffer. */
  range(offset: number, length: number): BufferRange {
    this.check();
    if (!this.#buffer) refuse(Error, "use a value of a recorded step outside it: return it from the step");
    return { buffer: this.#buffer, offset, length };
  }

  /** Assigns the planned memory. */
  assign(buffer: DeviceBuffer): void {
    this.#buffer = buffer;
  }

  /** Notes that a range was overwritten: gradients that need its old values are refused. */
  noteWrite(offset: number, length: number, by: string): void {
    (this.#writes ??= new Writes()).add(offset, length, by);
  }

  /** What overwrote part of a range after the event `since`, if anything; the step being traced counts. */
  overwritten(offset: number, length: number, since: number): string | undefined {
    return this.#writes?.find(offset, length, since) ??
      owners.recording?.writes.get(this)?.find(offset, length, since);
  }

  /** Frees the memory immediately. @param why message of the error if it is used again */
  free(why = "Cannot use a tensor after its scope has ended: return it from the scope to keep it"): void {
    if (this.#buffer && this.#freed === undefined) this.device.release(this.#buffer);
    collected.unregister(this);
    this.#freed ??= why;
  }

  /** Leaves the memory to the garbage collector. */
  leaveToCollector(): void {
    if (this.#buffer && this.#freed === undefined) {
      collected.register(this, { device: this.device, buffer: this.#buffer }, this);
    }
  }
}

/** Memory for a value: planned later inside a recording, else owned by the innermost scope or the garbage collector. */
export function allocate(device: Device, elements: number): Storage {
  if (!owners.recording) return allocateNow(device, elements);
  const storage = owners.recording.allocate(device, elements);
  owners.scope?.addPlanned(storage);
  return storage;
}

/** Allocates memory right away, even while a step is traced. */
export function allocateNow(device: Device, elements: number): Storage {
  const bytes = Math.max(elements, 1) * 4;
  const storage = new Storage(device, elements, device.allocate(bytes));
  giveOwner(storage);
  return storage;
}

/**
 * Gives new memory an owner that frees it: the step being recorded, else the innermost scope, else the garbage
 * collector.
 */
export function giveOwner(storage: Storage): void {
  if (owners.recording) owners.recording.memory.push(storage);
  else if (owners.scope) owners.scope.add(storage);
  else storage.leaveToCollector();
}

/** Memory that was allocated while a function ran. */
export class Scope {
  readonly #storages = new Set<Storage>();
  /** Values of a step being recorded, whose memory belongs to the record. */
  readonly #planned = new WeakSet<Storage>();

  constructor(readonly outer: Scope | undefined) {}

  add(storage: Storage): void {
    this.#storages.add(storage);
  }

  addPlanned(storage: Storage): void {
    this.#planned.add(storage);
  }

  /** Frees all but `kept`. Kept memory of this scope passes to the outer one, and its tensors lose their history. */
  end(kept: readonly { readonly storage: Storage; detach(): void }[]): void {
    for (const tensor of kept) {
      if (this.#planned.has(tensor.storage)) {
        tensor.detach();
        this.outer?.addPlanned(tensor.storage);
      } else if (this.#storages.has(tensor.storage)) tensor.detach();
    }
    for (const { storage } of kept) {
      if (!this.#storages.delete(storage)) continue;
      if (this.outer) this.outer.add(storage);
      else storage.leaveToCollector();
    }
    for (const storage of this.#storages) storage.free();
  }
}

/** A part of a memory, such as that of a tensor: `size` elements from `offset`. */
export interface MemoryRange {
  readonly storage: Storage;
  readonly offset: number;
  readonly size: number;
}

/** One op of a record, on memory that may not be planned yet. */
export interface RecordedCall {
  readonly kernel: Kernel;
  readonly tensors: readonly MemoryRange[];
  readonly dims: Dims;
}

/** A step being traced: the list of its ops, none of which has run. */
export class Recording {
  calls: RecordedCall[] = [];
  /** Allocated memory that lives as long as the record, such as that of tensors made from host values. */
  readonly memory: Storage[] = [];
  /** Called before each run of the step. */
  readonly beforeRuns: (() => void)[] = [];
  /** Values to peek at, which stay readable, and the functions that read them after each run. */
  readonly peeks: { readonly x: { readonly storage: Storage }; readonly afterRun: () => void }[] = [];
  /** Writes of its ops. They have not run yet, so the storages do not know them. */
  readonly writes = new Map<Storage, Writes>();
  readonly #values = new Set<Storage>();

  allocate(device: Device, elements: number): Storage {
    const storage = new Storage(device, elements);
    this.#values.add(storage);
    return storage;
  }

  /** Notes that an op overwrites a range. */
  noteWrite(storage: Storage, offset: number, length: number, by: string): void {
    const writes = this.writes.get(storage) ?? new Writes();
    writes.add(offset, length, by);
    this.writes.set(storage, writes);
  }

  /** Frees its memory if the step will never run. */
  free(): void {
    for (const storage of this.memory) storage.free();
  }

  /** Whether memory belongs to a value inside the record, not to a tensor from outside. */
  owns(storage: Storage): boolean {
    return this.#values.has(storage);
  }
}

/** Whether two parts of memory have an element in common. */
export function overlap(a: MemoryRange, b: MemoryRange): boolean {
  return a.storage === b.storage && a.offset < b.offset + b.size && b.offset < a.offset + a.size;
}
