/** `denow` finds or installs what WebGPU needs, a Vulkan loader and a driver, and a Python that makes environments. */

import assert from "node:assert/strict";
import {
  apt,
  type First,
  loader,
  logs,
  nvidia,
  nvidiaElsewhere,
  software,
  type Step,
  testRows,
} from "./machine.ts";

const aptInstall = "apt-get -y -o DPkg::Lock::Timeout=60 install --no-install-recommends";
const installsBoth: Step = {
  err: "denow: No Vulkan driver: installing mesa-vulkan-drivers libvulkan1",
  calls: [`${aptInstall} mesa-vulkan-drivers libvulkan1`],
};
/** A machine with apt-get and no driver, where tests are run. */
const bare: First = { commands: { "apt-get": apt }, files: [], args: ["test"] };
const failing = logs("apt-get", "echo cannot resolve >&2; exit 100");
const byRoot =
  /^denow: .* as root run 'apt-get install mesa-vulkan-drivers libvulkan1'\. Continuing with the CPU/;

testRows("installs a software driver for tests and on request", {
  "for tests, once": [{ ...bare, args: ["task", "test"], ...installsBoth }, { args: ["task", "test"] }],
  "for task ok": [{ ...bare, args: ["task", "ok"], ...installsBoth }],
  "for a task with Deno's flags": [{ ...bare, args: ["task", "-q", "test"], ...installsBoth }],
  "for --device webgpu": [{ ...bare, args: ["task", "sample", "--device", "webgpu"], ...installsBoth }],
  "not for others": [
    { ...bare, args: ["task", "train:residual"] },
    { args: ["run"] },
    { args: ["task", "sample", "--device", "cpu"] },
    ...["--version", "--help", "fmt", "lint", "check"].map((command) => ({
      args: [command],
      ...command === "--version" && { out: "deno 2.9.6 (stable, release)" },
    })),
  ],
  "not on macOS and Windows": ["Darwin arm64", "MINGW64_NT-10.0-26100 x86_64"].map((system) => ({
    ...bare,
    setup: (machine) => machine.command("bin/uname", `echo '${system}'`),
  })) as [First],
  "with a sudo that asks nothing": [{
    ...bare,
    commands: { id: "echo 1000", sudo: logs("sudo", 'shift; "$@"'), "apt-get": apt },
    err: installsBoth.err!,
    calls: [/^sudo /, /^sudo /, /^apt-get /],
    after: (machine) => assert.ok(machine.exists(`root/${software}`)),
  }],
  "not without sudo": [{ ...bare, commands: { id: "echo 1000", "apt-get": apt }, err: byRoot }],
  "not with a sudo that asks": [
    { ...bare, commands: { id: "echo 1000", sudo: "exit 1", "apt-get": apt }, err: byRoot },
  ],
  "not without apt-get": [{
    ...bare,
    commands: {},
    err: /^denow: No Vulkan driver: install one .*Fedora.*Arch.* Continuing with the CPU device$/,
  }],
  "not if DENOW_NO_INSTALL=1": [
    { ...bare, env: { DENOW_NO_INSTALL: "1" }, err: /as root run 'apt-get install/ },
  ],
  "after an update of the package lists if they lack it": [{
    ...bare,
    commands: {
      "apt-get": `case "$*" in *update) : >"$DENOW_ROOT/lists" ;; esac
${apt}
[ -e "$DENOW_ROOT/lists" ] || { rm -r "$DENOW_ROOT/usr"; exit 100; }`,
    },
    err: installsBoth.err!,
    calls: [/ install /, / update$/, / install /],
    after: (machine) => assert.ok(machine.exists(`root/${software}`)),
  }],
  "not again within an hour after apt-get failed": [
    {
      ...bare,
      commands: { "apt-get": failing },
      err: /\ncannot resolve\n?/,
      calls: [/ install /, / update$/],
    },
    { args: ["test"], err: /apt-get failed within the last hour/ },
    {
      setup: ({ project }) => Deno.utimeSync(`${project}/.cache/denow/apt-failed-mesa-vulkan-drivers`, 0, 0),
      args: ["test"],
      err: /\ncannot resolve\n?/,
      calls: [/ install /, / update$/],
    },
  ],
});

const loaderAlone: Step = {
  err: "denow: No Vulkan loader (libvulkan.so.1): installing libvulkan1",
  calls: [`${aptInstall} libvulkan1`],
};
const local = "FOLDER/home/.local/share";
const withoutVulkan = (file: string): [First, Step] => [
  {
    ...bare,
    files: [loader, file],
    args: ["run"],
    err: /^denow: The NVIDIA driver lacks its Vulkan part .*$/,
  },
  { args: ["test"], err: /Vulkan/, calls: [/mesa-vulkan-drivers libvulkan1$/] },
];

testRows("looks for the loader and drivers", {
  "NVIDIA's": [{ ...bare, files: [nvidia], args: ["run"], ...loaderAlone }],
  "NVIDIA's elsewhere": [
    {
      ...bare,
      files: [nvidiaElsewhere],
      args: ["run"],
      ...loaderAlone,
      out: "<run> 2.9.6 in PROJECT, driver <ROOT/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json>",
    },
  ],
  "a software driver": [{ ...bare, files: [software], args: ["run"], ...loaderAlone }],
  "NVIDIA's without Vulkan, in the kernel": withoutVulkan("proc/driver/nvidia/version"),
  "NVIDIA's without Vulkan, as a library": withoutVulkan("usr/lib64/libGLX_nvidia.so.0"),
  "where the loader does not, unless the user has set one or a usual place has one": [
    {
      files: [loader, software, nvidiaElsewhere],
      out: `<run> 2.9.6 in PROJECT, driver <ROOT/${nvidiaElsewhere}>`,
    },
    {
      env: { VK_DRIVER_FILES: `ROOT/${software}` },
      out: `<run> 2.9.6 in PROJECT, driver <ROOT/${software}>`,
    },
    { setup: (machine) => machine.write(`root/${nvidia}`, "") },
  ],
  "through LD_LIBRARY_PATH and ldconfig": [
    {
      files: [software, "odd place/libvulkan.so.1"],
      env: { LD_LIBRARY_PATH: "/nowhere:ROOT/odd place" },
    },
    {
      setup: (machine) =>
        machine.command("bin/ldconfig", "echo '	libvulkan.so.1 (libc6,x86-64) => /odd/libvulkan.so.1'"),
    },
  ],
  "in the user's folders": [
    {
      files: [loader],
      setup: (machine) => machine.write("home/.local/share/vulkan/icd.d/own.json", ""),
      env: { HOME: "FOLDER/home" },
    },
    { env: { XDG_DATA_HOME: local } },
    { env: { XDG_DATA_DIRS: `/nowhere:${local}` } },
  ],
  "where VK_DRIVER_FILES leads, even nowhere": [{
    ...bare,
    files: [loader, software],
    args: ["run"],
    env: { VK_DRIVER_FILES: "/no/such.json" },
    out: "<run> 2.9.6 in PROJECT, driver </no/such.json>",
    err: /VK_DRIVER_FILES .*names no existing file/,
  }],
});

/** Python without Debian's python3-venv, until it is installed. */
const python3 = `[ "$1" = -I ] && [ -e "$DENOW_ROOT/ensurepip" ]`;
const aptVenv = logs("apt-get", `case "$*" in *python3-venv) : >"$DENOW_ROOT/ensurepip" ;; esac`);
const withoutVenv: First = { commands: { python3, "apt-get": aptVenv } };
const once = (...args: string[]): [First, Step] => [
  {
    ...withoutVenv,
    args,
    err: "denow: No Python that can create virtual environments: installing python3-venv",
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
    commands: { ...withoutVenv.commands, id: "echo 1000" },
    args: ["task", "test"],
    err: "denow: No Python that can create virtual environments: for tests with MLflow and Jupyter, " +
      "as root run 'apt-get install python3-venv'. Continuing without it",
  }],
  "not again within an hour after apt-get failed": [
    {
      commands: { python3, "apt-get": failing },
      args: ["task", "test"],
      err: /even after apt-get.*Continuing without it\ncannot resolve/s,
      calls: [/ install /, / update$/],
    },
    { args: ["task", "test"], err: /apt-get failed within the last hour/ },
  ],
});
