/** `denow` in a copy of its own, on a PATH of stand-ins: no network, nothing installed, the system's paths moved. */

import assert from "node:assert/strict";
import { testNeeding, testUnless } from "./permissions.ts";

const script = new URL("../denow", import.meta.url);

/** What denow uses of the system; all else on its PATH is a stand-in. */
const tools = ["sh", "ls", "mkdir", "mktemp", "rm", "mv", "chmod", "find", "tail", "readlink", "cat", "env"];

/** Stand-in for a program, which tells its arguments. */
const tells = (name: string, then = "") => `echo "${name} $*" >>"$CALLS"\n${then}`;

/** Stand-in for Deno that prints its arguments, the folder it runs in and the driver it was given. */
const deno = (version: string) =>
  `if [ "$1" = --version ]; then echo "deno ${version} (stable, release)"; exit 0; fi
for argument in "$@"; do printf '<%s>' "$argument"; done
printf ' %s in %s, driver <%s>\\n' "${version}" "$(pwd -P)" "\${VK_DRIVER_FILES:-}"`;

/** Writes file $1 with the stand-in for Deno, from within another stand-in. */
const writeDeno = (version: string) =>
  `write() { mkdir -p "\${1%/*}"; cat >"$1" <<'STANDIN'\n#!/bin/sh\n${deno(version)}\nSTANDIN\n}`;

const npm = (version = "2.9.6") =>
  tells("npm", `${writeDeno(version)}\nwrite "$3/node_modules/@deno/linux-x64-glibc/deno"`);

/** Python whose pip writes below the folder after --target. */
const python = tells(
  "python3",
  `${writeDeno("2.9.6")}
case "$*" in *--target*) while [ "$1" != --target ]; do shift; done; write "$2/bin/deno" ;; esac`,
);

/** apt-get that brings the loader and Mesa's driver, as far as denow looks. */
const apt = tells(
  "apt-get",
  `case "$*" in
  *libvulkan1*) mkdir -p "$DENOW_ROOT/usr/lib" && : >"$DENOW_ROOT/usr/lib/libvulkan.so.1" ;;
esac
case "$*" in
  *mesa-vulkan-drivers*)
    mkdir -p "$DENOW_ROOT/usr/share/vulkan/icd.d" && : >"$DENOW_ROOT/usr/share/vulkan/icd.d/lvp_icd.json" ;;
esac`,
);

const loader = "usr/lib/x86_64-linux-gnu/libvulkan.so.1";
const software = "usr/share/vulkan/icd.d/lvp_icd.json";
const nvidia = "etc/vulkan/icd.d/nvidia_icd.json";
const nvidiaElsewhere = "usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json";

/** A machine: a project with denow in a folder with spaces, a PATH, and a root folder. */
class Machine {
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
function test(
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

const apart = (machine: Machine) => `in ${machine.project}, driver <>`;

test("is quiet and hands everything on when all is there", { deno: deno("2.9.6") }, undefined, (machine) => {
  const { code, out, err } = machine.denow(["run", "a b", "", "*"]);
  assert.deepEqual([code, out, err], [0, `<run><a b><><*> 2.9.6 ${apart(machine)}`, ""]);
});

test("passes Deno's exit status on", { deno: `${deno("2.9.6")}; exit 7` }, undefined, (machine) => {
  assert.equal(machine.denow(["run"]).code, 7);
});

test("takes newer versions for new enough", { deno: "" }, undefined, (machine) => {
  for (const version of ["2.9.0", "2.10.1", "3.0.0-rc.1", "2.9.6+a1b2c3d"]) {
    machine.command("bin/deno", deno(version));
    const { out, err } = machine.denow(["run"]);
    assert.deepEqual([out, err], [`<run> ${version} ${apart(machine)}`, ""]);
  }
});

test("finds Deno where installers put it", {}, undefined, (machine) => {
  const places: [string, Record<string, string>][] = [
    ["the project/node_modules/.bin", {}],
    ["root/opt/homebrew/bin", {}],
    ["root/usr/local/bin", {}],
    ["home/.local/bin", { HOME: `${machine.folder}/home` }],
    ["home/.deno/bin", { HOME: `${machine.folder}/home` }],
    ["installed/bin", { HOME: `${machine.folder}/home`, DENO_INSTALL: `${machine.folder}/installed` }],
  ];
  // Each goes before the ones above it.
  for (const [index, [place, env]] of places.entries()) {
    machine.command(`${place}/deno`, deno(`2.9.${index}`));
    assert.match(machine.denow(["run"], { env }).out, new RegExp(` 2\\.9\\.${index} `), place);
  }
});

test("runs the program behind npm's script", {}, undefined, (machine) => {
  const modules = "the project/node_modules";
  machine.command(`${modules}/deno/bin.cjs`, "exit 1");
  machine.command(`${modules}/@deno/linux-x64-glibc/deno`, deno("2.9.6"));
  Deno.mkdirSync(`${machine.folder}/${modules}/.bin`);
  Deno.symlinkSync("../deno/bin.cjs", `${machine.folder}/${modules}/.bin/deno`);
  assert.equal(machine.denow(["run"]).out, `<run> 2.9.6 ${apart(machine)}`);
});

test("is not its own Deno", {}, undefined, (machine) => {
  Deno.symlinkSync(`${machine.project}/denow`, `${machine.folder}/bin/deno`);
  const { code, err } = machine.denow(["run"]);
  assert.deepEqual([code, err.split("\n").length], [1, 2]);
});

test("passes over a Deno that is too old or does not run", { deno: deno("2.8.3") }, undefined, (machine) => {
  machine.command("root/usr/local/bin/deno", "exit 127");
  machine.command("root/opt/homebrew/bin/deno", deno("2.9.0"));
  assert.match(machine.denow(["run"]).out, / 2\.9\.0 /);
  assert.match(machine.denow(["run"]).out, / 2\.9\.0 /);
});

test(
  "installs Deno with npm, once",
  { deno: deno("1.46.3"), npm: npm(), python3: python },
  undefined,
  (machine) => {
    const first = machine.denow(["run"]);
    assert.equal(first.out, `<run> 2.9.6 ${apart(machine)}`);
    assert.match(
      first.err,
      /^denow: No Deno 2\.9 .*bin\/deno is older\): installing 2\.9\.6 below \.cache with npm$/,
    );
    assert.equal(first.calls.length, 1);
    assert.match(first.calls[0], /^npm install --prefix .*the project\/\.cache\/deno\/.* deno@2\.9\.6$/);
    const second = machine.denow(["run"]);
    assert.deepEqual([second.out, second.err], [first.out, ""]);
    // Nothing but the program, and the log, stays.
    const left = [...Deno.readDirSync(`${machine.project}/.cache/deno`)].map(({ name }) => name).sort();
    assert.deepEqual(left, ["2.9.6", "install.log"]);
  },
);

test("installs Deno with pip where there is no npm", { python3: python }, undefined, (machine) => {
  const { out, err, calls } = machine.denow(["run"]);
  assert.equal(out, `<run> 2.9.6 ${apart(machine)}`);
  assert.match(err, /with pip$/);
  assert.match(calls[1], /^python3 -m pip install .*deno==2\.9\.6 --target .*the project\/\.cache\/deno/);
});

test(
  "installs Deno with pip3 where Python lacks pip",
  {
    python3: tells("python3", "exit 1"),
    pip3: python.replaceAll("python3", "pip3"),
  },
  undefined,
  (machine) => {
    assert.equal(machine.denow(["run"]).out, `<run> 2.9.6 ${apart(machine)}`);
  },
);

test(
  "goes on to pip where npm fails, with npm's words",
  {
    npm: "echo no such host; exit 1",
    python3: python,
  },
  undefined,
  (machine) => {
    const { out, err } = machine.denow(["run"]);
    assert.equal(out, `<run> 2.9.6 ${apart(machine)}`);
    assert.match(err, /npm could not install Deno.*\nno such host\n.*with pip$/);
  },
);

test(
  "uses no half install",
  {
    npm: npm().replace("deno 2.9.6 (", "segmentation fault ("),
  },
  undefined,
  (machine) => {
    const { code, out, err } = machine.denow(["run"]);
    assert.deepEqual([code, out], [1, ""]);
    assert.match(err, /Install Deno 2\.9 or newer \(docs\.deno\.com\), then run this again$/);
    assert.ok(!machine.exists("the project/.cache/deno/2.9.6/deno"));
  },
);

test("stops with a way out where nothing can install Deno", {}, undefined, (machine) => {
  const { code, out, err } = machine.denow(["run"]);
  assert.deepEqual([code, out], [1, ""]);
  assert.match(
    err,
    /neither npm nor Python's pip to install it with\ndenow: Install Deno .* then run this again$/,
  );
});

test("installs no Deno if DENOW_NO_INSTALL=1", { npm: npm() }, undefined, (machine) => {
  const { code, err, calls } = machine.denow(["run"], { env: { DENOW_NO_INSTALL: "1" } });
  assert.deepEqual([code, calls], [1, []]);
  assert.match(err, /DENOW_NO_INSTALL/);
});

test("starts a task of the project from any folder", { deno: deno("2.9.6") }, undefined, (machine) => {
  Deno.symlinkSync("../the project/denow", `${machine.folder}/outside/link`);
  const program = `${machine.folder}/outside/link`;
  const inside = machine.denow(["task", "x"], { cwd: "the project/inner", program });
  assert.equal(inside.out, `<task><x> 2.9.6 in ${machine.project}/inner, driver <>`);
  const task = (...args: string[]) =>
    machine.denow(["task", ...args], { cwd: "outside", program }).out.split(" 2.9")[0];
  assert.equal(task("x", "-c"), `<task><--cwd><${machine.project}><x><-c>`);
  assert.equal(task("--cwd", "y", "x"), "<task><--cwd><y><x>");
  assert.equal(task("-q", "--config=z", "x"), "<task><-q><--config=z><x>");
});

// A GPU for WebGPU.

test(
  "installs a software driver where there is no GPU, once",
  { deno: deno("2.9.6"), "apt-get": apt },
  [],
  (machine) => {
    const { code, out, err, calls } = machine.denow(["task", "test"]);
    assert.deepEqual([code, out], [0, `<task><test> 2.9.6 ${apart(machine)}`]);
    assert.equal(err, "denow: No Vulkan driver: installing mesa-vulkan-drivers libvulkan1");
    assert.deepEqual(calls, [
      "apt-get -y -o DPkg::Lock::Timeout=60 install --no-install-recommends mesa-vulkan-drivers libvulkan1",
    ]);
    const again = machine.denow(["task", "test"]);
    assert.deepEqual([again.err, again.calls], ["", []]);
  },
);

for (const driver of [nvidia, nvidiaElsewhere, software]) {
  const commands = { deno: deno("2.9.6"), "apt-get": apt };
  test(`installs the loader alone beside ${driver}`, commands, [driver], (machine) => {
    const { err, calls } = machine.denow(["run"]);
    assert.equal(err, "denow: No Vulkan loader (libvulkan.so.1): installing libvulkan1");
    assert.match(calls[0], /install --no-install-recommends libvulkan1$/);
  });
}

for (const trace of ["proc/driver/nvidia/version", "usr/lib64/libGLX_nvidia.so.0"]) {
  const commands = { deno: deno("2.9.6"), "apt-get": apt };
  test(
    `says that NVIDIA's driver lacks Vulkan where there is only ${trace}`,
    commands,
    [loader, trace],
    (machine) => {
      const { err, calls } = machine.denow(["run"]);
      assert.match(err, /^denow: An NVIDIA driver is here without its Vulkan part .*$/);
      assert.deepEqual(calls, []);
      assert.match(machine.denow(["test"]).calls[0], /mesa-vulkan-drivers libvulkan1$/);
    },
  );
}

test("tells the loader of an NVIDIA driver where it does not look", { deno: deno("2.9.6") }, [
  loader,
  software,
  nvidiaElsewhere,
], (machine) => {
  const { out, err } = machine.denow(["run"]);
  assert.deepEqual([out, err], [
    `<run> 2.9.6 in ${machine.project}, driver <${machine.root}/${nvidiaElsewhere}>`,
    "",
  ]);
  // But not if the user has chosen, or if it is in a usual place, too.
  const chosen = machine.denow(["run"], { env: { VK_DRIVER_FILES: `${machine.root}/${software}` } });
  assert.match(chosen.out, /driver <.*lvp_icd\.json>$/);
  machine.write(`root/${nvidia}`, "");
  assert.match(machine.denow(["run"]).out, /driver <>$/);
});

test("finds the loader through LD_LIBRARY_PATH and ldconfig", { deno: deno("2.9.6") }, [
  software,
  "odd place/libvulkan.so.1",
], (machine) => {
  const env = { LD_LIBRARY_PATH: `/nowhere:${machine.root}/odd place` };
  assert.equal(machine.denow(["run"], { env }).err, "");
  machine.command("bin/ldconfig", "echo '	libvulkan.so.1 (libc6,x86-64) => /odd/libvulkan.so.1'");
  assert.equal(machine.denow(["run"]).err, "");
});

test("finds a driver in the user's folders", { deno: deno("2.9.6") }, [loader], (machine) => {
  machine.write("home/.local/share/vulkan/icd.d/own.json", "");
  assert.equal(machine.denow(["run"], { env: { HOME: `${machine.folder}/home` } }).err, "");
  assert.equal(
    machine.denow(["run"], { env: { XDG_DATA_HOME: `${machine.folder}/home/.local/share` } }).err,
    "",
  );
  assert.equal(
    machine.denow(["run"], { env: { XDG_DATA_DIRS: `/nowhere:${machine.folder}/home/.local/share` } }).err,
    "",
  );
});

test("installs nothing where VK_DRIVER_FILES leads nowhere", { deno: deno("2.9.6"), "apt-get": apt }, [
  loader,
  software,
], (machine) => {
  const { code, err, calls } = machine.denow(["run"], { env: { VK_DRIVER_FILES: "/no/such.json" } });
  assert.deepEqual([code, calls], [0, []]);
  assert.match(err, /VK_DRIVER_FILES .*names no file/);
});

test(
  "uses a sudo that asks nothing",
  {
    deno: deno("2.9.6"),
    id: "echo 1000",
    sudo: tells("sudo", 'shift; "$@"'),
    "apt-get": apt,
  },
  [],
  (machine) => {
    const { err, calls } = machine.denow(["test"]);
    assert.equal(err, "denow: No Vulkan driver: installing mesa-vulkan-drivers libvulkan1");
    assert.deepEqual(calls.map((call) => call.split(" ")[0]), ["sudo", "sudo", "apt-get"]);
    assert.ok(machine.exists(`root/${software}`));
  },
);

for (const [who, commands] of Object.entries({ "no sudo": {}, "a sudo that asks": { sudo: "exit 1" } })) {
  test(
    `says what to do and goes on with ${who}`,
    {
      deno: deno("2.9.6"),
      id: "echo 1000",
      "apt-get": apt,
      ...commands,
    },
    [],
    (machine) => {
      const { code, out, err, calls } = machine.denow(["test"]);
      assert.deepEqual([code, out, calls], [0, `<test> 2.9.6 ${apart(machine)}`, []]);
      assert.match(
        err,
        /^denow: .* as root run 'apt-get install mesa-vulkan-drivers libvulkan1'\. Going on with the CPU/,
      );
    },
  );
}

test("says what to do and goes on without apt-get", { deno: deno("2.9.6") }, [], (machine) => {
  const { code, err } = machine.denow(["test"]);
  assert.equal(code, 0);
  assert.match(err, /^denow: No Vulkan driver: install one .*Fedora.*Arch.* Going on with the CPU device$/);
});

test("installs no driver if DENOW_NO_INSTALL=1", { deno: deno("2.9.6"), "apt-get": apt }, [], (machine) => {
  const { code, err, calls } = machine.denow(["test"], { env: { DENOW_NO_INSTALL: "1" } });
  assert.deepEqual([code, calls], [0, []]);
  assert.match(err, /as root run 'apt-get install/);
});

test(
  "updates the package lists where they lack the driver",
  {
    deno: deno("2.9.6"),
    "apt-get": `case "$*" in *update) : >"$DENOW_ROOT/lists" ;; esac
${apt}
[ -e "$DENOW_ROOT/lists" ] || { rm -r "$DENOW_ROOT/usr"; exit 100; }`,
  },
  [],
  (machine) => {
    const { err, calls } = machine.denow(["test"]);
    assert.equal(err, "denow: No Vulkan driver: installing mesa-vulkan-drivers libvulkan1");
    const steps = calls.map((call) => /update|install/.exec(call)?.[0]);
    assert.deepEqual(steps, ["install", "update", "install"]);
    assert.ok(machine.exists(`root/${software}`));
  },
);

test(
  "goes on where apt-get fails, and does not try again at once",
  {
    deno: deno("2.9.6"),
    "apt-get": tells("apt-get", "echo cannot resolve >&2; exit 100"),
  },
  [],
  (machine) => {
    const first = machine.denow(["test"]);
    assert.deepEqual([first.code, first.out], [0, `<test> 2.9.6 ${apart(machine)}`]);
    assert.match(first.err, /\ncannot resolve\n?/);
    const second = machine.denow(["test"]);
    assert.deepEqual([second.code, second.calls], [0, []]);
    assert.match(second.err, /apt-get failed within the last hour/);
    Deno.utimeSync(`${machine.project}/.cache/denow/apt-failed-mesa-vulkan-drivers`, 0, 0);
    assert.notDeepEqual(machine.denow(["test"]).calls, []);
  },
);

test("needs no GPU for work on text", { deno: deno("2.9.6"), "apt-get": apt }, [], (machine) => {
  for (const command of ["--version", "--help", "fmt", "lint", "check"]) {
    assert.equal(machine.denow([command]).err, "", command);
  }
});

test(
  "needs no driver of its own on macOS and Windows",
  { deno: deno("2.9.6"), "apt-get": apt },
  [],
  (machine) => {
    for (const system of ["Darwin arm64", "MINGW64_NT-10.0-26100 x86_64"]) {
      machine.command("bin/uname", `echo '${system}'`);
      assert.equal(machine.denow(["test"]).err, "", system);
    }
  },
);

test(
  "installs no software driver but for tests and who asks",
  { deno: deno("2.9.6"), "apt-get": apt },
  [],
  (machine) => {
    for (const args of [["task", "train:residual"], ["run"], ["task", "sample", "--device", "cpu"]]) {
      const { code, err, calls } = machine.denow(args);
      assert.deepEqual([code, err, calls], [0, "", []], args.join(" "));
    }
    for (const args of [["task", "ok"], ["task", "-q", "test"], ["task", "sample", "--device", "webgpu"]]) {
      assert.match(machine.denow(args).err, /installing mesa-vulkan-drivers libvulkan1$/, args.join(" "));
      Deno.removeSync(`${machine.root}/usr`, { recursive: true });
    }
  },
);

// Python for MLflow and JupyterLab.

/** Python without Debian's python3-venv, until it is installed. */
const bare = `[ -e "$DENOW_ROOT/ensurepip" ]`;
const aptVenv = tells("apt-get", `case "$*" in *python3-venv) : >"$DENOW_ROOT/ensurepip" ;; esac`);

for (
  const args of [["task", "test"], ["task", "ok"], ["task", "mlflow"], ["task", "notebook", "--execute"]]
) {
  test(
    `installs python3-venv for ${args.join(" ")}, once`,
    { deno: deno("2.9.6"), python3: bare, "apt-get": aptVenv },
    undefined,
    (machine) => {
      const { code, err, calls } = machine.denow(args);
      assert.deepEqual([code, err], [
        0,
        "denow: No Python that makes virtual environments: installing python3-venv",
      ]);
      assert.deepEqual(calls, [
        "apt-get -y -o DPkg::Lock::Timeout=60 install --no-install-recommends python3-venv",
      ]);
      const again = machine.denow(args);
      assert.deepEqual([again.err, again.calls], ["", []]);
    },
  );
}

test(
  "installs no Python for other tasks",
  { deno: deno("2.9.6"), python3: bare, "apt-get": aptVenv },
  undefined,
  (machine) => {
    for (const args of [["task", "train:residual"], ["run", "x.ts"], ["check"]]) {
      const { err, calls } = machine.denow(args);
      assert.deepEqual([err, calls], ["", []], args.join(" "));
    }
  },
);

test(
  "says which command brings python3-venv to who may not install it",
  { deno: deno("2.9.6"), id: "echo 1000", python3: bare, "apt-get": aptVenv },
  undefined,
  (machine) => {
    const { code, err, calls } = machine.denow(["task", "mlflow"]);
    assert.deepEqual([code, calls], [0, []]);
    assert.equal(
      err,
      "denow: No Python that makes virtual environments: for MLflow and the notebooks, " +
        "as root run 'apt-get install python3-venv'. Going on without it",
    );
  },
);

test(
  "goes on where apt-get brings no python3-venv, and does not try again at once",
  { deno: deno("2.9.6"), python3: bare, "apt-get": tells("apt-get", "echo cannot resolve >&2; exit 100") },
  undefined,
  (machine) => {
    const first = machine.denow(["task", "mlflow"]);
    assert.deepEqual([first.code, first.calls.length], [0, 2]);
    assert.match(first.err, /even after apt-get.*Going on without it\ncannot resolve/s);
    const second = machine.denow(["task", "mlflow"]);
    assert.deepEqual([second.code, second.calls], [0, []]);
    assert.match(second.err, /apt-get failed within the last hour/);
  },
);
