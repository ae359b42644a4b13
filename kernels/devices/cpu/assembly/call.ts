// A call as the host writes it: opcode, whether it runs on one thread, then the kernel's arguments, one word each.

import { Layout } from "../memory_layout.ts";
import { Axis } from "./axis.ts";
import { me, team } from "./threads.ts";
import { Walk } from "./walk.ts";

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

/** A walk, one word per field. */
export function walk(call: usize, i: usize): Walk {
  return changetype<Walk>(call + Layout.words + (i << 2));
}

/** Tasks of the running call. */
let tasks: i32 = 0;
/** Elements of each task. */
let each: i32 = 1;
/** Threads that share the call. */
let sharers: i32 = 1;
/** Barriers before the call. */
let round: i64 = 0;
/** Shares of the call that have no tasks left, beginning with this thread's. */
let finished: i32 = 0;
/** Tasks taken of a call on one thread. */
let taken: i32 = 0;

/**
 * Takes the first task of a call for `size` elements, `perTask` in each: returns the task's first element, or -1 if there
 * is none. `nextTask` takes the others.
 */
export function firstTask(call: usize, size: i32, perTask: i32 = 1): i32 {
  tasks = (size + perTask - 1) / perTask;
  each = perTask;
  finished = 0;
  taken = 0;
  sharers = isAlone(call) ? 1 : team;
  round = atomic.load<i32>(Layout.round);
  return nextTask();
}

/**
 * Takes another task. A thread begins with its own share, the same part of every call, because its caches hold what it has
 * written there; then it takes from the others'.
 */
export function nextTask(): i32 {
  if (sharers == 1) return taken < tasks ? each * taken++ : -1;
  for (; finished < sharers; finished++) {
    const owner = (me + finished) % sharers;
    const task = startOf(owner) + takeFrom(owner);
    if (task < startOf(owner + 1)) return each * task;
  }
  return -1;
}

/** The row last taken. */
let row: i32 = 0;
/** Where its task ends. */
let end: i32 = 0;
/** All rows. */
let rows: i32 = 0;

/** Takes one row after the other, `perTask` in a task: returns the first, or -1 if there is none. */
export function firstRow(call: usize, count: i32, perTask: i32): i32 {
  rows = count;
  row = firstTask(call, count, perTask);
  end = min(count, row + perTask);
  return row;
}

export function nextRow(): i32 {
  if (++row == end) {
    row = nextTask();
    end = min(rows, row + each);
  }
  return row;
}

/** First task of a thread's share. */
function startOf(thread: i32): i32 {
  return <i32> (<i64> thread * tasks / sharers);
}

/** Counts a task of a thread's share and returns the number of those before it. The count begins anew in each round. */
function takeFrom(thread: i32): i32 {
  const counter = <usize> Layout.shares + ((<usize> thread) << 6);
  let seen: i64, before: i64;
  do {
    seen = atomic.load<i64>(counter);
    before = seen >> 32 == round ? seen : round << 32;
  } while (atomic.cmpxchg<i64>(counter, seen, before + 1) != seen);
  return <i32> before;
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
