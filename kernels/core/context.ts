import { type Device, DeviceError } from "../devices/device.ts";
import type { Rule } from "../autograd/history.ts";
import type { Recording } from "../record/trace.ts";
import type { Scope } from "./scope.ts";

/**
 * State that ops depend on: the device in use, the innermost scope, the step being recorded, the gradient rule being
 * run.
 */
export const context: {
  device: Device | undefined;
  scope: Scope | undefined;
  recording: Recording | undefined;
  rule: Rule | undefined;
} = { device: undefined, scope: undefined, recording: undefined, rule: undefined };

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

/**
 * Runs a function with another device in use. For an async function it stays in use until the promise settles; run
 * nothing else meanwhile.
 *
 * @returns what the function returns
 * @throws what the function throws; the device before is then in use again
 */
export function withDevice<T>(device: Device, run: () => T): T {
  const before = context.device;
  const restore = () => void (context.device = before);
  context.device = device;
  let result: T;
  try {
    result = run();
  } catch (error) {
    restore();
    throw error;
  }
  if (result instanceof Promise) return result.finally(restore) as T;
  restore();
  return result;
}
