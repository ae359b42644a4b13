import { type Checkpoint, CheckpointError, type CheckpointInfo, loadCheckpoint } from "./checkpoint.ts";

/**
 * Loads a checkpoint from a file or the web onto the current device.
 *
 * @param source a path or a URL (`https:`, `file:`); in a page also a URL relative to it
 * @param fallback for what the file does not specify; see `loadCheckpoint`
 * @throws {CheckpointError} if it cannot be read or is not a checkpoint
 * @throws {SafetensorsError} if the file is damaged
 * @throws {StateError} if the weights do not match the network
 */
export async function openCheckpoint(
  source: string | URL,
  fallback: Partial<CheckpointInfo> = {},
): Promise<Checkpoint> {
  let bytes: Uint8Array;
  try {
    bytes = await read(source);
  } catch (cause) {
    throw new CheckpointError(`Cannot open ${source}: ${reasonOf(cause)}`);
  }
  return loadCheckpoint(bytes, String(source), fallback);
}

async function read(source: string | URL): Promise<Uint8Array> {
  const page = globalThis.location?.href;
  // A single letter before a colon is a Windows drive.
  if (typeof source === "string" && (/^[a-z]:/i.test(source) || !URL.canParse(source, page))) {
    const { readFile } = await import("node:fs/promises");
    return await readFile(source);
  }
  const response = await fetch(new URL(source, page));
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
