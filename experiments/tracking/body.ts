/** Most bytes of a server's answers: of JSON, of a file, and of the text of an error, which is cut there. */
export const mostBytes = { json: 64 << 20, file: 512 << 20, error: 64 << 10 } as const;

/** Fewer bytes are no progress of a download. */
const progressBytes = 1 << 10;

/** An answer is larger than expected. */
export class BodyTooLarge extends Error {}

/**
 * Reads the body of an answer, up to a size that the reader sets, whatever the server announces.
 *
 * @param onProgress called whenever another piece has arrived
 * @throws {BodyTooLarge} if there is more, unless it is to be cut
 */
export async function readBody(
  body: ReadableStream<Uint8Array> | null,
  { most, cut = false, onProgress = () => {} }: {
    readonly most: number;
    readonly cut?: boolean;
    readonly onProgress?: () => void;
  },
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let [size, seen] = [0, 0];
  for await (const part of body ?? []) {
    parts.push(part);
    size += part.length;
    if (size > most && !cut) throw new BodyTooLarge();
    if (size > most) break;
    if (size - seen < progressBytes) continue;
    seen = size;
    onProgress();
  }
  const bytes = new Uint8Array(Math.min(size, most));
  let at = 0;
  for (const part of parts) {
    bytes.set(part.subarray(0, most - at), at);
    at += part.length;
  }
  return bytes;
}
