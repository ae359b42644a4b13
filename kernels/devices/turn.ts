/** Exists in Deno and Node, not in browsers. */
const { setImmediate } = globalThis as { setImmediate?: (run: () => void) => unknown };

/**
 * Ends the current task, in about 20 microseconds, so that pending events such as device errors arrive and finalizers
 * run. Signals and timers may need dozens of turns: long computations should use a longer pause.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    // In Deno, messages arrive within the same task once a program imports an npm package or node:worker_threads.
    if (setImmediate) return setImmediate(resolve);
    const { port1, port2 } = new MessageChannel();
    port2.onmessage = () => {
      port1.close();
      port2.close();
      resolve();
    };
    port1.postMessage(undefined);
  });
}
