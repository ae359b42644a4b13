/** Python with packages, for MLflow and Jupyter, and as an independent reader and writer of file formats. */

import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { inTurn } from "./folder.ts";
import { granted, type PermissionName } from "./permissions.ts";
import { problemOf } from "./system_packages.ts";

/** The reason why there is no Python with the packages, in one line. */
export interface Unavailable {
  readonly reason: string;
}

/** How to find or make a virtual environment. */
interface Environment {
  /** Folder below `.cache/`, by default one for the packages. */
  readonly name?: string;
  /** What making it takes, for the message. */
  readonly minutes?: number;
  /** Permissions that the tests need besides those for Python. */
  readonly needs?: readonly PermissionName[];
}

/**
 * Finds or makes a virtual environment with packages below `.cache/`. If several programs need it, one makes it.
 *
 * @param packages names for pip, with or without versions
 * @returns the path of its python, or the reason why there is none
 */
export async function pythonWith(
  packages: readonly string[],
  { name, minutes = 1, needs = [] }: Environment = {},
): Promise<string | Unavailable> {
  const missing = (["read", "write", "run", ...needs] as const).filter((name) => !granted(name));
  if (missing.length > 0) return { reason: `needs ${missing.map((name) => `--allow-${name}`).join(" ")}` };
  const hash = createHash("sha256").update([...packages].sort().join("\n")).digest("hex").slice(0, 12);
  const folder = fileURLToPath(new URL(`../.cache/${name ?? `python-${hash}`}`, import.meta.url));
  await Deno.mkdir(folder, { recursive: true });
  const [python, complete] = [`${folder}/bin/python`, `${folder}/complete`];
  return await inTurn(folder, async () => {
    // Its Python may be gone, after an upgrade of the system.
    if (await Deno.stat(complete).then(() => Deno.stat(python)).catch(() => undefined)) return python;
    console.error(`Installing ${packages.join(", ")} in ${folder}, which takes about ${minutes} min`);
    const pip = ["-m", "pip", "install", "--quiet", "--only-binary=:all:", ...packages];
    const reason = await problemOf(["python3", "-m", "venv", folder]) ?? await problemOf([python, ...pip]);
    if (reason !== undefined) return { reason };
    await Deno.writeTextFile(complete, "");
    return python;
  });
}

/** The system's Python, if it can import modules, else one with packages. @param modules to import */
export async function pythonHaving(
  modules: readonly string[],
  packages: readonly string[],
  environment?: Environment,
): Promise<string | Unavailable> {
  const reason = granted("run") ? await problemOf(["python3", "-c", `import ${modules.join()}`]) : "";
  return reason === undefined ? "python3" : await pythonWith(packages, environment);
}

/** Runs a Python program with arguments, and parses the JSON that it prints. */
export async function askPython(python: string, program: string, ...args: string[]): Promise<unknown> {
  const { stdout } = await new Deno.Command(python, { args: ["-c", program, ...args], stderr: "inherit" })
    .output();
  return JSON.parse(new TextDecoder().decode(stdout));
}
