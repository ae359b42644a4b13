import { pause } from "../kernels/core/pause.ts";

export { pause };

/** A {@linkcode pause} ten times a second at most, for loops with short iterations. */
export function throttledPause(): () => Promise<void> {
  let pausedMs = performance.now();
  return async () => {
    if (performance.now() - pausedMs < 100) return;
    await pause();
    pausedMs = performance.now();
  };
}
