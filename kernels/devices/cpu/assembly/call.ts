// A call as the host writes it: opcode, next task, whether it runs on one thread, then the kernel's arguments, one word
// each.

import { Layout } from "../memory_layout.ts";
import { Axis } from "./axis.ts";

/** Which kernel runs. */
export function opcode(call: usize): i32 {
  return load<i32>(call);
}

/** Whether a single thread runs it, because sharing so little work would take longer. */
export function isAlone(call: usize): bool {
  return load<i32>(call + Layout.singleThreaded) != 0;
}

/** A whole-number argument. */
export function integer(call: usize, i: usize): i32 {
  return load<i32>(call + Layout.words + (i << 2));
}

/** An address or a number of bytes. */
export function pointer(call: usize, i: usize): usize {
  return load<usize>(call + Layout.words + (i << 2));
}

/** A real-number argument. */
export function real(call: usize, i: usize): f32 {
  return load<f32>(call + Layout.words + (i << 2));
}

/** An axis, one word per field. */
export function axis(call: usize, i: usize): Axis {
  return changetype<Axis>(call + Layout.words + (i << 2));
}

/** Takes the next free task of a call. */
export function nextTask(call: usize): i32 {
  return atomic.add<i32>(call + Layout.nextTask, 1);
}

/** Resets a call so that it can run again. */
export function rewind(call: usize): void {
  atomic.store<i32>(call + Layout.nextTask, 0);
}

/** Address of scratch memory until the next op, for a call that needs `bytes`; traps if the host has given less. */
export function claimWorkspace(call: usize, bytes: u64): usize {
  if (bytes > <u64> load<u32>(Layout.workspaceBytes)) {
    store<f64>(Layout.neededBytes, <f64> bytes);
    store<i32>(Layout.shortOpcode, opcode(call));
    unreachable();
  }
  return load<usize>(Layout.workspace);
}
