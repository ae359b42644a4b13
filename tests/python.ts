/** Python with packages, as an independent reader and writer of file formats. */

import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { granted, type PermissionName } from "./permissions.ts";

const NEEDED: PermissionName[] = ["read", "write", "run"];

/**
 * Finds or makes a private virtual environment with packages, under the project's `.cache/`.
 *
 * @param packages names for pip, with a version or without
 * @param deadline milliseconds that each of making the environment and installing may take
 * @returns the path of its python, or the reason why there is none
 */
export async function pythonWith(
  packages: readonly string[],
  { deadline = 300_000 }: { deadline?: number } = {},
): Promise<string | { reason: string }> {
  const missing = NEEDED.filter((name) => !granted(name)).map((name) => `--allow-${name}`);
  if (missing.length > 0) return { reason: `needs ${missing.join(" ")}` };

  const hash = createHash("sha256").update([...packages].sort().join("\n")).digest("hex").slice(0, 12);
  const folder = fileURLToPath(new URL(`../.cache/python-${hash}`, import.meta.url));
  const ready = `${folder}/ready`;
  try {
    const python = await Deno.readTextFile(ready);
    await Deno.stat(python); // gone if the checkout moved or the system's python did
    return python;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }

  // Built in a folder of its own and announced last by a rename: two builders at once do no harm.
  await Deno.mkdir(folder, { recursive: true });
  const environment = await Deno.makeTempDir({ dir: folder });
  const python = `${environment}/bin/python`;
  const problem = await run(["python3", "-m", "venv", environment], deadline) ??
    await run([python, "-m", "pip", "install", "--quiet", "--only-binary=:all:", ...packages], deadline);
  if (problem !== undefined) {
    await Deno.remove(environment, { recursive: true });
    return { reason: problem };
  }
  const announcement = `${environment}/ready`;
  await Deno.writeTextFile(announcement, python);
  await Deno.rename(announcement, ready);
  return python;
}

/** Runs a command; returns what went wrong in one line, or undefined. */
async function run([program, ...args]: string[], deadline: number): Promise<string | undefined> {
  const signal = AbortSignal.timeout(deadline);
  try {
    const options = { args, signal, stdin: "null", stdout: "null", stderr: "piped" } as const;
    const { success, stderr } = await new Deno.Command(program, options).output();
    if (success) return undefined;
    const lastLine = new TextDecoder().decode(stderr).trim().split("\n").at(-1);
    const name = `${program.split("/").at(-1)} ${args.slice(0, 2).join(" ")}`;
    return signal.aborted ? `${name} took longer than ${deadline / 1000} s` : `${name} failed: ${lastLine}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return `needs ${program}`;
    throw error;
  }
}
