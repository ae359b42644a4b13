// A call as the host lays it out: [opcode, next task, words: addresses of the buffers, then dims].

import { Layout } from "./layout.ts";

export const CALL_BYTES: usize = Layout.callBytes;
const NEXT: usize = 4;
const WORDS: usize = Layout.words;

export function opcode(call: usize): i32 {
  return load<i32>(call);
}

/** The i-th word as an address or a length. */
export function word(call: usize, i: i32): i32 {
  return load<i32>(call + WORDS + ((<usize> i) << 2));
}

export function pointer(call: usize, i: i32): usize {
  return <usize> word(call, i);
}

export function number(call: usize, i: i32): f32 {
  return load<f32>(call + WORDS + ((<usize> i) << 2));
}

/** The next task of a call that nobody has taken. */
export function nextTask(call: usize): i32 {
  return atomic.add<i32>(call + NEXT, 1);
}

/** Makes a call ready to run again. */
export function rewind(call: usize): void {
  atomic.store<i32>(call + NEXT, 0);
}
