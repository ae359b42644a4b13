/**
 * Why this program has no thread but its own, if so. Browsers share memory within pages that are isolated from other
 * sites alone, and a page's own thread may never sleep, which threads that wait for each other do.
 */
export function whyAlone(): string | undefined {
  if ((globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === false) {
    return "this page is not cross-origin isolated";
  }
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0); // returns at once where it is allowed
  } catch {
    return "the thread of a page may not wait for others, that of a worker may";
  }
}
