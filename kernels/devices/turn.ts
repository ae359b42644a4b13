/** Of Deno and Node. */
const { setImmediate } = globalThis as { setImmediate?: (run: () => void) => unknown };

/**
 * Lets events that are due arrive, such as errors of a device, and finalizers run, in some 20 microseconds. Signals and
 * timers may wait for dozens of these: who computes for long pauses for them.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    // In Deno messages arrive within the task once a program imports an npm package or node:worker_threads.
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
