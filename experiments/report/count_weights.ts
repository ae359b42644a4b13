import { reasonOf, RunError } from "../run/atomic_write.ts";
import { openContained } from "../run/contained.ts";

/**
 * Counts the weights in a safetensors file by its header, without reading the weights.
 *
 * @returns undefined where there is no such file, or it is not a safetensors file
 * @throws {RunError} if the file cannot be read
 */
export async function countWeights(path: string): Promise<number | undefined> {
  try {
    using file = await openContained(path);
    if (file === undefined) return undefined;
    const length = new DataView((await readExactly(file, 8)).buffer).getBigUint64(0, true);
    if (length > 2n ** 24n) return undefined;
    const header = JSON.parse(new TextDecoder().decode(await readExactly(file, Number(length))));
    return Object.entries<{ shape: number[] }>(header)
      .filter(([name]) => name !== "__metadata__")
      .reduce((sum, [, { shape }]) => sum + shape.reduce((product, size) => product * size, 1), 0);
  } catch (error) {
    // A report does without the number; loading the weights tells what is wrong with them.
    if ([RangeError, SyntaxError, TypeError].some((kind) => error instanceof kind)) {
      return undefined;
    }
    if (error instanceof RunError) throw error;
    throw new RunError(`Cannot read ${path}: ${reasonOf(error)}`);
  }
}

async function readExactly(file: Deno.FsFile, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let read = 0; read < length;) {
    const count = await file.read(bytes.subarray(read));
    if (count === null) throw new RangeError("the file is too short");
    read += count;
  }
  return bytes;
}
