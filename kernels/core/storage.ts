import { context } from "./context.ts";
import type { BufferRange, Device, DeviceBuffer } from "../devices/device.ts";

/** Returns the memory of tensors made outside any scope once the garbage collector finds them unused. */
const collected = new FinalizationRegistry<{ device: Device; buffer: DeviceBuffer }>(({ device, buffer }) =>
  device.release(buffer)
);

/** Memory behind one or more tensors. In a recording it has no buffer until the whole record is planned. */
export class Storage {
  #buffer: DeviceBuffer | undefined;
  #freed = false;

  /** Memory for `elements` of 4 bytes; without a buffer it is to be planned. */
  constructor(readonly device: Device, readonly elements: number, buffer?: DeviceBuffer) {
    this.#buffer = buffer;
  }

  /** Its size; an empty tensor has memory for one element, too. */
  get bytes(): number {
    return Math.max(this.elements, 1) * 4;
  }

  /** Whether memory is assigned: not so for a value inside a recorded step that is still being traced. */
  get planned(): boolean {
    return this.#buffer !== undefined;
  }

  /** Sees to it that there is memory. @throws {Error} if it was given back */
  check(): void {
    if (this.#freed) {
      throw new Error("Cannot use a tensor after its scope has ended: return it from the scope to keep it");
    }
  }

  /** A part of it. @throws {Error} if the memory was given back, or lies inside a recorded step */
  range(offset: number, length: number): BufferRange {
    this.check();
    if (!this.#buffer) {
      throw new Error("Cannot use a value of a recorded step outside it: return it from the step");
    }
    return { buffer: this.#buffer, offset, length };
  }

  /** Gives it the memory that was planned for it. */
  assign(buffer: DeviceBuffer): void {
    this.#buffer = buffer;
  }

  /** Gives the memory back at once. */
  free(): void {
    if (this.#buffer && !this.#freed) this.device.release(this.#buffer);
    collected.unregister(this);
    this.#freed = true;
  }

  /** Leaves the memory to the garbage collector. */
  leaveToCollector(): void {
    if (this.#buffer && !this.#freed) {
      collected.register(this, { device: this.device, buffer: this.#buffer }, this);
    }
  }
}

/** Memory for a value: planned later inside a recording, owned by the innermost scope, else by the garbage collector. */
export function allocate(device: Device, elements: number): Storage {
  return context.recording ? context.recording.allocate(device, elements) : allocateNow(device, elements);
}

/** Memory that exists at once, also inside a recording. */
export function allocateNow(device: Device, elements: number): Storage {
  const bytes = Math.max(elements, 1) * 4;
  const storage = new Storage(device, elements, device.allocate(bytes));
  giveOwner(storage);
  return storage;
}

/** Says who frees new memory: the step being recorded, else the innermost scope, else the garbage collector. */
export function giveOwner(storage: Storage): void {
  if (context.recording) context.recording.constants.push(storage);
  else if (context.scope) context.scope.add(storage);
  else storage.leaveToCollector();
}
