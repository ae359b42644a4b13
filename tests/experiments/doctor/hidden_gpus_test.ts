/** Each reason why a GPU is hidden, on a made-up file system on which nothing else is wrong. */

import assert from "node:assert/strict";
import { gpusIn, reasons, whyHidden } from "../../../experiments/doctor/hidden_gpus.ts";
import type { Host } from "../../../experiments/doctor/host.ts";
import { testNeeding } from "../../permissions.ts";
import { amdMachine, changed, folder, hostOf, icd, nvidiaMachine, type Tree } from "./fake_machines.ts";

const needs = { read: true, write: true, run: true } as const;

/**
 * A machine with one fault: the expected finding and advice, its files and variables, and changes that files cannot
 * show to root.
 */
type Case = [says: string, advice: RegExp, Tree, Record<string, string>?, ((host: Host) => Host)?];

const card = "sys/bus/pci/devices/0000:01:00.0";
const docker = { ".dockerenv": "" };
const noDevices = changed(nvidiaMachine, /^dev/);
const noJson = changed(nvidiaMachine, /json$/);
const denied = (path: string, owner: string) => (host: Host): Host => ({
  ...host,
  user: { name: "ada", groups: ["ada"] },
  devices: host.devices.map((file) => file.path === path ? { path, state: "denied", owner } : file),
});
const byKernel = (driver: string) => ({ [`${card}/driver`]: { link: `drivers/${driver}` } });
const noNvidia0 = "there is no /dev/nvidia0";
const noDescription = "Vulkan has no description of NVIDIA's driver (nvidia_icd.json)";
const icdPath = "usr/share/vulkan/icd.d";

const cases: Readonly<Record<string, readonly Case[]>> = {
  kernelDriver: [
    [
      "no driver of the kernel runs it",
      /^install .* load it \(modprobe nvidia\)$/,
      changed(nvidiaMachine, /driver/),
    ],
    [
      "the kernel's vfio-pci runs it, not nvidia",
      /virtual machine/,
      changed(nvidiaMachine, /driver|^dev/, byKernel("vfio-pci")),
    ],
    [
      "the kernel's nouveau runs it, not nvidia",
      /^install NVIDIA's driver/,
      changed(nvidiaMachine, /driver/, byKernel("nouveau")),
    ],
    ["no driver of the kernel runs it", /^load amdgpu/, changed(amdMachine, /driver$|^dev/)],
  ],
  deviceFiles: [
    [noNvidia0, /nvidia-modprobe/, noDevices],
    ["there is no /dev/nvidiactl", /nvidia-modprobe/, changed(nvidiaMachine, /nvidiactl/)],
    [noNvidia0, /^start the container with --gpus all$/, { ...noDevices, ...docker }],
    [noNvidia0, /^NVIDIA_VISIBLE_DEVICES=void keeps/, { ...noDevices, ...docker }, {
      NVIDIA_VISIBLE_DEVICES: "void",
    }],
    [noNvidia0, /^start the container with --nv$/, { ...noDevices, ".singularity.d": folder }],
    [noNvidia0, /nvidia\.com\/gpu: 1/, noDevices, { KUBERNETES_SERVICE_HOST: "10.0.0.1" }],
    [noNvidia0, /--gres=gpu:1/, noDevices, { SLURM_JOB_ID: "7" }],
    [
      "there is no /dev/dri/renderD128",
      /^start the container with --device \/dev\/dri$/,
      changed(amdMachine, /^dev/, docker),
    ],
  ],
  permissions: [
    [
      "ada may not open /dev/dri/renderD128 (mode 660 root render)",
      /usermod -aG render ada, then log in again/,
      amdMachine,
      {},
      denied("/dev/dri/renderD128", "660 root render"),
    ],
    ...["600 root root", "640 root render"].map((mode): Case => [
      `ada may not open /dev/nvidia0 (mode ${mode})`,
      /chmod a\+rw \/dev\/nvidia0$/,
      nvidiaMachine,
      {},
      denied("/dev/nvidia0", mode),
    ]),
    [
      "/dev/nvidia0 exists but cannot be opened",
      /--gres=gpu:1$/,
      { ...nvidiaMachine, "dev/nvidia0": folder },
      { SLURM_JOB_ID: "7" },
    ],
    [
      "/dev/nvidiactl exists but cannot be opened",
      /^start the container with --gpus all$/,
      { ...nvidiaMachine, "dev/nvidiactl": folder, ...docker },
    ],
  ],
  instances: [[
    "MIG splits it (instances: 1), and Vulkan does not run on the parts",
    /nvidia-smi -mig 0$/,
    { ...nvidiaMachine, "proc/driver/nvidia/capabilities/gpu0/mig/gi1": folder },
  ]],
  loader: [[
    "Vulkan's loader, libvulkan.so.1, is not installed",
    /libvulkan1/,
    changed(nvidiaMachine, /libvulkan/),
  ]],
  environment: Object.entries({
    VK_DRIVER_FILES: "/lvp.json",
    VK_ICD_FILENAMES: "/nowhere.json",
    VK_LOADER_DRIVERS_SELECT: "*lvp*,*radeon*",
    VK_LOADER_DRIVERS_DISABLE: "nvidia*",
    DENO_WEBGPU_BACKEND: "gl",
  }).map(([name, value]) => [
    `${name}=${value} leaves its driver out`,
    new RegExp(`^unset ${name}$`),
    { ...nvidiaMachine, "lvp.json": icd("libvulkan_lvp.so") },
    { [name]: value },
  ]),
  driverDescription: [
    [noDescription, /nvidia-vulkan-icd/, noJson],
    [
      `${noDescription}: the container lacks the capability graphics (NVIDIA_DRIVER_CAPABILITIES is compute,utility)`,
      /^start the container with NVIDIA_DRIVER_CAPABILITIES=all$/,
      changed(nvidiaMachine, /json$|GLX/, docker),
      { NVIDIA_DRIVER_CAPABILITIES: "compute,utility" },
    ],
    [noDescription, /on the container's host$/, { ...noJson, ...docker }, {
      NVIDIA_DRIVER_CAPABILITIES: "all",
    }],
    [
      "Vulkan's loader does not search /usr/local/nvidia/vulkan/icd.d/nvidia_icd.json",
      /^start through \.\/denow, or set VK_DRIVER_FILES=\/usr\/local\/nvidia\//,
      { ...noJson, "usr/local/nvidia/vulkan/icd.d/nvidia_icd.json": icd("libGLX_nvidia.so.0") },
    ],
    [
      "Vulkan has no description of AMD's driver (amd_icd.json)",
      /mesa-vulkan-drivers/,
      changed(amdMachine, /json$/, { [`${icdPath}/lvp_icd.json`]: icd("libvulkan_lvp.so") }),
    ],
  ],
  driverLibrary: [
    [
      `/${icdPath}/nvidia_icd.json names libGLX_nvidia.so.0, which does not exist`,
      /NVIDIA_DRIVER_CAPABILITIES=all$/,
      changed(nvidiaMachine, /GLX/, docker),
    ],
    [
      `/${icdPath}/radeon_icd.x86_64.json names /usr/lib/libvulkan_radeon.so, which does not exist`,
      /mesa-vulkan-drivers/,
      changed(amdMachine, /libvulkan_radeon/),
    ],
  ],
  x11Libraries: [[
    "NVIDIA's driver cannot be loaded without libX11.so.6 and libXext.so.6",
    /libxext6/,
    changed(nvidiaMachine, /libX/),
  ]],
  versions: [[
    "NVIDIA's driver is 550.54.14 in the kernel and 535.183.01 in /usr/lib/libGLX_nvidia.so.535.183.01",
    /^restart/,
    changed(nvidiaMachine, /GLX/, {
      "usr/lib/libGLX_nvidia.so.535.183.01": "",
      "usr/lib/libGLX_nvidia.so.0": { link: "libGLX_nvidia.so.535.183.01" },
    }),
  ]],
};

testNeeding(needs, "whyHidden() finds each reason with its advice, and nothing else", async () => {
  assert.deepEqual(Object.keys(cases), Object.keys(reasons), "each reason has its cases");
  for (const [name, rows] of Object.entries(cases)) {
    for (const [says, advice, tree, variables, seen = (host: Host) => host] of rows) {
      const host = seen(await hostOf(tree, variables));
      const [gpus] = gpusIn(host);
      assert.deepEqual(whyHidden(gpus, host).map(([says]) => says), [says], name);
      assert.equal(reasons[name](gpus, host)?.[0], says);
      assert.match(whyHidden(gpus, host)[0][1], advice);
    }
  }
});

testNeeding(
  needs,
  "whyHidden() gives all reasons at once, and says what to try if there is none",
  async () => {
    const host = await hostOf(changed(nvidiaMachine, /^dev|libvulkan|json$|GLX/, docker));
    const all = whyHidden(gpusIn(host)[0], host).map(([says]) => says.slice(0, 20));
    assert.deepEqual(all, ["there is no /dev/nvi", "Vulkan's loader, lib", "Vulkan has no descri"]);
    for (const tree of [nvidiaMachine, amdMachine]) {
      const host = await hostOf(tree);
      const [gpus] = gpusIn(host);
      assert.deepEqual(Object.values(reasons).map((look) => look(gpus, host)).filter(Boolean), []);
      assert.match(whyHidden(gpus, host)[0][1], /vulkaninfo --summary/);
    }
  },
);
