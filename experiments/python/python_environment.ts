import { dirname, join } from "node:path";
import { UserError } from "../../kernels/core/user_error.ts";
import { inTurn } from "../run/run_folder.ts";
import { yieldToEvents } from "../../kernels/core/yield_to_events.ts";

/** There is no usable Python, or a Python program failed; the message says what to do. */
export class PythonError extends UserError {
  override readonly name = "PythonError";
}

/** The reason why there is no Python with the packages, and advice, in one line. */
export interface Unavailable {
  readonly reason: string;
}

/** How to install a Python that can create virtual environments. */
const advice =
  "on Debian and Ubuntu, ./denow installs it as root; other users run 'sudo apt-get install python3-venv'";

/**
 * A Python command that imports nothing from the working folder, where a task may have written: `-I` for itself, and a
 * variable for the Pythons that it starts.
 */
export function pythonCommand(
  program: string,
  { args = [], env, ...options }: Deno.CommandOptions,
): Deno.Command {
  return new Deno.Command(program, {
    ...options,
    args: ["-I", ...args],
    env: { ...env, PYTHONSAFEPATH: "1" },
  });
}

/**
 * Finds or creates a private virtual environment with packages. It is built elsewhere and moved into place when complete,
 * so that an incomplete environment is never used. If two programs need it, the second waits for the first. A moved
 * environment runs with `python -m`, not with the scripts in its `bin`.
 *
 * @param folder its folder, created if missing
 * @param packages names for pip, with or without a version
 * @param deadline milliseconds for each of the two steps: creating the environment, and installing packages
 * @returns the path of its python, or the reason why there is none
 */
export async function pythonEnvironment(
  folder: string,
  packages: readonly string[],
  { deadline = 600_000 }: { deadline?: number } = {},
): Promise<string | Unavailable> {
  const python = join(folder, "bin", "python");
  if (await exists(python)) return python;
  await Deno.mkdir(dirname(folder), { recursive: true });
  return await inTurn(dirname(folder), async () => {
    if (await exists(python)) return python;
    const problem = await build(folder, packages, deadline);
    return problem === undefined ? python : { reason: problem };
  });
}

/** Builds an environment. @returns what went wrong, in one line, or undefined */
async function build(
  folder: string,
  packages: readonly string[],
  deadline: number,
): Promise<string | undefined> {
  const building = await Deno.makeTempDir({ dir: dirname(folder), prefix: ".python-" });
  const environment = join(building, "environment");
  try {
    // The system's Python starts the environment's own, whose path cannot be named in a permission.
    const pip = `import os, sys; os.execv(sys.argv[1], sys.argv[1:])`;
    const install = [join(environment, "bin", "python"), "-I", "-m", "pip", "install", "--quiet"];
    const problem = await run(["-m", "venv", environment], "python3 -m venv", deadline) ??
      await run(["-c", pip, ...install, "--only-binary=:all:", ...packages], "pip install", deadline);
    if (problem !== undefined) return problem;
    await Deno.remove(folder, { recursive: true }).catch(() => {}); // its Python is gone, e.g. after an upgrade
    await Deno.rename(environment, folder);
  } finally {
    await Deno.remove(building, { recursive: true });
  }
}

/** Whether a file exists; false for a link to a Python that was removed. */
async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}

/** Runs the system's Python. @returns what went wrong, in one line, or undefined */
async function run(args: readonly string[], name: string, deadline: number): Promise<string | undefined> {
  const signal = AbortSignal.timeout(deadline);
  try {
    const options = { signal, stdin: "null", stdout: "piped", stderr: "piped" } as const;
    const { success, ...said } = await pythonCommand("python3", { ...options, args: [...args] }).output();
    if (success) return undefined;
    if (signal.aborted) return `${name} took longer than ${deadline / 1000} s`;
    const [stdout, stderr] = [said.stdout, said.stderr].map((bytes) =>
      new TextDecoder().decode(bytes).trim()
    );
    // Debian's Python explains in a paragraph on stdout that venv is a separate package.
    if (/ensurepip\s+is\s+not\s+available/.test(stdout)) {
      return `python3 cannot create virtual environments (${advice})`;
    }
    return `${name} failed: ${(stderr || stdout).split("\n").at(-1)}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return `python3 is not installed (${advice})`;
    throw error;
  }
}

/**
 * Waits for the end of a server that this program started, usually because it is stopped.
 *
 * @param what the name of the server
 * @param stopped aborted when this program stops it
 * @param where to look for the reason if it ends by itself
 * @throws {PythonError} if it failed
 */
export async function untilEnded(
  what: string,
  { status }: Pick<Deno.ChildProcess, "status">,
  stopped: AbortSignal,
  where: string,
): Promise<void> {
  const { success, code, signal } = await status;
  await yieldToEvents(); // Ctrl-C reaches both programs
  if (success || stopped.aborted) return;
  const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
  throw new PythonError(`Cannot keep serving: ${what} ended ${how}; see ${where}`);
}
