// The threads that run a program together, and how they wait for each other.

import { Layout } from "../memory_layout.ts";

/** Spins before a thread sleeps: other threads and the next program usually arrive within microseconds. */
const SPINS: i32 = 100000;
/** Nanoseconds between a sleeping thread's checks for failed threads. */
const PATIENCE: i64 = 100_000_000;

/** Number of this thread; 0 is the host's. */
export let me: i32 = 0;
/** Number of threads that run this program. */
export let team: i32 = 1;

export function join(thread: i32): void {
  me = thread;
}

export function setTeam(threads: i32): void {
  team = threads;
}

/** Waits until a word differs from `value`; false if a thread fails meanwhile. */
function waitWhile(word: usize, value: i32): bool {
  for (let i = 0; i < SPINS; i++) {
    if (atomic.load<i32>(word) != value) return true;
  }
  while (atomic.load<i32>(word) == value) {
    if (atomic.load<i32>(Layout.failed)) return false;
    atomic.wait<i32>(word, value, PATIENCE);
  }
  return true;
}

/** Waits until all threads of the program arrive; false if one has failed. */
export function barrier(): bool {
  if (team == 1) return true;
  const round = atomic.load<i32>(Layout.round);
  if (atomic.add<i32>(Layout.arrived, 1) == team - 1) {
    atomic.store<i32>(Layout.arrived, 0);
    atomic.store<i32>(Layout.round, round + 1);
    atomic.notify(Layout.round, -1);
    return true;
  }
  return waitWhile(Layout.round, round);
}

/** Waits for the program after number `seen` and returns its number, or -1 if the thread should end. */
export function nextProgram(seen: i32): i32 {
  for (let i = 0; i < SPINS / 10; i++) { // the host may need this core
    if (atomic.load<i32>(Layout.start) != seen) break;
  }
  while (atomic.load<i32>(Layout.start) == seen && !atomic.load<i32>(Layout.quit)) {
    atomic.wait<i32>(Layout.start, seen, -1);
  }
  return atomic.load<i32>(Layout.quit) ? -1 : atomic.load<i32>(Layout.start);
}
