/** Temporary folders for tests. */

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

/** Defines a test in a new folder; it only needs permission to read and write. */
export function testInFolder(name: string, test: (folder: string) => Promise<void>): void {
  testNeeding({ read: true, write: true }, name, () => withFolder(test));
}
