import { turn } from "../turn.ts";

/** Up to so many bytes are made ready to be read at once; zeroing more takes longer than waiting. */
const readyBytes = 1 << 22;

/**
 * Copies bytes from the device to the host, as soon as the queued work is done.
 *
 * In Deno, `mapAsync` waits for the device but settles its promise 10 milliseconds later, so the bytes are read right
 * away. Where that is too early, as in browsers, it is an error, and the promise is awaited.
 *
 * @param bytes how many, a multiple of 4 and not 0
 * @param copy queues a copy to the buffer that it is given, and submits
 * @throws what `mapAsync` rejects with, if the device is lost
 */
export async function readBack(
  device: GPUDevice,
  bytes: number,
  copy: (to: GPUBuffer) => void,
): Promise<ArrayBuffer> {
  const ready = bytes <= readyBytes;
  const { MAP_READ, COPY_DST } = GPUBufferUsage;
  // Deno panics at a range of a buffer that has never been mapped.
  const buffer = device.createBuffer({ size: bytes, usage: MAP_READ | COPY_DST, mappedAtCreation: ready });
  if (ready) buffer.unmap();
  try {
    copy(buffer);
    const mapped = buffer.mapAsync(GPUMapMode.READ);
    const values = ready ? rangeNow(buffer) : undefined;
    if (!values) {
      await mapped;
      return buffer.getMappedRange().slice(0);
    }
    mapped.catch(() => {}); // nobody waits for it
    await turn(); // errors of the work arrive as events
    return values;
  } finally {
    buffer.destroy();
  }
}

/** A copy of what a buffer holds if it is mapped already. */
function rangeNow(buffer: GPUBuffer): ArrayBuffer | undefined {
  try {
    return buffer.getMappedRange().slice(0);
  } catch {
    return undefined;
  }
}
