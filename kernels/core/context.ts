import { type Device, DeviceError } from "../devices/device.ts";
import type { Recording } from "../record/trace.ts";
import type { Scope } from "./scope.ts";

/** What the program is in the middle of: the device in use, the innermost scope, the step being recorded. */
export const context: { device?: Device; scope?: Scope; recording?: Recording } = {};

/**
 * The device in use.
 *
 * @throws {DeviceError} before `init()`
 */
export function currentDevice(): Device {
  if (!context.device) {
    throw new DeviceError("There is no device yet: await init() before making the first tensor");
  }
  return context.device;
}
