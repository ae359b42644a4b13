/** Temporary folders for tests, and programs that run there. */

import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { testNeeding } from "./permissions.ts";

/** Calls a function with a new folder, removes the folder afterwards, and returns the result. */
export async function withFolder<Result>(use: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await Deno.makeTempDir({ prefix: "flow-" });
  try {
    return await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * Like `withFolder`, but the folder has the same path in every run, so that Deno checks the types of its modules faster
 * from what it remembers of the last check. One program at a time can use it.
 *
 * @param name of a folder in the project's `.cache/`
 */
export async function withCacheFolder(name: string, use: (folder: string) => Promise<void>): Promise<void> {
  const parent = fileURLToPath(new URL(`../.cache/${name}`, import.meta.url));
  const folder = join(parent, "files");
  await Deno.mkdir(parent, { recursive: true });
  await inTurn(parent, async () => {
    await rm(folder, { recursive: true, force: true }); // what a killed program has left
    await Deno.mkdir(folder);
    try {
      await use(folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

/** Defines a test in a new folder; it only needs permission to read and write. */
export function testInFolder(name: string, test: (folder: string) => Promise<void>): void {
  testNeeding({ read: true, write: true }, name, () => withFolder(test));
}

/** Runs a program in a folder as on a new machine: with an empty cache of Deno in the folder, and Deno on its path. */
export async function runElsewhere(folder: string, program: string, args: readonly string[]) {
  const path = `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}`;
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd: folder,
    env: { DENO_DIR: join(folder, "cache"), NO_COLOR: "1", PATH: path },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out, err };
}

/**
 * Runs work while no other program or worker runs such work for the same folder. The system releases the folder when
 * the program ends, even by a kill.
 *
 * @param folder an existing folder
 */
export async function inTurn<T>(folder: string, work: () => Promise<T>): Promise<T> {
  using turn = await Deno.open(folder, { read: true });
  await turn.lock(true);
  return await work();
}
