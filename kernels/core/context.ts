import { type Device, DeviceError } from "../devices/device.ts";
import type { Rule } from "../autograd/rule.ts";
import type { Recording } from "../record/trace.ts";
import type { Scope } from "./scope.ts";

/** What is going on: the device in use, the innermost scope, the step being recorded, the gradient rule being run. */
export const context: { device?: Device; scope?: Scope; recording?: Recording; rule?: Rule } = {};

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
