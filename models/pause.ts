/**
 * Lets the event loop run: signals, timers and what a page draws wait while a device computes in this thread. A timer,
 * since Deno looks for signals only now and then while messages keep it busy.
 */
export function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** A {@linkcode pause} ten times a second at most, for loops with short iterations. */
export function throttledPause(): () => Promise<void> {
  let pausedMs = performance.now();
  return async () => {
    if (performance.now() - pausedMs < 100) return;
    await pause();
    pausedMs = performance.now();
  };
}
