import { type BufferRange, type DeviceBuffer, DeviceError, type KernelCall } from "./device.ts";

/** A range without values, and why. */
interface Mark {
  readonly start: number;
  readonly end: number;
  readonly error: DeviceError;
}

/** Parts of memory that hold no values, because the op that should have computed them failed. */
export class FailedValues {
  readonly #marks = new Map<DeviceBuffer, readonly Mark[]>();

  /** Whether no memory is marked: the usual case, in which nothing else needs to be called. */
  get none(): boolean {
    return this.#marks.size === 0;
  }

  /** Why a range lacks values, if it does. */
  find({ buffer, offset, length }: BufferRange): DeviceError | undefined {
    const marks = this.#marks.get(buffer);
    return marks?.find(({ start, end }) => start < offset + length && offset < end)?.error;
  }

  /** The first buffer that a call reads and that lacks values, by name, and why. */
  missing(
    { kernel, ranges }: KernelCall,
  ): { readonly port: string; readonly error: DeviceError } | undefined {
    for (const [i, { name, reads }] of kernel.ports.entries()) {
      const error = reads && this.find(ranges[i]);
      if (error) return { port: name, error };
    }
  }

  /** Checks that all that a call reads has values. @throws {DeviceError} naming the buffer and the op that failed */
  check(call: KernelCall): void {
    const found = this.missing(call);
    if (!found) return;
    throw new DeviceError(
      `Cannot run ${call.kernel.name}: ${found.port} has no values: ${found.error.message}`,
      { cause: found.error },
    );
  }

  /** Notes that calls ran in order: what read missing values lacks them, too, and the rest has values now. */
  ran(calls: readonly KernelCall[]): void {
    for (const call of calls) {
      const lacking = this.missing(call);
      if (lacking) this.failed([call], lacking.error);
      else for (const range of writtenBy(call)) this.written(range);
    }
  }

  /** Notes that calls failed, so that what they write lacks values. */
  failed(calls: readonly KernelCall[], error: DeviceError): void {
    for (const range of calls.flatMap(writtenBy)) {
      this.written(range); // marks do not overlap
      const { buffer, offset, length } = range;
      if (length === 0) continue;
      const mark = { start: offset, end: offset + length, error };
      this.#marks.set(buffer, [...this.#marks.get(buffer) ?? [], mark]);
    }
  }

  /** Notes that a range was overwritten with values. */
  written({ buffer, offset, length }: BufferRange): void {
    const marks = this.#marks.get(buffer);
    if (!marks) return;
    const left = marks.flatMap((mark) =>
      [
        { ...mark, end: Math.min(mark.end, offset) },
        { ...mark, start: Math.max(mark.start, offset + length) },
      ].filter(({ start, end }) => start < end)
    );
    if (left.length > 0) this.#marks.set(buffer, left);
    else this.#marks.delete(buffer);
  }

  /** Forgets a buffer that is reused. */
  forget(buffer: DeviceBuffer): void {
    this.#marks.delete(buffer);
  }
}

/** The error of reading what lacks values. */
export function unreadable(cause: DeviceError): DeviceError {
  return new DeviceError(`Cannot read a tensor without values: ${cause.message}`, { cause });
}

/** A thrown value as the reason for missing values. */
export function asDeviceError(cause: unknown): DeviceError {
  if (cause instanceof DeviceError) return cause;
  return new DeviceError(cause instanceof Error ? cause.message : String(cause), { cause });
}

function writtenBy({ kernel, ranges }: KernelCall): readonly BufferRange[] {
  return ranges.filter((_, i) => kernel.ports[i].writable);
}

/**
 * Which memory lacks values because a kernel failed. WebGPU reports later whether a kernel is valid; until then, what
 * happens to memory is queued.
 */
export class Outcomes {
  readonly values = new FailedValues();
  #open = 0;
  #events: (() => void)[] = [];

  /** Whether all outcomes are known and good: the usual case, in which there is nothing to note. */
  get clear(): boolean {
    return this.#open === 0 && this.values.none;
  }

  /** Whether the outcome of all kernels is known. */
  get known(): boolean {
    return this.#open === 0;
  }

  /** Holds later events back until the device has reported on a kernel. */
  wait(verdict: Promise<void>): void {
    this.#open++;
    verdict.finally(() => {
      if (--this.#open === 0) { for (const event of this.#events.splice(0)) event(); }
    });
  }

  /** Runs an event once all earlier outcomes are known, at once if they are. */
  then(event: () => void): void {
    if (this.known) event();
    else this.#events.push(event);
  }

  /** Why a range lacks values after all earlier events, if it does. */
  lost(range: BufferRange): Promise<DeviceError | undefined> {
    return new Promise((resolve) => this.then(() => resolve(this.values.find(range))));
  }

  /** Notes calls that were queued together; `failure` gives, once known, the reason why none of them ran. */
  ran(calls: readonly KernelCall[], failure: () => DeviceError | undefined): void {
    this.then(() => {
      const error = failure();
      if (error) this.values.failed(calls, error);
      else this.values.ran(calls);
    });
  }
}
