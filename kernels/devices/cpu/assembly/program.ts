// The entry points. A program is a list of calls. A call runs on all threads of the team or on the first alone; threads
// wait for each other between two calls unless both run alone.

import { CALL_BYTES, isAlone, rewind } from "./call.ts";
import { execute, workspaceOf } from "./dispatch.ts";
import {
  barrier,
  CALLS,
  join,
  LEFT,
  me,
  nextProgram,
  PROGRAM,
  READY,
  setTeam,
  START,
  TEAM,
} from "./threads.ts";

/**
 * Runs this thread's share of a program; false if another thread fails.
 *
 * Nothing of a call is read before `execute`: the program may lie in memory that has just grown, and engines show other
 * threads the growth when they next enter a function.
 */
function share(program: usize, calls: i32): bool {
  const end = program + (<usize> calls) * CALL_BYTES;
  for (let call = program; call < end; call += CALL_BYTES) {
    execute(call);
    const next = call + CALL_BYTES;
    // All threads wait at the end, because the host may then overwrite this program with the next one.
    const goesOn = next < end && isAlone(call) && isAlone(next);
    if (!goesOn && !barrier()) return false;
    if (me == 0) rewind(call);
  }
  return true;
}

/** Runs a program on this thread alone. */
export function runAlone(program: usize, calls: i32): void {
  setTeam(1);
  share(program, calls);
}

/** Runs a program on all threads; false if one fails. */
export function runTogether(program: usize, calls: i32, threads: i32): bool {
  setTeam(threads);
  store<usize>(PROGRAM, program);
  store<i32>(CALLS, calls);
  store<i32>(TEAM, threads);
  atomic.add<i32>(START, 1);
  atomic.notify(START, -1);
  return share(program, calls);
}

/** Bytes of workspace that a program needs on a number of threads. */
export function workspaceBytes(program: usize, calls: i32, threads: i32): f64 {
  let most: u64 = 0;
  for (let i = 0; i < calls; i++) most = max(most, workspaceOf(program + (<usize> i) * CALL_BYTES, threads));
  return <f64> most;
}

/** The loop of a worker: runs one program after another. */
export function work(thread: i32): void {
  join(thread);
  let seen = atomic.load<i32>(START);
  atomic.add<i32>(READY, 1);
  for (seen = nextProgram(seen); seen >= 0; seen = nextProgram(seen)) {
    setTeam(load<i32>(TEAM));
    share(load<usize>(PROGRAM), load<i32>(CALLS));
  }
  atomic.add<i32>(LEFT, 1);
}
