import { refuse } from "../../core/checks.ts";
import { DeviceError, deviceFailure } from "../device.ts";

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
export function oneLine(message: string): string {
  return message.trim().replace(/\s*\n\s*/g, " ");
}
