/** `denow` finds or installs what WebGPU needs: a Vulkan loader and a driver. */

import assert from "node:assert/strict";
import { apart, apt, deno, loader, nvidia, nvidiaElsewhere, software, tells, test } from "./machine.ts";

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
