/**
 * Counts the weights in a safetensors file by its header, without reading the weights.
 *
 * @returns undefined where there is no such file, or it is none of this format
 */
export async function countWeights(path: string): Promise<number | undefined> {
  try {
    using file = await Deno.open(path);
    const length = new DataView((await readExactly(file, 8)).buffer).getBigUint64(0, true);
    if (length > 2n ** 24n) return undefined;
    const header = JSON.parse(new TextDecoder().decode(await readExactly(file, Number(length))));
    return Object.entries<{ shape: number[] }>(header)
      .filter(([name]) => name !== "__metadata__")
      .reduce((sum, [, { shape }]) => sum + shape.reduce((product, size) => product * size, 1), 0);
  } catch {
    return undefined; // a report does without it; who loads the weights is told what is wrong with them
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
