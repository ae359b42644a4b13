import { createHash } from "node:crypto";
import { cpus } from "node:os";
import { join, resolve } from "node:path";
import { checkout } from "./program_files.ts";
import { shownWords } from "./server_url.ts";

/**
 * Describes the machine and the code of a run, for `environment.json`. Never prompts and never fails; values that it
 * may not read are null.
 *
 * @param adapter the device's own description, any JSON value
 * @param startedAt when the run started
 */
export function collectEnvironment(adapter: unknown, startedAt: Date) {
  const memory = may("systemMemoryInfo") ? Deno.systemMemoryInfo() : undefined;
  return {
    startedAt: startedAt.toISOString(),
    argv: shownWords(Deno.args), // without credentials in addresses
    denoVersion: Deno.version.deno,
    v8Version: Deno.version.v8,
    typescriptVersion: Deno.version.typescript,
    os: Deno.build.os,
    architecture: Deno.build.arch,
    cpuModel: may("cpus") ? cpus()[0]?.model ?? null : null,
    cpuCount: navigator.hardwareConcurrency,
    memoryTotalBytes: memory?.total ?? null,
    memoryAvailableBytes: memory?.available ?? null,
    adapter,
    // The code of this suite. Its digest shows whether it was changed since the commit: asking git would take the
    // permission to run it, and with it any program.
    gitCommit: readCheckout()?.commit ?? null,
    codeDigest: codeDigest() ?? null,
  };
}

function may(kind: "cpus" | "systemMemoryInfo"): boolean {
  return Deno.permissions.querySync({ name: "sys", kind }).state === "granted";
}

/** The checkout; undefined if the program comes from elsewhere, or may not read it. */
function codeFolder(): string | undefined {
  return Deno.permissions.querySync({ name: "read" }).state === "granted" ? checkout : undefined;
}

/** SHA-256 in hex of the names and bytes of this suite's files; undefined if they are not all there. */
function codeDigest(): string | undefined {
  const root = codeFolder();
  if (root === undefined) return undefined;
  const hash = createHash("sha256");
  const add = (path: string): void => {
    const entries = [...Deno.readDirSync(join(root, path))].sort((a, b) => a.name < b.name ? -1 : 1);
    for (const { name, isFile, isDirectory } of entries) {
      const file = `${path}/${name}`;
      if (isDirectory) add(file);
      if (isFile) hash.update(`${file}\0`).update(Deno.readFileSync(join(root, file)));
    }
  };
  try {
    for (const folder of ["experiments", "kernels", "models", "viz"]) add(folder);
    return hash.digest("hex");
  } catch {
    return undefined;
  }
}

/** Commit and branch of a checkout. */
interface Checkout {
  readonly commit: string | undefined;
  readonly branch: string | undefined;
}

/** Reads the commit and the branch from git's files; undefined if there are none. */
export function readCheckout(root: string | undefined = codeFolder()): Checkout | undefined {
  if (root === undefined) return undefined;
  const read = (...path: string[]) => {
    try {
      return Deno.readTextFileSync(join(...path)).trim();
    } catch {
      return undefined;
    }
  };
  const linked = read(root, ".git")?.replace(/^gitdir: /, ""); // of a worktree
  const git = resolve(root, linked ?? ".git");
  const shared = resolve(git, read(git, "commondir") ?? "");
  const head = read(git, "HEAD");
  if (head === undefined) return undefined;
  const [, ref] = /^ref: (.*)$/.exec(head) ?? [];
  if (ref === undefined) return { commit: head, branch: undefined };
  const packed = read(shared, "packed-refs")?.split("\n").find((line) => line.endsWith(` ${ref}`));
  return {
    commit: read(shared, ref) ?? packed?.split(" ")[0],
    branch: ref.replace(/^refs\/heads\//, ""),
  };
}
