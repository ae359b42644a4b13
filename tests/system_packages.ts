/** Debian and Ubuntu programs that tests need, installed if they are missing. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inTurn } from "./folder.ts";
import { granted, type PermissionName } from "./permissions.ts";

const NEEDED: PermissionName[] = ["read", "write", "run", "env", "net"];

const failureCountsMs = 60 * 60_000;
const cache = fileURLToPath(new URL("../.cache", import.meta.url));

/** A program from the system's packages. */
export interface SystemProgram {
  /** Its usual name. */
  readonly name: string;
  /** Debian packages that contain it. */
  readonly packages: readonly string[];
  /** Finds the program: its path, or undefined. */
  find(): Promise<string | undefined>;
}

/**
 * Finds a program, or installs it on Debian and Ubuntu, if run by root or with a sudo that needs no password. A failure
 * is remembered for an hour, so that a missing network costs time only once.
 *
 * @returns its path, or the reason why there is none
 */
export async function findOrInstall(program: SystemProgram): Promise<string | { reason: string }> {
  const missing = NEEDED.filter((name) => !granted(name)).map((name) => `--allow-${name}`);
  if (missing.length > 0) return { reason: `needs ${missing.join(" ")}` };
  const there = await program.find();
  if (there !== undefined) return there;
  await Deno.mkdir(cache, { recursive: true });
  // Test files run in parallel: the second one finds what the first has installed.
  return await inTurn(cache, async () => await program.find() ?? await newlyInstalled(program));
}

async function newlyInstalled(program: SystemProgram): Promise<string | { reason: string }> {
  const failure = join(cache, `${program.name.toLowerCase()}-failed`);
  const known = await recentFailure(failure);
  if (known !== undefined) return { reason: known };

  if (Deno.env.get("DENOW_NO_INSTALL") === "1") {
    return { reason: `needs ${program.name}, and DENOW_NO_INSTALL forbids installing it` };
  }
  const problem = await install(program);
  const found = problem === undefined ? await program.find() : undefined;
  if (found !== undefined) return found;
  const reason = `needs ${program.name}, and ${problem ?? "the installed one does not run"}`;
  await Deno.writeTextFile(failure, reason);
  return { reason };
}

/** The first program that runs. */
export async function firstThatRuns(...paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if (await problemOf([path, "--version"]) === undefined) return path;
}

/** Runs a command for at most ten minutes. @returns undefined if it succeeds, else the problem in one line */
export async function problemOf([program, ...args]: readonly string[]): Promise<string | undefined> {
  const signal = AbortSignal.timeout(600_000);
  try {
    const { success, stdout, stderr } = await new Deno.Command(program, { args, signal, stdin: "null" })
      .output();
    if (success) return undefined;
    if (signal.aborted) {
      return `'${[program, ...args].join(" ")}' takes longer than 10 min; run it, then the tests again`;
    }
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
    // Debian's Python explains in a paragraph that venv is a separate package.
    if (/ensurepip\s+is\s+not\s+available/.test(out)) return "no python3-venv; ./denow installs it";
    return `${program} failed: ${(err || out).split("\n").at(-1)}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return `there is no ${program}`;
    throw error;
  }
}

async function recentFailure(file: string): Promise<string | undefined> {
  try {
    const { mtime } = await Deno.stat(file);
    if (Date.now() - (mtime?.getTime() ?? 0) < failureCountsMs) return await Deno.readTextFile(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function install({ name, packages }: SystemProgram): Promise<string | undefined> {
  const isRoot = Deno.uid() === 0;
  const tools = isRoot ? ["apt-get"] : ["sudo", "apt-get"];
  for (const tool of tools) {
    if (await problemOf([tool, "--version"]) !== undefined) return `there is no ${tool} to install one with`;
  }
  const prefix = isRoot ? [] : ["sudo", "-n"];
  const aptGet = [
    ...prefix,
    ...["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "-o", "DPkg::Lock::Timeout=300"],
  ];
  const get = async (...words: string[]) => {
    const problem = await problemOf([...aptGet, ...words]);
    return problem?.replace(/^\w+ failed/, `apt-get ${words[0]} failed`);
  };
  const getPackages = () => get("install", "--no-install-recommends", ...packages);
  console.error(`Installing ${name} for the tests`);
  // A fresh container has no package lists, and an old one has outdated lists; an update fixes both.
  if (await getPackages() === undefined) return undefined;
  return await get("update") ?? await getPackages();
}
