/**
 * Lets the event loop run: signals, timers, errors of a device and what a page draws wait while this thread computes. A
 * message is back after some 20 microseconds, a timer of no time after one or two milliseconds.
 */
export function pause(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port2.onmessage = () => {
      port1.close();
      port2.close();
      resolve();
    };
    port1.postMessage(undefined);
  });
}
