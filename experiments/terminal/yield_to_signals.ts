/** Yields to the event loop, which delivers signals; a device that computes in this thread holds them up. */
export function yieldToSignals(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** A `yieldToSignals` that yields at most ten times a second, for loops with short iterations. */
export function throttledYieldToSignals(): () => Promise<void> {
  let yieldedMs = performance.now();
  return async () => {
    if (performance.now() - yieldedMs < 100) return;
    await yieldToSignals();
    yieldedMs = performance.now();
  };
}
