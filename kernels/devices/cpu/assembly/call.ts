// A call as the host writes it: opcode, next task, whether one thread runs it, then the arguments of the kernel, one word each.

import { Layout } from "../memory_layout.ts";

export const CALL_BYTES: usize = Layout.callBytes;
const NEXT: usize = Layout.nextTask;
const ALONE: usize = Layout.alone;
const WORDS: usize = Layout.words;

/** Which kernel runs. */
export function opcode(call: usize): i32 {
  return load<i32>(call);
}

/** Whether one thread runs it: it is so little work that sharing it takes longer. */
export function isAlone(call: usize): bool {
  return load<i32>(call + ALONE) != 0;
}

/** An argument that is a whole number. */
export function integer(call: usize, i: usize): i32 {
  return load<i32>(call + WORDS + (i << 2));
}

/** An argument that is an address or a number of bytes. */
export function pointer(call: usize, i: usize): usize {
  return load<usize>(call + WORDS + (i << 2));
}

/** An argument that is a real number. */
export function real(call: usize, i: usize): f32 {
  return load<f32>(call + WORDS + (i << 2));
}

/** The next task of a call that no thread has taken. */
export function nextTask(call: usize): i32 {
  return atomic.add<i32>(call + NEXT, 1);
}

/** Makes a call ready to run again. */
export function rewind(call: usize): void {
  atomic.store<i32>(call + NEXT, 0);
}
