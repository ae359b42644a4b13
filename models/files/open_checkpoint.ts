import { type Checkpoint, CheckpointError, type CheckpointInfo, loadCheckpoint } from "./checkpoint.ts";

/**
 * Makes the network of a checkpoint that lies in a file or on the web, on the device in use.
 *
 * @param source a path, or an address (`https:`, `file:`); in a page also an address relative to it
 * @param fallback what to take where the file says nothing; see `loadCheckpoint`
 * @throws {CheckpointError} if it cannot be read, or is none
 * @throws {SafetensorsError} if the file is damaged
 * @throws {StateError} if the weights are those of another network
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
  // A single letter before a colon is a drive.
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
