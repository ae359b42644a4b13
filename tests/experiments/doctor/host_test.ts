import assert from "node:assert/strict";
import { join } from "node:path";
import { lookAt } from "../../../experiments/doctor/host.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { changed, folder, hostOf, icd, nvidiaMachine, type Tree } from "./fake_machines.ts";

const needs = { read: true, write: true, run: true } as const;

testNeeding(needs, "lookAt() reads cards, driver, devices and libraries", async () => {
  const host = await hostOf({
    ...nvidiaMachine,
    "dev/nvidia1": folder,
    "usr/lib64/libX11.so.6": "", // before the one in usr/lib
    "sys/bus/pci/devices/0000:00:02.0/class": "0x020000\n", // a network card
  });
  assert.deepEqual(host.cards, [
    { address: "0000:01:00.0", vendor: 0x10de, model: 0x2330, driver: "nvidia" },
  ]);
  assert.deepEqual(host.nvidia.models, ["NVIDIA H100 PCIe"]);
  assert.match(host.nvidia.version, / 550\.54\.14 /);
  assert.deepEqual(
    host.devices.map(({ path, state }) => [path, state]),
    [["/dev/nvidia0", "open"], ["/dev/nvidia1", "refused"], ["/dev/nvidiactl", "open"]],
  );
  assert.equal(host.libraries.get("libX11.so.6"), "/usr/lib64/libX11.so.6");
  assert.equal(host.libraries.get("libGLX_nvidia.so.0"), "/usr/lib/libGLX_nvidia.so.550.54.14");
  assert.deepEqual(host.drivers.map(({ path, library }) => [path, library]), [
    ["/usr/share/vulkan/icd.d/nvidia_icd.json", "libGLX_nvidia.so.0"],
  ]);
  assert.deepEqual((await hostOf(changed(nvidiaMachine, /^dev/))).devices, []);
});

testNeeding(
  needs,
  "lookAt() searches for drivers where Vulkan's loader does",
  async () => {
    const tree: Tree = {
      "etc/vulkan/icd.d/a_icd.json": icd("liba.so"),
      "home/ada/.local/share/vulkan/icd.d/b_icd.json": icd("libb.so"),
      "opt/vulkan/icd.d/c_icd.json": icd("./c/libc.so"),
      "opt/vulkan/icd.d/c/libc.so": "",
      "opt/vulkan/icd.d/broken.json": "{",
      "usr/share/vulkan/icd.d/readme.txt": "",
    };
    const found = async (variables: Record<string, string>) =>
      (await hostOf(tree, variables)).drivers.map(({ library, exists }) => exists ? [library] : library);
    const cases: [Record<string, string>, unknown[]][] = [
      [{ HOME: "/home/ada" }, ["liba.so", "libb.so"]],
      [{ XDG_DATA_DIRS: "/opt" }, ["liba.so", ["./c/libc.so"]]],
      [{ VK_DRIVER_FILES: "/opt/vulkan/icd.d:/etc/vulkan/icd.d/a_icd.json" }, [["./c/libc.so"], "liba.so"]],
      [{ VK_ICD_FILENAMES: "/opt/vulkan/icd.d/c_icd.json" }, [["./c/libc.so"]]],
    ];
    for (const [variables, expected] of cases) assert.deepEqual(await found(variables), expected);
  },
);

testNeeding(needs, "lookAt() reads the smallest limits of control groups, of version 1 and 2", async () => {
  const cases: [Tree, quota: number, memoryLimit: number][] = [
    [{}, Infinity, Infinity],
    [
      {
        "proc/self/cgroup": "0::/job_7/step_0\n",
        "sys/fs/cgroup/job_7/cpu.max": "250000 100000\n",
        "sys/fs/cgroup/job_7/memory.max": "17179869184\n",
        "sys/fs/cgroup/job_7/step_0/cpu.max": "max 100000\n",
        "sys/fs/cgroup/job_7/step_0/memory.max": "max\n",
      },
      2.5,
      2 ** 34,
    ],
    [
      {
        "proc/self/cgroup": "4:memory:/box\n2:cpu,cpuacct:/box\n0::/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "1073741824\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "400000\n",
        "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000\n",
      },
      4,
      2 ** 30,
    ],
    [ // a container that sees only its own group
      {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/cpu.max": "100000 100000\n",
        "sys/fs/cgroup/memory.max": "1048576\n",
      },
      1,
      2 ** 20,
    ],
  ];
  for (const [tree, ...expected] of cases) {
    const { quota, memoryLimit } = await hostOf(tree);
    assert.deepEqual([quota, memoryLimit], expected);
  }
});

testNeeding(needs, "lookAt() counts processors", async () => {
  const count = async (list: string) => (await hostOf({ "sys/devices/system/cpu/online": list })).processors;
  assert.deepEqual([await count("0\n"), await count("0-63\n"), await count("0-3,8,10-11\n")], [1, 64, 7]);
  assert.equal((await hostOf({})).processors, undefined);
});

testNeeding(needs, "lookAt() says whether a missing folder can be made", async () => {
  await withFolder(async (place) => {
    const { folder: { path, writable, freeBytes } } = await lookAt(join(place, "a", "b"));
    assert.deepEqual([path, writable], [place, true]);
    assert.ok(freeBytes! > 0);
    await Deno.writeTextFile(join(place, "file"), "");
    const { folder: ofFile } = await lookAt(join(place, "file", "runs"));
    assert.deepEqual([ofFile.path, ofFile.writable], [join(place, "file"), false]);
  });
});

testNeeding(needs, "lookAt() keeps fields apart, even with tabs and line breaks in them", async () => {
  const { variables, nvidia } = await hostOf(
    { "proc/driver/nvidia/version": "a\tb\u001b[31m" },
    { NVIDIA_VISIBLE_DEVICES: "x\ndevice\t/dev/nvidia0\topen", PASSWORD: "secret" },
  );
  assert.equal(nvidia.version, "a b [31m");
  assert.deepEqual([...variables], [["NVIDIA_VISIBLE_DEVICES", "x device /dev/nvidia0 open"]]);
});

Deno.test({
  name: "lookAt() says that it lacks permission",
  permissions: { read: true },
  async fn() {
    const { problem, cards, folder } = await lookAt(".");
    assert.match(problem ?? "", /^requires run access to /);
    assert.deepEqual([cards, folder.writable], [[], false]);
  },
});
