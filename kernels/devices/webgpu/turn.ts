/**
 * Lets events that are due arrive, such as errors of a device, in some 20 microseconds. Signals and timers may wait for
 * dozens of these: who computes for long pauses for them.
 */
export function turn(): Promise<void> {
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
