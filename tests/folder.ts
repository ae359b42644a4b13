/** Folders for the time of a test. */

import { testNeeding } from "./permissions.ts";

/** Calls back with a new folder, which is removed at the end; gives what that gives. */
export async function withFolder<Result>(use: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await Deno.makeTempDir({ prefix: "flow-" });
  try {
    return await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Defines a test in a new folder, which needs no permission but to read and write. */
export function testInFolder(name: string, test: (folder: string) => Promise<void>): void {
  testNeeding({ read: true, write: true }, name, () => withFolder(test));
}
