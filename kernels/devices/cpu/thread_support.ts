/**
 * Why this program can have only one thread, or undefined if it can have more. Browsers share memory only within pages
 * that are isolated from other sites, and forbid a page's main thread to block, as threads that wait for each other do.
 */
export function whySingleThreaded(): string | undefined {
  if ((globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === false) {
    return "this page is not cross-origin isolated";
  }
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0); // returns at once where blocking is allowed
  } catch {
    return "the main thread of a page may not block; a worker may";
  }
}
