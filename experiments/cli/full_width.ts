/** Starts a task once more with V8's flag for wide vectors, which only `denow` sets before Deno starts. */

import { readFileSync } from "node:fs";

const wideVectors = "--experimental-wasm-revectorize";

/**
 * Replaces the running program by itself with wide vectors, so that products take half the time (docs/performance.md).
 * The process stays the same: its number, streams, signals, permissions and arguments.
 *
 * Returns if that does not help or is not possible: the flag is set, on or off, V8 does not know it, the processor has no
 * AVX2, this is not Linux, or the program may not read files, run programs and call the system's C library (`-A`).
 *
 * @param flag V8's flag
 */
export function startWide(flag = wideVectors): void {
  const { arch, os } = Deno.build;
  if (arch !== "x86_64" || os !== "linux" || !isAllowed()) return;
  const words = textOf("/proc/self/cmdline").split("\0").slice(0, -1);
  const flags = Deno.env.get("DENO_V8_FLAGS") ?? "";
  const isSet = [flags, ...words].some((text) => text.includes("wasm-revectorize"));
  if (isSet || words.length === 0 || !/\bavx2\b/.test(textOf("/proc/cpuinfo"))) return;

  const program = Deno.execPath();
  const env = { DENO_V8_FLAGS: flags === "" ? flag : `${flags},${flag}` };
  // V8 ends a program at a flag that it does not know.
  const probe = new Deno.Command(program, { args: ["eval", ""], env, stdout: "null", stderr: "null" });
  if (!probe.outputSync().success) return;
  Deno.env.set("DENO_V8_FLAGS", env.DENO_V8_FLAGS);
  replaceProgram(program, words);
}

/** Whether all that {@linkcode startWide} needs is permitted, without asking. */
function isAllowed(): boolean {
  const names = ["read", "env", "run", "ffi", "sys"] as const;
  return names.every((name) => Deno.permissions.querySync({ name }).state === "granted");
}

/** The text of a file of the system, or none: without `-A`, Deno refuses some even to programs that may read all files. */
function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** Calls execv of the C library, which returns only if it fails; then the task runs as it is. */
function replaceProgram(program: string, words: readonly string[]): void {
  const texts = words.map(cString);
  const pointers = new BigUint64Array(texts.length + 1);
  texts.forEach((text, i) => pointers[i] = Deno.UnsafePointer.value(Deno.UnsafePointer.of(text)));
  try {
    const library = Deno.dlopen("libc.so.6", { execv: { parameters: ["buffer", "buffer"], result: "i32" } });
    library.symbols.execv(cString(program), pointers);
    library.close();
  } catch {
    // Another C library.
  }
}

/** UTF-8 that ends in a zero. */
function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}
