// The entry points, beside `execute` and `workspaceOf`, which the build makes from the parameters of the kernels. A program
// is a list of calls. A call runs on all threads of the team or only on the first; threads wait for each other between two
// calls unless both run on one thread.

import { isAlone } from "./call.ts";
import { Layout } from "../memory_layout.ts";
import { barrier, join, nextProgram, setTeam } from "./threads.ts";

/**
 * Runs this thread's share of a program; false if another thread fails.
 *
 * Nothing of a call is read before `execute`: the program may lie in memory that has just grown, and engines show other
 * threads the growth when they next enter a function.
 */
function share(program: usize, calls: i32): bool {
  const end = program + (<usize> calls) * Layout.callBytes;
  for (let call = program; call < end; call += Layout.callBytes) {
    execute(call);
    const next = call + Layout.callBytes;
    // All threads wait at the end, because the host may then overwrite this program with the next one.
    const goesOn = next < end && isAlone(call) && isAlone(next);
    if (!goesOn && !barrier()) return false;
  }
  return true;
}

/** Runs a program on this thread only. */
export function runAlone(program: usize, calls: i32): void {
  setTeam(1);
  share(program, calls);
}

/** Runs a program on all threads; false if one fails. */
export function runTogether(program: usize, calls: i32, threads: i32): bool {
  setTeam(threads);
  store<usize>(Layout.program, program);
  store<i32>(Layout.calls, calls);
  store<i32>(Layout.team, threads);
  atomic.add<i32>(Layout.start, 1);
  atomic.notify(Layout.start, -1);
  return share(program, calls);
}

/** Bytes of workspace that a program needs on a number of threads. */
export function workspaceBytes(program: usize, calls: i32, threads: i32): f64 {
  let most: u64 = 0;
  for (let i = 0; i < calls; i++) {
    most = max(most, workspaceOf(program + (<usize> i) * Layout.callBytes, threads));
  }
  return <f64> most;
}

/** The loop of a worker: runs one program after another. */
export function work(thread: i32): void {
  join(thread);
  let seen = atomic.load<i32>(Layout.start);
  atomic.add<i32>(Layout.ready, 1);
  for (seen = nextProgram(seen); seen >= 0; seen = nextProgram(seen)) {
    setTeam(load<i32>(Layout.team));
    share(load<usize>(Layout.program), load<i32>(Layout.calls));
  }
  atomic.add<i32>(Layout.left, 1);
}
