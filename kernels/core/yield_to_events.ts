/** Exists in Deno and Node, not in browsers. */
const { setImmediate } = globalThis as { setImmediate?: (run: () => void) => unknown };

/** In Deno, signals and timers may need dozens of tasks; waiting for a timer, a millisecond, lets them all in. */
const timerEveryMs = 20;
let timerAtMs = -Infinity;

/**
 * Ends the current task, so that pending events arrive and finalizers run: device errors and messages at once, signals
 * and timers within some 20 milliseconds. Takes about 20 microseconds, and some fifty times a second a millisecond.
 */
export function yieldToEvents(): Promise<void> {
  return new Promise((resolve) => {
    // In Deno, messages arrive within the same task once a program imports an npm package or node:worker_threads.
    if (setImmediate) {
      if (performance.now() - timerAtMs < timerEveryMs) return setImmediate(resolve);
      return setTimeout(() => {
        timerAtMs = performance.now();
        setImmediate(resolve); // a timer alone is too early for device errors
      });
    }
    const { port1, port2 } = new MessageChannel();
    port2.onmessage = () => {
      port1.close();
      port2.close();
      resolve();
    };
    port1.postMessage(undefined);
  });
}
