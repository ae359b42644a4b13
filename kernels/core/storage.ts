import { context } from "./context.ts";
import type { BufferRange, Device, DeviceBuffer } from "../devices/device.ts";
import { Writes } from "./writes.ts";

/** Frees the memory of tensors made outside any scope once they are garbage. */
const collected = new FinalizationRegistry<{ device: Device; buffer: DeviceBuffer }>(({ device, buffer }) =>
  device.release(buffer)
);

/** Memory behind one or more tensors. In a recording it has no buffer until the whole record is planned. */
export class Storage {
  #buffer: DeviceBuffer | undefined;
  #freed: string | undefined;
  #writes: Writes | undefined;

  /** Memory for `elements` of 4 bytes; without a buffer, it is planned later. */
  constructor(readonly device: Device, readonly elements: number, buffer?: DeviceBuffer) {
    this.#buffer = buffer;
  }

  /** Its size; even an empty tensor has memory for one element. */
  get bytes(): number {
    return Math.max(this.elements, 1) * 4;
  }

  /** Whether memory is assigned: not yet for a value of a step that is still being traced. */
  get planned(): boolean {
    return this.#buffer !== undefined;
  }

  /** Checks that it can be used. @throws {Error} if the memory was freed */
  check(): void {
    if (this.#freed !== undefined) throw new Error(this.#freed);
  }

  /** A part of it. @throws {Error} if the memory was freed, or belongs to a recorded step */
  range(offset: number, length: number): BufferRange {
    this.check();
    if (!this.#buffer) {
      throw new Error("Cannot use a value of a recorded step outside it: return it from the step");
    }
    return { buffer: this.#buffer, offset, length };
  }

  /** Assigns the memory that was planned for it. */
  assign(buffer: DeviceBuffer): void {
    this.#buffer = buffer;
  }

  /** Notes that a range was overwritten: gradients that need its old values are refused. */
  noteWrite(offset: number, length: number, by: string): void {
    (this.#writes ??= new Writes()).add(offset, length, by);
  }

  /**
   * What has overwritten any part of a range after the event `since`, if anything did; ops of a step being traced
   * count.
   */
  overwritten(offset: number, length: number, since: number): string | undefined {
    return this.#writes?.find(offset, length, since) ??
      context.recording?.writes.get(this)?.find(offset, length, since);
  }

  /** Frees the memory at once. @param why it cannot be used any more: the error of whoever tries */
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
  if (!context.recording) return allocateNow(device, elements);
  const storage = context.recording.allocate(device, elements);
  context.scope?.addPlanned(storage);
  return storage;
}

/** Memory that exists at once, even inside a recording. */
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
  if (context.recording) context.recording.memory.push(storage);
  else if (context.scope) context.scope.add(storage);
  else storage.leaveToCollector();
}
