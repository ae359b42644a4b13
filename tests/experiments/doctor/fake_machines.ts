/** Made-up machines: their file systems, as `look.sh` reads them, and what checks look at. */

import { dirname, join } from "node:path";
import { emptyHost, type Host, lookAt } from "../../../experiments/doctor/host.ts";
import { type Adapter, type Machine, madeUpDigits } from "../../../experiments/doctor/machine.ts";
import { examining } from "../../../experiments/doctor.ts";
import { withFolder } from "../../folder.ts";

/** A folder; in place of a device, even root cannot open it. */
export const folder = Symbol("folder");

/** Texts of files, folders, and targets of links, by path without the leading slash. */
export type Tree = Readonly<Record<string, string | typeof folder | { readonly link: string }>>;

const card = "sys/bus/pci/devices/0000:01:00.0";

/** A machine with one NVIDIA card, on which Vulkan works. */
export const nvidiaMachine: Tree = {
  [`${card}/class`]: "0x030200\n",
  [`${card}/vendor`]: "0x10de\n",
  [`${card}/device`]: "0x2330\n",
  [`${card}/driver`]: { link: "../../../bus/pci/drivers/nvidia" },
  "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22\nGCC",
  "proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t NVIDIA H100 PCIe\nIRQ:   \t\t 44\n",
  "dev/nvidia0": "",
  "dev/nvidiactl": "",
  "usr/lib/libvulkan.so.1": "",
  "usr/lib/libX11.so.6": "",
  "usr/lib/libXext.so.6": "",
  "usr/lib/libGLX_nvidia.so.550.54.14": "",
  "usr/lib/libGLX_nvidia.so.0": { link: "libGLX_nvidia.so.550.54.14" },
  "usr/share/vulkan/icd.d/nvidia_icd.json": icd("libGLX_nvidia.so.0"),
};

/** A machine with one AMD card, on which Vulkan works. */
export const amdMachine: Tree = {
  [`${card}/class`]: "0x030000\n",
  [`${card}/vendor`]: "0x1002\n",
  [`${card}/device`]: "0x744c\n",
  [`${card}/driver`]: { link: "../../../bus/pci/drivers/amdgpu" },
  "dev/dri/renderD128": "",
  "usr/lib/libvulkan.so.1": "",
  "usr/lib/libvulkan_radeon.so": "",
  "usr/share/vulkan/icd.d/radeon_icd.x86_64.json": icd("/usr/lib/libvulkan_radeon.so"),
};

/** The JSON file of a driver for Vulkan's loader. */
export function icd(library: string): string {
  return JSON.stringify({
    file_format_version: "1.0.1",
    ICD: { library_path: library, api_version: "1.3.277" },
  });
}

/** A tree without the entries whose paths match, and with added ones. */
export function changed(tree: Tree, without: RegExp, added: Tree = {}): Tree {
  return { ...Object.fromEntries(Object.entries(tree).filter(([path]) => !without.test(path))), ...added };
}

/** The program's view of a machine. */
export function hostOf(tree: Tree, variables: Readonly<Record<string, string>> = {}): Promise<Host> {
  return withFolder(async (root) => {
    for (const [path, entry] of Object.entries(tree)) {
      const at = join(root, path);
      await Deno.mkdir(entry === folder ? at : dirname(at), { recursive: true });
      if (typeof entry === "string") await Deno.writeTextFile(at, entry);
      else if (entry !== folder) await Deno.symlink(entry.link, at);
    }
    return await lookAt(".", { root, variables });
  });
}

/** An adapter as WebGPU offers it. */
export const h100: Adapter = {
  name: "NVIDIA H100 PCIe",
  vendor: 0x10de,
  software: false,
  features: ["shader-f16"],
  limits: {
    maxBufferSize: 2 ** 31,
    maxStorageBufferBindingSize: 2 ** 31,
    maxComputeWorkgroupStorageSize: 49152,
  },
};

/** A software adapter. */
export const lavapipe: Adapter = { ...h100, name: "llvmpipe", vendor: 0x10005, software: true, features: [] };

/** A machine without a GPU. */
export const bareHost: Host = {
  ...emptyHost(),
  user: { name: "ada", groups: ["ada"] },
  processors: 8,
  folder: { path: ".", writable: true, freeBytes: 2 ** 36 },
};

/** A healthy machine with eight processors and no GPU, with some changes. */
export function machine(given: Partial<Machine> = {}): Machine {
  const rate = {
    imagesPerSecond: 400,
    stepMilliseconds: 80,
    batchSize: 32,
    parameters: 271_249,
    plannedBytes: 2 ** 25,
    reduced: undefined,
  };
  return {
    versions: { deno: "2.9.6", os: "linux", architecture: "x86_64" },
    settings: examining.resolve({}),
    host: bareHost,
    adapters: [],
    device: { kind: "cpu", description: "8 threads", software: true, threads: 8 },
    noGpu: "No WebGPU adapter",
    preset: "quick",
    memory: { total: 2 ** 34, available: 2 ** 33, limit: Infinity },
    parallelism: 8,
    data: () => Promise.resolve(madeUpDigits()),
    tracker: () => Promise.resolve(undefined),
    rate: () => Promise.resolve(rate),
    ...given,
  };
}

/** Training on a GPU. */
export const onGpu: Partial<Machine> = {
  adapters: [h100],
  device: { kind: "webgpu", description: h100.name, software: false, threads: undefined },
  noGpu: undefined,
  preset: "standard",
};
