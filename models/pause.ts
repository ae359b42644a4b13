/**
 * Lets the event loop handle signals, timers and drawing, which wait while a device computes in this thread. Uses a
 * timer, because Deno checks for signals only rarely while messages keep it busy.
 */
export function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** {@linkcode pause}, at most ten times a second, for loops with short iterations. */
export function throttledPause(): () => Promise<void> {
  let pausedMs = performance.now();
  return async () => {
    if (performance.now() - pausedMs < 100) return;
    await pause();
    pausedMs = performance.now();
  };
}
