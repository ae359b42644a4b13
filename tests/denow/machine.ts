/** A machine to run `denow` on: a copy of it, a PATH of stand-ins, no network, nothing installed, the system's paths moved. */

import { testNeeding, testUnless } from "../permissions.ts";

const script = new URL("../../denow", import.meta.url);

/** What denow uses of the system; all else on its PATH is a stand-in. */
const tools = ["sh", "ls", "mkdir", "mktemp", "rm", "mv", "chmod", "find", "tail", "readlink", "cat", "env"];

/** Stand-in for a program, which tells its arguments. */
export const tells = (name: string, then = "") => `echo "${name} $*" >>"$CALLS"\n${then}`;

/** Stand-in for Deno that prints its arguments, the folder it runs in and the driver it was given. */
export const deno = (version: string) =>
  `if [ "$1" = --version ]; then echo "deno ${version} (stable, release)"; exit 0; fi
for argument in "$@"; do printf '<%s>' "$argument"; done
printf ' %s in %s, driver <%s>\\n' "${version}" "$(pwd -P)" "\${VK_DRIVER_FILES:-}"`;

/** Writes file $1 with the stand-in for Deno, from within another stand-in. */
const writeDeno = (version: string) =>
  `write() { mkdir -p "\${1%/*}"; cat >"$1" <<'STANDIN'\n#!/bin/sh\n${deno(version)}\nSTANDIN\n}`;

export const npm = (version = "2.9.6") =>
  tells("npm", `${writeDeno(version)}\nwrite "$3/node_modules/@deno/linux-x64-glibc/deno"`);

/** Python whose pip writes below the folder after --target. */
export const python = tells(
  "python3",
  `${writeDeno("2.9.6")}
case "$*" in *--target*) while [ "$1" != --target ]; do shift; done; write "$2/bin/deno" ;; esac`,
);

/** apt-get that brings the loader and Mesa's driver, as far as denow looks. */
export const apt = tells(
  "apt-get",
  `case "$*" in
  *libvulkan1*) mkdir -p "$DENOW_ROOT/usr/lib" && : >"$DENOW_ROOT/usr/lib/libvulkan.so.1" ;;
esac
case "$*" in
  *mesa-vulkan-drivers*)
    mkdir -p "$DENOW_ROOT/usr/share/vulkan/icd.d" && : >"$DENOW_ROOT/usr/share/vulkan/icd.d/lvp_icd.json" ;;
esac`,
);

export const loader = "usr/lib/x86_64-linux-gnu/libvulkan.so.1";
export const software = "usr/share/vulkan/icd.d/lvp_icd.json";
export const nvidia = "etc/vulkan/icd.d/nvidia_icd.json";
export const nvidiaElsewhere = "usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json";

/** A machine: a project with denow in a folder with spaces, a PATH, and a root folder. */
export class Machine {
  readonly folder = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "denow test " }));
  readonly project = `${this.folder}/the project`;
  readonly root = `${this.folder}/root`;

  /**
   * @param commands stand-ins by name; unless they say otherwise, it is a Linux machine, its user is root, and its Python
   *   makes environments
   * @param files what there is below the root folder
   */
  constructor(commands: Record<string, string>, files: string[] = [loader, software]) {
    for (const name of ["the project/inner", "bin", "root", "outside"]) {
      Deno.mkdirSync(`${this.folder}/${name}`, { recursive: true });
    }
    Deno.copyFileSync(script, `${this.project}/denow`);
    Deno.writeTextFileSync(this.calls, "");
    const python3 = "deno" in commands ? ":" : undefined; // where Deno is to be installed, Python may do it
    const system = { uname: "echo Linux x86_64", id: "echo 0", ldconfig: ":", ...python3 && { python3 } };
    for (const [name, body] of Object.entries({ ...system, ...commands })) this.command(`bin/${name}`, body);
    for (const name of tools) Deno.symlinkSync(which(name), `${this.folder}/bin/${name}`);
    for (const file of files) this.write(`root/${file}`, "");
  }

  get calls() {
    return `${this.folder}/calls`;
  }

  write(path: string, text: string) {
    const file = `${this.folder}/${path}`;
    Deno.mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(file, text);
  }

  command(path: string, body: string) {
    this.write(path, `#!${which("sh")}\n${body}\n`);
    Deno.chmodSync(`${this.folder}/${path}`, 0o755);
  }

  exists(path: string): boolean {
    try {
      Deno.statSync(`${this.folder}/${path}`);
      return true;
    } catch {
      return false;
    }
  }

  /** Runs denow; `calls` are what the stand-ins were called with since the last time. */
  denow(
    args: string[],
    { cwd = "the project", env = {}, program = `${this.project}/denow` }: {
      cwd?: string;
      env?: Record<string, string>;
      program?: string;
    } = {},
  ) {
    Deno.writeTextFileSync(this.calls, "");
    // No HOME: denow must do without.
    const { code, stdout, stderr } = new Deno.Command(which("sh"), {
      args: [program, ...args],
      cwd: `${this.folder}/${cwd}`,
      clearEnv: true,
      env: { PATH: `${this.folder}/bin`, DENOW_ROOT: this.root, CALLS: this.calls, ...env },
      stdin: "null",
    }).outputSync();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trimEnd();
    const calls = Deno.readTextFileSync(this.calls).trimEnd();
    return { code, out: text(stdout), err: text(stderr), calls: calls === "" ? [] : calls.split("\n") };
  }
}

function which(name: string): string {
  for (const folder of [...Deno.env.get("PATH")!.split(":"), "/usr/bin", "/bin"]) {
    try {
      if (Deno.statSync(`${folder}/${name}`).isFile) return `${folder}/${name}`;
    } catch { /* not there */ }
  }
  throw new Error(`Cannot find ${name} on PATH`);
}

/** A test on a machine that is removed afterwards. */
export function test(
  name: string,
  commands: Record<string, string>,
  files: string[] | undefined,
  fn: (machine: Machine) => void,
) {
  const run = () => {
    const machine = new Machine(commands, files);
    try {
      fn(machine);
    } finally {
      Deno.removeSync(machine.folder, { recursive: true });
    }
  };
  if (Deno.build.os === "windows") testUnless("needs a POSIX shell", `denow ${name}`, run);
  else testNeeding({ read: true, write: true, run: true, env: true }, `denow ${name}`, run);
}

export const apart = (machine: Machine) => `in ${machine.project}, driver <>`;
