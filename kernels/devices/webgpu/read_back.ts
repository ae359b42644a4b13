import { yieldToEvents } from "../../core/yield_to_events.ts";

/** Buffers up to this size are created readable; zeroing larger ones takes longer than waiting. */
const readyBytes = 1 << 22;

/** Whether `mapAsync` settles only after the next submit, or every 100 ms: Mozilla bug 1870699. */
const isFirefox = /\bFirefox\//.test(globalThis.navigator?.userAgent ?? "");

/**
 * Copies bytes from the device to the host as soon as the queued work is done.
 *
 * In Deno, the data is there 10 milliseconds before the promise of `mapAsync` settles, so the bytes are read right
 * away. If that is too early, as in browsers, reading throws, and the promise is awaited.
 *
 * @param bytes a positive multiple of 4
 * @param copy queues a copy to the given buffer, and submits
 * @param nudges whether to submit empty work until the promise settles
 * @throws what `mapAsync` rejects with, if the device is lost
 */
export async function readBack(
  device: GPUDevice,
  bytes: number,
  copy: (to: GPUBuffer) => void,
  nudges: boolean = isFirefox,
): Promise<ArrayBuffer> {
  const ready = bytes <= readyBytes;
  const { MAP_READ, COPY_DST } = GPUBufferUsage;
  // Deno panics on reading a range of a buffer that was never mapped.
  const buffer = device.createBuffer({ size: bytes, usage: MAP_READ | COPY_DST, mappedAtCreation: ready });
  if (ready) buffer.unmap();
  try {
    copy(buffer);
    const mapped = buffer.mapAsync(GPUMapMode.READ);
    const values = ready ? rangeNow(buffer) : undefined;
    if (!values) {
      let open = nudges;
      mapped.finally(() => open = false).catch(() => {});
      while (open) {
        device.queue.submit([device.createCommandEncoder().finish()]);
        await yieldToEvents();
      }
      await mapped;
      return buffer.getMappedRange().slice(0);
    }
    mapped.catch(() => {}); // not awaited if the bytes are already there
    await yieldToEvents("task"); // device errors arrive as events
    return values;
  } finally {
    buffer.destroy();
  }
}

/** A copy of a buffer's content if it is already mapped. */
function rangeNow(buffer: GPUBuffer): ArrayBuffer | undefined {
  try {
    return buffer.getMappedRange().slice(0);
  } catch {
    return undefined;
  }
}
