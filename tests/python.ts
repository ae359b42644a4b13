/** Python with packages, as an independent reader and writer of file formats. */

import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import {
  pythonCommand,
  pythonEnvironment,
  type Unavailable,
} from "../experiments/python/python_environment.ts";
import { granted, type PermissionName } from "./permissions.ts";

const NEEDED: PermissionName[] = ["read", "write", "run"];

/**
 * Finds or makes a private virtual environment with packages, in the project's `.cache/`.
 *
 * @param packages names for pip, with or without versions
 * @param deadline milliseconds for making the environment, and again for installing
 * @returns the path of its python, or the reason why there is none
 */
export async function pythonWith(
  packages: readonly string[],
  { deadline = 300_000 }: { deadline?: number } = {},
): Promise<string | Unavailable> {
  const missing = NEEDED.filter((name) => !granted(name)).map((name) => `--allow-${name}`);
  if (missing.length > 0) return { reason: `needs ${missing.join(" ")}` };
  const hash = createHash("sha256").update([...packages].sort().join("\n")).digest("hex").slice(0, 12);
  const folder = fileURLToPath(new URL(`../.cache/python-${hash}`, import.meta.url));
  return await pythonEnvironment(folder, packages, { deadline });
}

/** Runs a Python program with arguments, and parses the JSON that it prints. */
export async function askPython(python: string, program: string, ...args: string[]): Promise<unknown> {
  const command = pythonCommand(python, { args: ["-c", program, ...args], stderr: "inherit" });
  const { stdout } = await command.output();
  return JSON.parse(new TextDecoder().decode(stdout));
}
