import { refuse } from "../../core/checks.ts";
import { DeviceError, deviceFailure, yieldToEvents } from "../device.ts";

/** Milliseconds within which platforms report the loss of a device. */
const lossMs = 500;

/** Whether a device still works, and if not, why. */
export class Health {
  #failure: DeviceError | undefined;
  /** Whether the failure is the cause of others, not one of its effects. */
  #isCause = false;
  /** Settles when it is known whether the device was lost, after its first failure. */
  #explained: Promise<void> | undefined;
  #closed = false;

  constructor(readonly device: GPUDevice) {
    device.addEventListener("uncapturederror", (event) => {
      const { error } = event as GPUUncapturedErrorEvent;
      const advice = error instanceof GPUOutOfMemoryError ? "; use a smaller batch or network" : "";
      this.#failure ??= deviceFailure(`WebGPU reports: ${oneLine(error.message)}${advice}`);
      event.preventDefault();
    });
    device.lost.then(({ reason, message }) => {
      const why = `The WebGPU device was lost (${reason}): ${oneLine(message)}`;
      this.#failure = new DeviceError(`${why}; restart, or open a new device with init()`);
      this.#failure.isLost = this.#isCause = true;
    });
  }

  /** Notes why work has failed: WebGPU reports the effects as well. */
  fail(message: string): void {
    if (!this.#isCause) this.#failure = deviceFailure(message);
    this.#isCause = true;
  }

  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
    this.device.destroy();
  }

  checkOpen(): void {
    if (this.#closed) refuse(DeviceError, "use a WebGPU device after close(); init() opens a new one");
  }

  check(): void {
    this.checkOpen();
    if (this.#failure) throw this.#failure;
  }

  /**
   * Checks the device after work was awaited. A loss is reported some time after the errors that it causes, and is more
   * informative.
   *
   * @param hasFailed whether the work failed
   * @throws {DeviceError} as `check`
   */
  async checkLate(hasFailed = false): Promise<void> {
    const isOpen = (hasFailed || this.#failure) && !this.#isCause && !this.#closed;
    if (isOpen) await (this.#explained ??= this.#explanation());
    this.check();
  }

  async #explanation(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    await Promise.race([this.device.lost, new Promise((resolve) => timer = setTimeout(resolve, lossMs))]);
    clearTimeout(timer);
  }
}

/** A message of WebGPU in one line. */
function oneLine(message: string): string {
  return message.trim().replace(/\s*\n\s*/g, " ");
}

/** Buffers up to this size are created readable; zeroing larger ones takes longer than waiting. */
const readyBytes = 1 << 22;

/** Whether `mapAsync` settles only after the next submit, or every 100 ms: Mozilla bug 1870699. */
const isFirefox = /\bFirefox\//.test(globalThis.navigator?.userAgent ?? "");

/**
 * Copies bytes from the device to the host as soon as the queued work is done.
 *
 * In Deno, the data is there 10 milliseconds before the promise of `mapAsync` settles, so the bytes are read right
 * away. If that is too early, as in browsers, reading throws, and the promise is awaited.
 *
 * @param bytes a positive multiple of 4
 * @param copy queues a copy to the given buffer, and submits
 * @param nudges whether to submit empty work until the promise settles
 * @throws what `mapAsync` rejects with, if the device is lost
 */
export async function readBack(
  device: GPUDevice,
  bytes: number,
  copy: (to: GPUBuffer) => void,
  nudges: boolean = isFirefox,
): Promise<ArrayBuffer> {
  const ready = bytes <= readyBytes;
  const { MAP_READ, COPY_DST } = GPUBufferUsage;
  // Deno panics on reading a range of a buffer that was never mapped.
  const buffer = device.createBuffer({ size: bytes, usage: MAP_READ | COPY_DST, mappedAtCreation: ready });
  if (ready) buffer.unmap();
  try {
    copy(buffer);
    const mapped = buffer.mapAsync(GPUMapMode.READ);
    const values = ready ? rangeNow(buffer) : undefined;
    if (!values) {
      let open = nudges;
      mapped.finally(() => open = false).catch(() => {});
      while (open) {
        device.queue.submit([device.createCommandEncoder().finish()]);
        await yieldToEvents();
      }
      await mapped;
      return buffer.getMappedRange().slice(0);
    }
    mapped.catch(() => {}); // not awaited if the bytes are already there
    await yieldToEvents("task"); // device errors arrive as events
    return values;
  } finally {
    buffer.destroy();
  }
}

/** A copy of a buffer's content if it is already mapped. */
function rangeNow(buffer: GPUBuffer): ArrayBuffer | undefined {
  try {
    return buffer.getMappedRange().slice(0);
  } catch {
    return undefined;
  }
}
