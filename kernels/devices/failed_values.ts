import { type BufferRange, type DeviceBuffer, DeviceError, type KernelCall } from "./device.ts";

/** A range without values, and the reason. */
interface Mark {
  readonly start: number;
  readonly end: number;
  readonly error: DeviceError;
}

/** Ranges of memory without values, because the op that should have computed them failed. */
export class FailedValues {
  readonly #marks = new Map<DeviceBuffer, readonly Mark[]>();

  /** Whether nothing is marked: the usual case, in which no other method needs to be called. */
  get none(): boolean {
    return this.#marks.size === 0;
  }

  /** The reason why a range lacks values, if it does. */
  find({ buffer, offset, length }: BufferRange): DeviceError | undefined {
    const marks = this.#marks.get(buffer);
    return marks?.find(({ start, end }) => start < offset + length && offset < end)?.error;
  }

  /** The first input buffer of a call that lacks values, by name, and the reason. */
  missing(
    { kernel, ranges }: KernelCall,
  ): { readonly port: string; readonly error: DeviceError } | undefined {
    for (const [i, { name, reads }] of kernel.ports.entries()) {
      const error = reads && this.find(ranges[i]);
      if (error) return { port: name, error };
    }
  }

  /** Checks that all inputs of a call have values. @throws {DeviceError} naming the buffer and the op that failed */
  check(call: KernelCall): void {
    const failure = this.missing(call);
    if (!failure) return;
    throw new DeviceError(
      `Cannot run ${call.kernel.name}: ${failure.port} has no values: ${failure.error.message}`,
      { cause: failure.error },
    );
  }

  /** Notes that calls ran in order: outputs of calls with missing inputs lack values, others now have them. */
  ran(calls: readonly KernelCall[]): void {
    for (const call of calls) {
      const lacking = this.missing(call);
      if (lacking) this.failed([call], lacking.error);
      else for (const range of writtenBy(call)) this.written(range);
    }
  }

  /** Notes that calls failed: their outputs lack values. */
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
    const remaining = marks.flatMap((mark) =>
      [
        { ...mark, end: Math.min(mark.end, offset) },
        { ...mark, start: Math.max(mark.start, offset + length) },
      ].filter(({ start, end }) => start < end)
    );
    if (remaining.length > 0) this.#marks.set(buffer, remaining);
    else this.#marks.delete(buffer);
  }

  /** Forgets a buffer that is reused. */
  forget(buffer: DeviceBuffer): void {
    this.#marks.delete(buffer);
  }
}

/** The error of reading missing values. */
export function unreadable(cause: DeviceError): DeviceError {
  return new DeviceError(`Cannot read a tensor without values: ${cause.message}`, { cause });
}

/** Converts a thrown value to the reason for missing values. */
export function asDeviceError(cause: unknown): DeviceError {
  if (cause instanceof DeviceError) return cause;
  return new DeviceError(cause instanceof Error ? cause.message : String(cause), { cause });
}

function writtenBy({ kernel, ranges }: KernelCall): readonly BufferRange[] {
  return ranges.filter((_, i) => kernel.ports[i].writable);
}

/**
 * Tracks memory without values after kernel failures. WebGPU reports late whether a kernel is valid; until then, events
 * are queued.
 */
export class Outcomes {
  readonly values = new FailedValues();
  #open = 0;
  #events: (() => void)[] = [];

  /** Whether all outcomes are known and good: the usual case, in which there is nothing to note. */
  get clear(): boolean {
    return this.#open === 0 && this.values.none;
  }

  /** Whether all outcomes are known. */
  get known(): boolean {
    return this.#open === 0;
  }

  /** Queues later events until the device has reported on a kernel. */
  wait(verdict: Promise<void>): void {
    this.#open++;
    verdict.finally(() => {
      if (--this.#open === 0) { for (const event of this.#events.splice(0)) event(); }
    });
  }

  /** Runs an event once all earlier outcomes are known; immediately if they are. */
  then(event: () => void): void {
    if (this.known) event();
    else this.#events.push(event);
  }

  /** The reason why a range lacks values after all earlier events, if it does. */
  lost(range: BufferRange): Promise<DeviceError | undefined> {
    return new Promise((resolve) => this.then(() => resolve(this.values.find(range))));
  }

  /** Notes calls that were queued together. Later, `failure` gives the reason if none of them ran. */
  ran(calls: readonly KernelCall[], failure: () => DeviceError | undefined): void {
    this.then(() => {
      const error = failure();
      if (error) this.values.failed(calls, error);
      else this.values.ran(calls);
    });
  }
}
