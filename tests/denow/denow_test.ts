/**
 * `denow` finds or installs Deno and what WebGPU and tests need, and passes everything on to Deno. It runs on made-up
 * machines: a copy of it, stand-ins for programs, no network, nothing installed, another root folder.
 */

import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { testNeeding, testUnless } from "../permissions.ts";

const script = new URL("../../denow", import.meta.url);

/** The system's programs that denow uses; all others on its PATH are stand-ins. */
const tools = "sh ls grep mkdir mktemp rm mv chmod find tail readlink cat env".split(" ");

/** Stand-in for a program that logs its arguments. */
const logs = (name: string, then = "") => `echo "${name} $*" >>"$CALLS"\n${then}`;

/** Stand-in for Deno that prints its arguments, its folder and its driver. */
const deno = (version: string) =>
  `if [ "$1" = --version ]; then echo "deno ${version} (stable, release)"; exit 0; fi
for argument in "$@"; do printf '<%s>' "$argument"; done
printf ' %s in %s, driver <%s>\\n' "${version}" "$(pwd -P)" "\${VK_DRIVER_FILES:-}"`;

/** Writes file $1 with the stand-in for Deno, from within another stand-in. */
const writeDeno = `write() { mkdir -p "\${1%/*}"; cat >"$1" <<'STANDIN'\n#!/bin/sh\n${
  deno("2.9.6")
}\nSTANDIN\n}`;
const npm = logs("npm", `${writeDeno}\nwrite "$3/node_modules/@deno/linux-x64-glibc/deno"`);

/** Python whose pip writes below the folder after --target. */
const python = logs(
  "python3",
  `${writeDeno}
case "$*" in *--target*) while [ "$1" != --target ]; do shift; done; write "$2/bin/deno" ;; esac`,
);

const loader = "usr/lib/x86_64-linux-gnu/libvulkan.so.1";
const software = "usr/share/vulkan/icd.d/lvp_icd.json";
const nvidia = "etc/vulkan/icd.d/nvidia_icd.json";
const nvidiaElsewhere = "usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json";

/** apt-get that installs the files of packages that denow looks for. */
const apt = logs(
  "apt-get",
  Object.entries({ libvulkan1: loader, "mesa-vulkan-drivers": software, "python3-venv": "ensurepip" })
    .map(([name, file]) =>
      `case "$*" in *${name}*) file="$DENOW_ROOT/${file}"; mkdir -p "\${file%/*}"; : >"$file" ;; esac`
    ).join("\n"),
);

/**
 * A run of denow and its expected outcome: by default success, without messages or calls. In texts FOLDER, PROJECT and
 * ROOT stand for the machine's.
 */
interface Step {
  readonly setup?: (machine: Machine) => void;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly program?: string;
  readonly code?: number;
  /** Expected output of Deno; by default that of a run with these arguments. */
  readonly out?: string;
  readonly err?: string | RegExp;
  /** What the stand-ins are called with. */
  readonly calls?: readonly (string | RegExp)[];
  readonly after?: (machine: Machine) => void;
}

/** The first run on a machine, with its stand-ins besides Deno, "" for none, and the files below its root folder. */
interface First extends Step {
  readonly commands?: Readonly<Record<string, string>>;
  readonly files?: readonly string[];
}

/** A project with denow in a folder with spaces, a PATH, and a root folder; by default of Linux's root with Python. */
class Machine {
  readonly folder = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "denow test " }));
  readonly project = `${this.folder}/the project`;
  readonly #calls = `${this.folder}/calls`;

  constructor({ commands = {}, files = [loader, software] }: First) {
    for (const name of ["the project/inner", "bin", "root", "outside"]) {
      Deno.mkdirSync(`${this.folder}/${name}`, { recursive: true });
    }
    Deno.copyFileSync(script, `${this.project}/denow`);
    Deno.copyFileSync(new URL("deno.json", script), `${this.project}/deno.json`);
    const python3 = commands.deno === "" ? "" : ":"; // Python may install Deno
    const usual = { deno: deno("2.9.6"), uname: "echo Linux x86_64", id: "echo 0", ldconfig: ":", python3 };
    for (const [name, body] of Object.entries({ ...usual, ...commands })) {
      if (body !== "") this.command(name.includes("/") ? name : `bin/${name}`, body);
    }
    for (const name of tools) Deno.symlinkSync(which(name), `${this.folder}/bin/${name}`);
    for (const file of files) this.write(`root/${file}`, "");
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
    return existsSync(`${this.folder}/${path}`);
  }

  named(text: string): string {
    const names = { PROJECT: this.project, ROOT: `${this.folder}/root`, FOLDER: this.folder };
    return text.replaceAll(/PROJECT|ROOT|FOLDER/g, (name) => names[name as keyof typeof names]);
  }

  run(what: string, step: Step): void {
    const { setup, args = ["run"], env = {}, cwd = "PROJECT", program = "PROJECT/denow" } = step;
    const { code = 0, err = "", calls = [], after } = step;
    setup?.(this);
    Deno.writeTextFileSync(this.#calls, "");
    const variables = Object.entries(env).map(([name, value]) => [name, this.named(value)]);
    const result = new Deno.Command(which("sh"), {
      args: [this.named(program), ...args],
      cwd: this.named(cwd),
      clearEnv: true, // also no HOME: denow must do without
      env: {
        ...{ PATH: `${this.folder}/bin`, DENOW_ROOT: this.named("ROOT"), CALLS: this.#calls },
        ...Object.fromEntries(variables),
      },
      stdin: "null",
    }).outputSync();
    const [out, said] = [result.stdout, result.stderr].map((bytes) =>
      new TextDecoder().decode(bytes).trimEnd()
    );
    assert.equal(result.code, code, `${what}: ${said}`);
    const words = args[0] === "task" ? ["task", "-q", ...args.slice(1)] : args;
    const ran = `${words.map((word) => `<${word}>`).join("")} 2.9.6 in PROJECT, driver <>`;
    assert.equal(out, this.named(step.out ?? (out === "" && code > 0 ? "" : ran)), what);
    const called = Deno.readTextFileSync(this.#calls).split("\n").slice(0, -1);
    assert.equal(called.length, calls.length, `${what}: ${called}`);
    [err, ...calls].forEach((expected, i) => {
      const text = [said, ...called][i];
      if (typeof expected === "string") assert.equal(text, expected, what);
      else assert.match(text, expected, what);
    });
    after?.(this);
  }
}

function which(name: string): string {
  const folders = [...Deno.env.get("PATH")!.split(":"), "/usr/bin", "/bin"];
  const found = folders.map((folder) => `${folder}/${name}`)
    .find((file) => statSync(file, { throwIfNoEntry: false })?.isFile());
  return found ?? assert.fail(`Cannot find ${name} on PATH`);
}

/** Tests rows of runs, each on a machine of its own. */
function testRows(name: string, rows: Readonly<Record<string, readonly [First, ...Step[]]>>): void {
  const run = () => {
    for (const [what, steps] of Object.entries(rows)) {
      const machine = new Machine(steps[0]);
      try {
        for (const step of steps) machine.run(what, step);
      } finally {
        Deno.removeSync(machine.folder, { recursive: true });
      }
    }
  };
  if (Deno.build.os === "windows") testUnless("needs a POSIX shell", `denow ${name}`, run);
  else testNeeding({ read: true, write: true, run: true, env: true }, `denow ${name}`, run);
}

const takes = (version: string, step: First = {}): First => {
  return { out: `<run> ${version} in PROJECT, driver <>`, ...step };
};
/** Puts a Deno somewhere, identified by its version. */
const finds = (place: string, version: string, env: Record<string, string> = {}): Step =>
  takes(version, { env, setup: (machine) => machine.command(`${place}/deno`, deno(version)) });
const home = { HOME: "FOLDER/home" };

testRows("passes everything on to the first Deno that is new enough", {
  "any argument": [{ args: ["run", "a b", "", "*"] }],
  "its exit status": [takes("2.9.6", { commands: { deno: `${deno("2.9.6")}; exit 7` }, code: 7 })],
  "newer versions": ["2.9.0", "2.10.1", "3.0.0-rc.1", "2.9.6+a1b2c3d"].map((version) =>
    finds("bin", version)
  ) as [Step],
  // Each place takes precedence over those above it.
  "where installers put it": [
    { ...finds("the project/node_modules/.bin", "2.9.0"), commands: { deno: "" } },
    finds("root/opt/homebrew/bin", "2.9.1"),
    finds("root/usr/local/bin", "2.9.2"),
    finds("home/.local/bin", "2.9.3", home),
    finds("home/.deno/bin", "2.9.4", home),
    finds("installed/bin", "2.9.5", { ...home, DENO_INSTALL: "FOLDER/installed" }),
  ],
  "not one that is too old or does not run": [
    takes("2.9.0", {
      commands: {
        ...{ deno: deno("2.8.3"), "root/usr/local/bin/deno": "exit 127" },
        "root/opt/homebrew/bin/deno": deno("2.9.0"),
      },
    }),
  ],
  "the program behind npm's script": [{
    commands: {
      ...{ deno: "", "the project/node_modules/deno/bin.cjs": "exit 1" },
      "the project/node_modules/@deno/linux-x64-glibc/deno": deno("2.9.6"),
    },
    setup({ project }) {
      Deno.mkdirSync(`${project}/node_modules/.bin`);
      Deno.symlinkSync("../deno/bin.cjs", `${project}/node_modules/.bin/deno`);
    },
  }],
  "not itself": [{
    commands: { deno: "" },
    setup: ({ project, folder }) => Deno.symlinkSync(`${project}/denow`, `${folder}/bin/deno`),
    ...{ code: 1, err: /^[^\n]+\n[^\n]+$/ },
  }],
});

const outside = { cwd: "FOLDER/outside", program: "FOLDER/outside/link" };
const there = (words: string) => `<task><-q>${words} 2.9.6 in FOLDER/outside, driver <>`;
const list =
  "<run><-q><--no-config><--allow-read=PROJECT><--lock=PROJECT/deno.lock><PROJECT/experiments/tasks.ts>";

testRows("starts or lists the tasks of the project", {
  "from any folder, through a link": [
    {
      setup: ({ folder }) => Deno.symlinkSync("../the project/denow", `${folder}/outside/link`),
      ...{ ...outside, args: ["task", "runs", "-c"], out: there("<--cwd><PROJECT><runs><-c>") },
    },
    { ...outside, args: ["task", "--cwd", "y", "x"], out: there("<--cwd><y><x>") },
    { ...outside, args: ["task", "-q", "--config=z", "x"], out: there("<-q><--config=z><x>") },
    {
      ...{ ...outside, cwd: "PROJECT/inner", args: ["task", "runs"] },
      out: "<task><-q><runs> 2.9.6 in PROJECT/inner, driver <>",
    },
  ],
  "if none is named": [{ args: ["task"], out: `${list} 2.9.6 in PROJECT, driver <>` }],
  "if there is none of that name": [
    { args: ["task", "smaple", "x"], out: `${list}<smaple><x> 2.9.6 in PROJECT, driver <>` },
    { args: ["task", "train"] },
  ],
});

const pip = /^python3 -I -m pip install .*deno==2\.9\.6 --target .*the project\/\.cache\/deno/;

testRows("installs Deno if it must", {
  "with npm, once": [
    {
      commands: { deno: deno("1.46.3"), npm, python3: python },
      err: /^denow: Cannot find Deno 2\.9 .*bin\/deno is older\): installing 2\.9\.6 below \.cache with npm$/,
      calls: [/^npm install --prefix .*the project\/\.cache\/deno\/.* deno@2\.9\.6$/],
    },
    {
      after({ project }) {
        const left = [...Deno.readDirSync(`${project}/.cache/deno`)].map(({ name }) => name).sort();
        assert.deepEqual(left, ["2.9.6", "install.log"], "only the program and the log stay");
      },
    },
  ],
  "with pip3 if there is no npm, and Python lacks pip": [{
    commands: { deno: "", python3: logs("python3", "exit 1"), pip3: python.replaceAll("python3", "pip3") },
    ...{ err: /with pip$/, calls: [/^python3/, /^pip3 install/] },
  }],
  "with pip if npm fails, with npm's words": [{
    commands: { deno: "", npm: "echo no such host; exit 1", python3: python },
    ...{ err: /npm could not install Deno.*\nno such host\n.*with pip$/, calls: [/^python3/, pip] },
  }],
  "but never half of it": [{
    commands: { deno: "", npm: npm.replace("deno 2.9.6 (", "segmentation fault (") },
    err: /Install Deno 2\.9 or newer \(docs\.deno\.com\), then run this again$/,
    ...{ code: 1, calls: [/^npm install/] },
    after: (machine) => assert.ok(!machine.exists("the project/.cache/deno/2.9.6/deno")),
  }],
  "unless nothing can install it": [{
    commands: { deno: "" },
    err: /nor npm or Python's pip to install it with\ndenow: Install Deno .* then run this again$/,
    code: 1,
  }],
  "unless DENOW_NO_INSTALL=1": [
    { commands: { deno: "", npm }, env: { DENOW_NO_INSTALL: "1" }, code: 1, err: /DENOW_NO_INSTALL/ },
  ],
});

const aptInstall = "apt-get -y -o DPkg::Lock::Timeout=60 install --no-install-recommends";
/** A machine with apt-get and no driver, where tests are run. */
const bare: First = { commands: { "apt-get": apt }, files: [], args: ["test"] };
const installsBoth: Step = {
  err: "denow: No Vulkan driver: installing mesa-vulkan-drivers libvulkan1",
  calls: [`${aptInstall} mesa-vulkan-drivers libvulkan1`],
};
const byRoot =
  /^denow: .* as root run 'apt-get install mesa-vulkan-drivers libvulkan1'\. Continuing with the CPU/;
const hasDriver = (machine: Machine) => assert.ok(machine.exists(`root/${software}`));
const fails: Step = { err: /\ncannot resolve\n?/, calls: [/ install /, / update$/] };
const again: Step = { args: ["test"], err: /apt-get failed within the last hour/ };

testRows("installs a software driver for tests and on request", {
  "for tests, once": [{ ...bare, args: ["task", "test"], ...installsBoth }, { args: ["task", "test"] }],
  "for a task with Deno's flags": [{ ...bare, args: ["task", "-q", "ok"], ...installsBoth }],
  "for --device webgpu": [{ ...bare, args: ["task", "sample", "--device", "webgpu"], ...installsBoth }],
  "not for others": [
    { ...bare, args: ["task", "train:residual"] },
    { args: ["run"] },
    { args: ["task", "sample", "--device", "cpu"] },
    ...["--help", "fmt", "lint", "check"].map((command) => ({ args: [command] })),
    { args: ["--version"], out: "deno 2.9.6 (stable, release)" },
  ],
  "not on macOS and Windows": ["Darwin arm64", "MINGW64_NT-10.0-26100 x86_64"].map((system) => ({
    ...bare,
    setup: (machine) => machine.command("bin/uname", `echo '${system}'`),
  })) as [First],
  "with a sudo that asks nothing": [{
    ...bare,
    commands: { id: "echo 1000", sudo: logs("sudo", 'shift; "$@"'), "apt-get": apt },
    ...{ err: installsBoth.err!, calls: [/^sudo /, /^sudo /, /^apt-get /], after: hasDriver },
  }],
  "not without sudo": [{ ...bare, commands: { id: "echo 1000", "apt-get": apt }, err: byRoot }],
  "not with a sudo that asks": [
    { ...bare, commands: { id: "echo 1000", sudo: "exit 1", "apt-get": apt }, err: byRoot },
  ],
  "not without apt-get": [{
    ...{ ...bare, commands: {} },
    err: /^denow: No Vulkan driver: install one .*Fedora.*Arch.* Continuing with the CPU device$/,
  }],
  "not if DENOW_NO_INSTALL=1": [{ ...bare, env: { DENOW_NO_INSTALL: "1" }, err: byRoot }],
  "after an update of the package lists if they lack it": [{
    ...bare,
    commands: {
      "apt-get": `case "$*" in *update) : >"$DENOW_ROOT/lists" ;; esac
${apt}
[ -e "$DENOW_ROOT/lists" ] || { rm -r "$DENOW_ROOT/usr"; exit 100; }`,
    },
    ...{ err: installsBoth.err!, calls: [/ install /, / update$/, / install /], after: hasDriver },
  }],
  "not again within an hour after apt-get failed": [
    {
      ...{ ...bare, ...fails },
      commands: { "apt-get": logs("apt-get", "echo cannot resolve >&2; exit 100") },
    },
    again,
    {
      setup: ({ project }) => Deno.utimeSync(`${project}/.cache/denow/apt-failed-mesa-vulkan-drivers`, 0, 0),
      ...{ args: ["test"], ...fails },
    },
  ],
});

/** A machine with the given files and apt-get, that runs something else than tests. */
const withFiles = (...files: string[]): First => ({ ...bare, files, args: ["run"] });
const loaderAlone: Step = {
  err: "denow: No Vulkan loader (libvulkan.so.1): installing libvulkan1",
  calls: [`${aptInstall} libvulkan1`],
};
const uses = (driver: string): Step => ({ out: `<run> 2.9.6 in PROJECT, driver <${driver}>` });
const withoutVulkan = (file: string): [First, Step] => [
  { ...withFiles(loader, file), err: /^denow: The NVIDIA driver lacks its Vulkan part .*$/ },
  { args: ["test"], err: /Vulkan/, calls: [/mesa-vulkan-drivers libvulkan1$/] },
];
const local = "FOLDER/home/.local/share";

testRows("looks for the loader and drivers", {
  "NVIDIA's": [{ ...withFiles(nvidia), ...loaderAlone }],
  "NVIDIA's elsewhere": [
    { ...withFiles(nvidiaElsewhere), ...loaderAlone, ...uses(`ROOT/${nvidiaElsewhere}`) },
  ],
  "a software driver": [{ ...withFiles(software), ...loaderAlone }],
  "NVIDIA's without Vulkan, in the kernel": withoutVulkan("proc/driver/nvidia/version"),
  "NVIDIA's without Vulkan, as a library": withoutVulkan("usr/lib64/libGLX_nvidia.so.0"),
  "where the loader does not, unless the user has set one or a usual place has one": [
    { files: [loader, software, nvidiaElsewhere], ...uses(`ROOT/${nvidiaElsewhere}`) },
    { env: { VK_DRIVER_FILES: `ROOT/${software}` }, ...uses(`ROOT/${software}`) },
    { setup: (machine) => machine.write(`root/${nvidia}`, "") },
  ],
  "through LD_LIBRARY_PATH and ldconfig": [
    { files: [software, "odd place/libvulkan.so.1"], env: { LD_LIBRARY_PATH: "/nowhere:ROOT/odd place" } },
    {
      setup: (machine) =>
        machine.command("bin/ldconfig", "echo '	libvulkan.so.1 (libc6,x86-64) => /odd/libvulkan.so.1'"),
    },
  ],
  "in the user's folders": [
    {
      ...{ files: [loader], env: { HOME: "FOLDER/home" } },
      setup: (machine) => machine.write("home/.local/share/vulkan/icd.d/own.json", ""),
    },
    { env: { XDG_DATA_HOME: local } },
    { env: { XDG_DATA_DIRS: `/nowhere:${local}` } },
  ],
  "where VK_DRIVER_FILES leads, even nowhere": [{
    ...{ ...withFiles(loader, software), ...uses("/no/such.json") },
    env: { VK_DRIVER_FILES: "/no/such.json" },
    err: /VK_DRIVER_FILES .*names no existing file/,
  }],
});

/** Python without Debian's python3-venv, until it is installed. */
const python3 = `[ "$1" = -I ] && [ -e "$DENOW_ROOT/ensurepip" ]`;
const withoutVenv: First = { commands: { python3, "apt-get": apt } };
const noPython = "denow: No Python that can create virtual environments";
const once = (...args: string[]): [First, Step] => [
  {
    ...withoutVenv,
    args,
    err: `${noPython}: installing python3-venv`,
    calls: [`${aptInstall} python3-venv`],
  },
  { args },
];

testRows("installs python3-venv for tests", {
  "task test, once": once("task", "test"),
  "task ok, once": once("task", "ok"),
  "not for others": [
    { ...withoutVenv, args: ["task", "train:residual"] },
    { args: ["run", "x.ts"] },
    { args: ["check"] },
  ],
  "not without root or sudo": [{
    ...{ commands: { ...withoutVenv.commands, id: "echo 1000" }, args: ["task", "test"] },
    err: `${noPython}: for tests with MLflow and Jupyter, as root run 'apt-get install python3-venv'. ` +
      "Continuing without it",
  }],
});
