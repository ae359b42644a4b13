import { cpus } from "node:os";
import { shownWords } from "./server_url.ts";

/**
 * Describes the machine and the code of a run, for `environment.json`. Never prompts and never fails; values that it
 * may not read are null.
 *
 * @param adapter the device's own description, any JSON value
 * @param startedAt when the run started
 */
export async function collectEnvironment(adapter: unknown, startedAt: Date) {
  const memory = may("systemMemoryInfo") ? Deno.systemMemoryInfo() : undefined;
  const commit = await runGit("rev-parse", "HEAD");
  const changes = await runGit("status", "--porcelain");
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
    gitCommit: commit ?? null, // of this suite's code
    gitDirty: changes === undefined ? null : changes !== "",
  };
}

function may(kind: "cpus" | "systemMemoryInfo"): boolean {
  return Deno.permissions.querySync({ name: "sys", kind }).state === "granted";
}

/** Output of git in this file's folder; undefined without git, the permission to run it, or a repository. */
export async function runGit(...args: string[]): Promise<string | undefined> {
  const folder = import.meta.dirname;
  const permission = Deno.permissions.querySync({ name: "run", command: "git" });
  if (folder === undefined || permission.state !== "granted") return undefined;
  try {
    // Do not start programs that the repository's settings name, and do not write to the repository.
    const careful = ["--no-optional-locks", "-c", "core.fsmonitor=false"];
    const { success, stdout } = await new Deno.Command("git", { args: [...careful, ...args], cwd: folder })
      .output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch {
    return undefined;
  }
}
