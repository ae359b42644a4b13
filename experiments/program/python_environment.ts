import { dirname, join } from "node:path";

/** Why no Python could be had, in one line. */
export interface Unavailable {
  readonly reason: string;
}

/**
 * Finds or makes a private virtual environment with packages. It is built beside its place and moved there when it is
 * whole, so that half an environment is never used and two builders at once do no harm; a moved one runs as
 * `python -m`, not by the scripts in its `bin`.
 *
 * @param folder where it is or goes
 * @param packages names for pip, with a version or without
 * @param deadline milliseconds that each of making the environment and installing may take
 * @returns the path of its python, or the reason why there is none
 */
export async function pythonEnvironment(
  folder: string,
  packages: readonly string[],
  { deadline = 600_000 }: { deadline?: number } = {},
): Promise<string | Unavailable> {
  const python = join(folder, "bin", "python");
  if (await isThere(python)) return python;
  await Deno.mkdir(dirname(folder), { recursive: true });
  const building = await Deno.makeTempDir({ dir: dirname(folder), prefix: ".python-" });
  const environment = join(building, "environment");
  try {
    // Its own python, which has no path yet that a permission could name, is started by the system's.
    const pip = `import os, sys; os.execv(sys.argv[1], sys.argv[1:])`;
    const install = [join(environment, "bin", "python"), "-m", "pip", "install", "--quiet"];
    const problem = await run(["-m", "venv", environment], "python3 -m venv", deadline) ??
      await run(["-c", pip, ...install, "--only-binary=:all:", ...packages], "pip install", deadline);
    if (problem !== undefined) return { reason: problem };
    if (!await isThere(python)) {
      await Deno.remove(folder, { recursive: true }).catch(() => {}); // its python is gone, as after an upgrade
      await Deno.rename(environment, folder);
    }
    return python;
  } finally {
    await Deno.remove(building, { recursive: true });
  }
}

/** Whether a file is there; a link to a system's python that was removed is not. */
async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}

/** Runs the system's python; returns what went wrong in one line, or undefined. */
async function run(args: readonly string[], name: string, deadline: number): Promise<string | undefined> {
  const signal = AbortSignal.timeout(deadline);
  try {
    const options = { signal, stdin: "null", stdout: "null", stderr: "piped" } as const;
    const { success, stderr } = await new Deno.Command("python3", { ...options, args: [...args] }).output();
    if (success) return undefined;
    const lastLine = new TextDecoder().decode(stderr).trim().split("\n").at(-1);
    return signal.aborted ? `${name} took longer than ${deadline / 1000} s` : `${name} failed: ${lastLine}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "needs python3";
    throw error;
  }
}
