/** A machine to run `denow` on: a copy of it, stand-ins on PATH, no network, nothing installed, another root folder. */

import assert from "node:assert/strict";
import { testNeeding, testUnless } from "../permissions.ts";

const script = new URL("../../denow", import.meta.url);

/** The system's programs that denow uses; all others on its PATH are stand-ins. */
const tools = "sh ls grep mkdir mktemp rm mv chmod find tail readlink cat env".split(" ");

/** Stand-in for a program that logs its arguments. */
export const logs = (name: string, then = "") => `echo "${name} $*" >>"$CALLS"\n${then}`;

/** Stand-in for Deno that prints its arguments, its folder and its driver. */
export const deno = (version: string) =>
  `if [ "$1" = --version ]; then echo "deno ${version} (stable, release)"; exit 0; fi
for argument in "$@"; do printf '<%s>' "$argument"; done
printf ' %s in %s, driver <%s>\\n' "${version}" "$(pwd -P)" "\${VK_DRIVER_FILES:-}"`;

/** Writes file $1 with the stand-in for Deno, from within another stand-in. */
const writeDeno = (version: string) =>
  `write() { mkdir -p "\${1%/*}"; cat >"$1" <<'STANDIN'\n#!/bin/sh\n${deno(version)}\nSTANDIN\n}`;

export const npm = (version = "2.9.6") =>
  logs("npm", `${writeDeno(version)}\nwrite "$3/node_modules/@deno/linux-x64-glibc/deno"`);

/** Python whose pip writes below the folder after --target. */
export const python = logs(
  "python3",
  `${writeDeno("2.9.6")}
case "$*" in *--target*) while [ "$1" != --target ]; do shift; done; write "$2/bin/deno" ;; esac`,
);

/** apt-get that installs the files of the loader and of Mesa's driver that denow looks for. */
export const apt = logs(
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
   * @param commands stand-ins by name or path, "" for none; by default, a Linux machine whose user is root and whose
   *   Python makes environments
   * @param files files below the root folder
   */
  constructor(commands: Readonly<Record<string, string>>, files: readonly string[] = [loader, software]) {
    for (const name of ["the project/inner", "bin", "root", "outside"]) {
      Deno.mkdirSync(`${this.folder}/${name}`, { recursive: true });
    }
    Deno.copyFileSync(script, `${this.project}/denow`);
    Deno.copyFileSync(new URL("deno.json", script), `${this.project}/deno.json`);
    Deno.writeTextFileSync(this.calls, "");
    const python3 = commands.deno === "" ? "" : ":"; // Python may install Deno
    const all = { uname: "echo Linux x86_64", id: "echo 0", ldconfig: ":", python3, ...commands };
    for (const [name, body] of Object.entries(all)) {
      if (body !== "") this.command(name.includes("/") ? name : `bin/${name}`, body);
    }
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

  /** Replaces FOLDER, PROJECT and ROOT in a text by the machine's folders. */
  named(text: string): string {
    return text.replaceAll("PROJECT", this.project).replaceAll("ROOT", this.root).replaceAll(
      "FOLDER",
      this.folder,
    );
  }

  /** Runs denow; `calls` are what the stand-ins were called with. */
  denow(args: readonly string[], step: Step) {
    const { code, stdout, stderr } = this.#command(args, step).outputSync();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trimEnd();
    const calls = Deno.readTextFileSync(this.calls).trimEnd();
    return { code, out: text(stdout), err: text(stderr), calls: calls === "" ? [] : calls.split("\n") };
  }

  #command(args: readonly string[], { cwd = "PROJECT", env = {}, program = "PROJECT/denow" }: Step) {
    Deno.writeTextFileSync(this.calls, "");
    const variables = Object.entries(env).map(([name, value]) => [name, this.named(value)]);
    // No HOME: denow must do without.
    return new Deno.Command(which("sh"), {
      args: [this.named(program), ...args],
      cwd: this.named(cwd),
      clearEnv: true,
      env: {
        PATH: `${this.folder}/bin`,
        DENOW_ROOT: this.root,
        CALLS: this.calls,
        ...Object.fromEntries(variables),
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
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

/**
 * A run of denow and its expected outcome: by default success, without output or calls. In texts FOLDER, PROJECT and
 * ROOT stand for the machine's.
 */
export interface Step {
  readonly setup?: (machine: Machine) => void;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly program?: string;
  readonly code?: number;
  /** Expected output of Deno; by default that of a run with these arguments. */
  readonly out?: string;
  readonly err?: string | RegExp;
  readonly calls?: readonly (string | RegExp)[];
  readonly after?: (machine: Machine) => void;
}

/** The first run on a machine, with its stand-ins besides Deno, and the files below its root folder. */
export interface First extends Step {
  readonly commands?: Readonly<Record<string, string>>;
  readonly files?: readonly string[];
}

/** Tests rows of runs, each on a machine of its own. */
export function testRows(name: string, rows: Readonly<Record<string, readonly [First, ...Step[]]>>): void {
  const run = () => {
    for (const [what, steps] of Object.entries(rows)) {
      const { commands, files } = steps[0];
      const machine = new Machine({ deno: deno("2.9.6"), ...commands }, files);
      try {
        for (const step of steps) check(machine, what, step);
      } finally {
        Deno.removeSync(machine.folder, { recursive: true });
      }
    }
  };
  if (Deno.build.os === "windows") testUnless("needs a POSIX shell", `denow ${name}`, run);
  else testNeeding({ read: true, write: true, run: true, env: true }, `denow ${name}`, run);
}

function check(machine: Machine, what: string, step: Step): void {
  const { setup, args = ["run"], code = 0, err = "", calls = [], after } = step;
  setup?.(machine);
  const result = machine.denow(args, step);
  assert.equal(result.code, code, `${what}: ${result.err}`);
  const words = args[0] === "task" ? ["task", "-q", ...args.slice(1)] : args;
  const ran = `${words.map((word) => `<${word}>`).join("")} 2.9.6 in PROJECT, driver <>`;
  assert.equal(result.out, machine.named(step.out ?? (result.out === "" && code > 0 ? "" : ran)), what);
  matches(result.err, err, what);
  assert.equal(result.calls.length, calls.length, `${what}: ${result.calls}`);
  calls.forEach((call, i) => matches(result.calls[i], call, what));
  after?.(machine);
}

function matches(text: string, expected: string | RegExp, what: string): void {
  if (typeof expected === "string") assert.equal(text, expected, what);
  else assert.match(text, expected, what);
}
