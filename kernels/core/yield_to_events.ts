/** Exists in Deno and Node, not in browsers. */
const { setImmediate } = globalThis as { setImmediate?: (run: () => void) => unknown };

/**
 * Lets the event loop handle pending events while a device computes in this thread.
 *
 * @param until `task` handles messages and device errors, in about 20 microseconds; `timer` also handles signals,
 * timers and drawing, in a millisecond, because Deno rarely checks for signals while messages keep it busy
 */
export function yieldToEvents(until: "timer" | "task" = "timer"): Promise<void> {
  return new Promise((resolve) => {
    if (until === "timer") return setTimeout(resolve);
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
