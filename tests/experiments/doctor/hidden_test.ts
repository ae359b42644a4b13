/** Each way in which a GPU is hidden, on a made-up file system in which nothing else is wrong. */

import assert from "node:assert/strict";
import { gpusIn } from "../../../experiments/doctor/gpus.ts";
import { obstacles, whyHidden } from "../../../experiments/doctor/hidden/obstacles.ts";
import type { Host } from "../../../experiments/doctor/host.ts";
import { testNeeding } from "../../permissions.ts";
import { amdMachine, changed, folder, hostOf, icd, nvidiaMachine, type Tree } from "./fake_root.ts";

/** A machine, and what is to be said of it. */
interface Case {
  readonly tree: Tree;
  readonly variables?: Readonly<Record<string, string>>;
  /** What cannot be made of files for every user that runs the tests. */
  readonly seen?: (host: Host) => Host;
  readonly says: string;
  readonly advice: RegExp;
}

const container = { ".dockerenv": "" };
const card = "sys/bus/pci/devices/0000:01:00.0";

const denied = (path: string, owner: string) => (host: Host): Host => ({
  ...host,
  user: { name: "ada", groups: ["ada"] },
  devices: host.devices.map((file) => file.path === path ? { path, state: "denied", owner } : file),
});

const cases: Readonly<Record<keyof typeof obstacles, readonly Case[]>> = {
  kernelDriver: [
    {
      tree: changed(nvidiaMachine, /driver/),
      says: "no driver of the kernel runs it",
      advice: /^install NVIDIA's driver and load it \(modprobe nvidia\)$/,
    },
    {
      tree: changed(nvidiaMachine, /driver|^dev/, { [`${card}/driver`]: { link: "drivers/vfio-pci" } }),
      says: "the kernel's vfio-pci runs it, not nvidia",
      advice: /virtual machine/,
    },
    {
      tree: changed(nvidiaMachine, /driver/, { [`${card}/driver`]: { link: "drivers/nouveau" } }),
      says: "the kernel's nouveau runs it, not nvidia",
      advice: /^install NVIDIA's driver/,
    },
    {
      tree: changed(amdMachine, /driver$|^dev/),
      says: "no driver of the kernel runs it",
      advice: /^load amdgpu/,
    },
  ],
  deviceFiles: [
    {
      tree: changed(nvidiaMachine, /^dev/),
      says: "there is no /dev/nvidia0",
      advice: /nvidia-modprobe/,
    },
    {
      tree: changed(nvidiaMachine, /nvidiactl/),
      says: "there is no /dev/nvidiactl",
      advice: /nvidia-modprobe/,
    },
    {
      tree: changed(nvidiaMachine, /^dev/, container),
      says: "there is no /dev/nvidia0",
      advice: /^start the container with --gpus all$/,
    },
    {
      tree: changed(nvidiaMachine, /^dev/, container),
      variables: { NVIDIA_VISIBLE_DEVICES: "void" },
      says: "there is no /dev/nvidia0",
      advice: /^NVIDIA_VISIBLE_DEVICES=void keeps/,
    },
    {
      tree: changed(nvidiaMachine, /^dev/, { ".singularity.d": folder }),
      says: "there is no /dev/nvidia0",
      advice: /^start the container with --nv$/,
    },
    {
      tree: changed(nvidiaMachine, /^dev/),
      variables: { KUBERNETES_SERVICE_HOST: "10.0.0.1" },
      says: "there is no /dev/nvidia0",
      advice: /nvidia\.com\/gpu: 1/,
    },
    {
      tree: changed(nvidiaMachine, /^dev/),
      variables: { SLURM_JOB_ID: "7" },
      says: "there is no /dev/nvidia0",
      advice: /--gres=gpu:1/,
    },
    {
      tree: changed(amdMachine, /^dev/, container),
      says: "there is no /dev/dri/renderD128",
      advice: /^start the container with --device \/dev\/dri$/,
    },
  ],
  permissions: [
    {
      tree: amdMachine,
      seen: denied("/dev/dri/renderD128", "660 root render"),
      says: "ada may not open /dev/dri/renderD128 (mode 660 root render)",
      advice: /usermod -aG render ada, then log in again/,
    },
    {
      tree: nvidiaMachine,
      seen: denied("/dev/nvidia0", "600 root root"),
      says: "ada may not open /dev/nvidia0 (mode 600 root root)",
      advice: /chmod a\+rw \/dev\/nvidia0$/,
    },
    {
      tree: { ...nvidiaMachine, "dev/nvidia0": folder },
      variables: { SLURM_JOB_ID: "7" },
      says: "/dev/nvidia0 is there and does not open",
      advice: /--gres=gpu:1$/,
    },
    {
      tree: { ...nvidiaMachine, "dev/nvidiactl": folder, ...container },
      says: "/dev/nvidiactl is there and does not open",
      advice: /^the container may not use it/,
    },
  ],
  instances: [{
    tree: { ...nvidiaMachine, "proc/driver/nvidia/capabilities/gpu0/mig/gi1": folder },
    says: "MIG splits it (instances: 1), and Vulkan does not run on the parts",
    advice: /nvidia-smi -mig 0$/,
  }],
  loader: [{
    tree: changed(nvidiaMachine, /libvulkan/),
    says: "Vulkan's loader, libvulkan.so.1, is not installed",
    advice: /libvulkan1/,
  }],
  environment: [
    {
      tree: { ...nvidiaMachine, "lvp.json": icd("libvulkan_lvp.so") },
      variables: { VK_DRIVER_FILES: "/lvp.json" },
      says: "VK_DRIVER_FILES=/lvp.json leaves its driver out",
      advice: /^unset VK_DRIVER_FILES$/,
    },
    {
      tree: nvidiaMachine,
      variables: { VK_ICD_FILENAMES: "/nowhere.json" },
      says: "VK_ICD_FILENAMES=/nowhere.json leaves its driver out",
      advice: /^unset VK_ICD_FILENAMES$/,
    },
    {
      tree: nvidiaMachine,
      variables: { VK_LOADER_DRIVERS_SELECT: "*lvp*,*radeon*" },
      says: "VK_LOADER_DRIVERS_SELECT=*lvp*,*radeon* leaves its driver out",
      advice: /^unset/,
    },
    {
      tree: nvidiaMachine,
      variables: { VK_LOADER_DRIVERS_DISABLE: "nvidia*" },
      says: "VK_LOADER_DRIVERS_DISABLE=nvidia* leaves its driver out",
      advice: /^unset/,
    },
    {
      tree: nvidiaMachine,
      variables: { DENO_WEBGPU_BACKEND: "gl" },
      says: "DENO_WEBGPU_BACKEND=gl leaves its driver out",
      advice: /^unset/,
    },
  ],
  driverDescription: [
    {
      tree: changed(nvidiaMachine, /json$/),
      says: "Vulkan has no description of NVIDIA's driver (nvidia_icd.json)",
      advice: /nvidia-vulkan-icd/,
    },
    {
      tree: changed(nvidiaMachine, /json$|GLX/, container),
      variables: { NVIDIA_DRIVER_CAPABILITIES: "compute,utility" },
      says:
        "Vulkan has no description of NVIDIA's driver (nvidia_icd.json): the container lacks the capability " +
        "graphics (NVIDIA_DRIVER_CAPABILITIES is compute,utility)",
      advice: /^start the container with NVIDIA_DRIVER_CAPABILITIES=all$/,
    },
    {
      tree: changed(nvidiaMachine, /json$/, container),
      variables: { NVIDIA_DRIVER_CAPABILITIES: "all" },
      says: "Vulkan has no description of NVIDIA's driver (nvidia_icd.json)",
      advice: /on the container's host$/,
    },
    {
      tree: changed(nvidiaMachine, /json$/, {
        "usr/local/nvidia/vulkan/icd.d/nvidia_icd.json": icd("libGLX_nvidia.so.0"),
      }),
      says: "Vulkan's loader does not look at /usr/local/nvidia/vulkan/icd.d/nvidia_icd.json",
      advice: /^start through \.\/denow, or set VK_DRIVER_FILES=\/usr\/local\/nvidia\//,
    },
    {
      tree: changed(amdMachine, /json$/, {
        "usr/share/vulkan/icd.d/lvp_icd.json": icd("libvulkan_lvp.so"),
      }),
      says: "Vulkan has no description of AMD's driver (amd_icd.json)",
      advice: /mesa-vulkan-drivers/,
    },
  ],
  driverLibrary: [
    {
      tree: changed(nvidiaMachine, /GLX/, container),
      says: "/usr/share/vulkan/icd.d/nvidia_icd.json names libGLX_nvidia.so.0, which is not there",
      advice: /NVIDIA_DRIVER_CAPABILITIES=all$/,
    },
    {
      tree: changed(amdMachine, /libvulkan_radeon/),
      says: "/usr/share/vulkan/icd.d/radeon_icd.x86_64.json names " +
        "/usr/lib/libvulkan_radeon.so, which is not there",
      advice: /mesa-vulkan-drivers/,
    },
  ],
  x11Libraries: [{
    tree: changed(nvidiaMachine, /libX/),
    says: "NVIDIA's driver cannot be loaded without libX11.so.6 and libXext.so.6",
    advice: /libxext6/,
  }],
  versions: [
    {
      tree: changed(nvidiaMachine, /GLX/, {
        "usr/lib/libGLX_nvidia.so.535.183.01": "",
        "usr/lib/libGLX_nvidia.so.0": { link: "libGLX_nvidia.so.535.183.01" },
      }),
      says:
        "NVIDIA's driver is 550.54.14 in the kernel and 535.183.01 in /usr/lib/libGLX_nvidia.so.535.183.01",
      advice: /^restart/,
    },
  ],
};

for (const [name, hidden] of Object.entries(cases)) {
  for (const { tree, variables, seen = (host: Host) => host, says, advice } of hidden) {
    const where = Object.entries(variables ?? {}).map((pair) => `, ${pair.join("=")}`).join("");
    testNeeding(
      { read: true, write: true, run: true },
      `whyHidden() tells of ${name}: ${says}${where}`,
      async () => {
        const host = seen(await hostOf(tree, variables));
        assert.equal(host.problem, undefined);
        const found = gpusIn(host).flatMap((gpus) => whyHidden(gpus, host));
        assert.deepEqual(found.map(({ says }) => says), [says]);
        assert.match(found[0].advice, advice);
      },
    );
  }
}

for (const [maker, tree] of Object.entries({ NVIDIA: nvidiaMachine, AMD: amdMachine })) {
  testNeeding(
    { read: true, write: true, run: true },
    `whyHidden() finds nothing on an ${maker} machine where nothing is wrong, and says what to try`,
    async () => {
      const host = await hostOf(tree);
      const [gpus] = gpusIn(host);
      assert.deepEqual(Object.values(obstacles).map((find) => find(gpus, host)).filter(Boolean), []);
      assert.match(whyHidden(gpus, host)[0].advice, /vulkaninfo --summary/);
    },
  );
}

testNeeding({ read: true, write: true, run: true }, "whyHidden() tells of everything at once", async () => {
  const host = await hostOf(changed(nvidiaMachine, /^dev|libvulkan|json$|GLX/, container));
  const [gpus] = gpusIn(host);
  assert.deepEqual(whyHidden(gpus, host).map(({ says }) => says.slice(0, 20)), [
    "there is no /dev/nvi",
    "Vulkan's loader, lib",
    "Vulkan has no descri",
  ]);
});
