import type { BufferRange, DeviceError, KernelCall } from "../device.ts";
import { FailedValues } from "../failed_values.ts";

/**
 * Which memory lacks values because a kernel failed. WebGPU tells later whether a kernel is valid, so what happens to
 * memory until then is kept in order, and judged when it is known.
 */
export class Outcomes {
  readonly values = new FailedValues();
  #open = 0;
  #events: (() => void)[] = [];

  /** Whether nothing is open and nothing lacks values, so that there is nothing to note. */
  get clear(): boolean {
    return this.#open === 0 && this.values.none;
  }

  /** Whether it is known which memory lacks values. */
  get known(): boolean {
    return this.#open === 0;
  }

  /** Waits for what the device says of a kernel before later events are judged. */
  wait(verdict: Promise<void>): void {
    this.#open++;
    verdict.finally(() => {
      if (--this.#open === 0) { for (const event of this.#events.splice(0)) event(); }
    });
  }

  /** Runs an event when the outcome of all earlier ones is known: at once if it is. */
  then(event: () => void): void {
    if (this.known) event();
    else this.#events.push(event);
  }

  /** Why a range lacks values after all earlier events, if it does. */
  lost(range: BufferRange): Promise<DeviceError | undefined> {
    return new Promise((resolve) => this.then(() => resolve(this.values.find(range))));
  }

  /** Notes calls that were queued together: `failure` tells, once it is known, why none of them ran, if none did. */
  ran(calls: readonly KernelCall[], failure: () => DeviceError | undefined): void {
    this.then(() => {
      const error = failure();
      if (error) this.values.failed(calls, error);
      else this.values.ran(calls);
    });
  }
}
