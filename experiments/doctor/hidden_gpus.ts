/** GPUs that a machine has, and the reasons why WebGPU does not see them. */

import { basename } from "node:path";
import { type Host, statedDrivers } from "./host.ts";

/** NVIDIA's PCI vendor id. */
export const nvidia = 0x10de;

const mesa = {
  devices: ["/dev/dri/renderD128"],
  vulkan: "install Mesa's drivers (Debian, Ubuntu, Fedora: mesa-vulkan-drivers)",
  makeDevices: "the kernel's driver makes it when it starts: dmesg says why it did not",
  flags: { container: "--device /dev/dri", apptainer: "--bind /dev/dri" },
};

/**
 * Makers of GPUs that can train, by PCI vendor id; other display controllers, as in virtual machines and servers,
 * cannot. For each maker, what Vulkan needs (a kernel driver, accessible device files like each of `devices`, a JSON file)
 * and how to get it, with and without containers. Cards of a higher rank are preferred.
 */
const makers = [
  {
    name: "NVIDIA",
    vendor: nvidia,
    kernelDrivers: ["nvidia"],
    load: "install NVIDIA's driver and load it (modprobe nvidia)",
    devices: ["/dev/nvidia0", "/dev/nvidiactl"],
    makeDevices: "make them, as root: nvidia-modprobe -u -c=0 (or start nvidia-smi once)",
    json: /nvidia/i,
    vulkan: "install the Vulkan part of NVIDIA's driver, of the same version " +
      "(Debian: nvidia-vulkan-icd, Ubuntu: libnvidia-gl-VERSION)",
    flags: { container: "--gpus all", apptainer: "--nv" },
    resource: "nvidia.com/gpu",
    rank: 2,
  },
  {
    name: "AMD",
    vendor: 0x1002,
    kernelDrivers: ["amdgpu", "radeon"],
    load: "load amdgpu (modprobe amdgpu; dmesg says why it fails)",
    json: /radeon|amd/i,
    ...mesa,
    resource: "amd.com/gpu",
    rank: 2,
  },
  {
    name: "Intel",
    vendor: 0x8086,
    kernelDrivers: ["i915", "xe"],
    load: "load i915 (modprobe i915; dmesg says why it fails)",
    json: /intel/i,
    ...mesa,
    resource: "gpu.intel.com/i915",
    rank: 1,
  },
];

/** The rank of a maker's cards; unknown ones count as the best. */
export function rankOf(vendor: number | null | undefined): number {
  return makers.find((maker) => maker.vendor === vendor)?.rank ?? Infinity;
}

/** The GPUs of one maker in a machine, visible to Vulkan or not, and their drivers and device files. */
export interface Gpus {
  readonly maker: typeof makers[number];
  /** One name for each. */
  readonly names: readonly string[];
  /** The kernel drivers that run them, empty if none does; absent if the PCI bus is hidden. */
  readonly kernelDrivers: readonly string[];
  /** The existing device files, for each kind that the maker needs. */
  readonly devices: readonly Host["devices"][];
  readonly vulkanDrivers: Host["drivers"];
}

/** The GPUs in a machine, by maker. */
export function gpusIn(host: Host): Gpus[] {
  return makers.flatMap((maker) => {
    const cards = host.cards.filter(({ vendor }) => vendor === maker.vendor);
    // A sandbox may show NVIDIA's cards, and no PCI bus.
    const models = maker.vendor === nvidia ? host.nvidia.models : [];
    const count = Math.max(cards.length, models.length);
    if (count === 0) return [];
    const hex = (number: number) => number.toString(16).padStart(4, "0");
    return [{
      maker,
      names: Array.from({ length: count }, (_, i) => {
        return models[i] ??
          `${maker.name} GPU ${hex(cards[i].vendor)}:${hex(cards[i].model)} at ${cards[i].address}`;
      }),
      kernelDrivers: cards.map(({ driver }) => driver),
      devices: maker.devices.map((example) =>
        host.devices.filter(({ path }) => kindOf(path) === kindOf(example))
      ),
      vulkanDrivers: host.drivers.filter(({ path }) => maker.json.test(path)),
    }];
  });
}

const kindOf = (device: string) => device.replace(/\d+$/, "");

/** Checks for one cause of hidden GPUs; returns what is wrong and what to do, or undefined. */
type Reason = (gpus: Gpus, host: Host) => readonly [says: string, advice: string] | undefined;

/** The reasons why GPUs are hidden, from the hardware up. */
export const reasons: Readonly<Record<string, Reason>> = {
  /** No kernel driver runs the cards, or one for another purpose does. */
  kernelDriver({ maker, kernelDrivers }, host) {
    const loaded = maker.vendor === nvidia && host.nvidia.version !== "";
    if (loaded || kernelDrivers.length === 0) return undefined;
    if (kernelDrivers.some((name) => maker.kernelDrivers.includes(name))) return undefined;
    const other = kernelDrivers.find((name) => name !== "");
    if (other === undefined) return ["no driver of the kernel runs it", maker.load];
    const says = `the kernel's ${other} runs it, not ${maker.kernelDrivers[0]}`;
    if (other !== "vfio-pci") return [says, maker.load];
    return [says, "it is reserved for a virtual machine: train there, or give it back to its driver"];
  },

  /** The kernel runs the cards, but their files are not in `/dev`: a container or a job was not given them. */
  deviceFiles(gpus, host) {
    const { maker, devices } = gpus;
    const missing = devices.findIndex((files) => files.length === 0);
    if (missing < 0 || reasons.kernelDriver(gpus, host)) return undefined;
    return [`there is no ${maker.devices[missing]}`, howToGet(gpus, host, maker.makeDevices)];
  },

  /**
   * The files exist, but this user, container or job may not open any of a kind. A job may have only some of several
   * cards.
   */
  permissions(gpus, host) {
    const { devices } = gpus;
    const closed = devices.find((files) => files.length > 0 && !files.some(({ state }) => state === "open"));
    if (closed === undefined) return undefined;
    const [{ path, state, owner }] = closed;
    if (state !== "denied") {
      const otherwise =
        "a control group or the driver refuses it: dmesg says more, and so does nvidia-smi for NVIDIA's cards";
      return [`${path} exists but cannot be opened`, howToGet(gpus, host, otherwise)];
    }
    const { name, groups } = host.user;
    const [mode, , group] = owner.split(" ");
    const groupMayWrite = (Number.parseInt(mode, 8) & 0o060) === 0o060;
    const joinable = groupMayWrite && group !== undefined && group !== "root" && !groups.includes(group);
    const advice = joinable
      ? `join its group, as root: usermod -aG ${group} ${name}, then log in again (in a container: --group-add ${group})`
      : `let it be opened, as root: chmod a+rw ${path}`;
    return [`${name} may not open ${path} (mode ${owner})`, advice];
  },

  /**
   * NVIDIA's cards for data centres run no graphics, and so no Vulkan, while MIG splits them.
   * Source: NVIDIA Multi-Instance GPU user guide, "Application Considerations"
   */
  instances({ maker }, { instances }) {
    if (maker.vendor !== nvidia || instances === 0) return undefined;
    return [
      `MIG splits it (instances: ${instances}), and Vulkan does not run on the parts`,
      "ask for a whole card, or switch MIG off, as root: nvidia-smi -mig 0",
    ];
  },

  /** WebGPU reaches every driver through Vulkan's loader. */
  loader(_, { libraries }) {
    if (libraries.has("libvulkan.so.1")) return undefined;
    return [
      "Vulkan's loader, libvulkan.so.1, is not installed",
      "install it (Debian, Ubuntu: libvulkan1, Fedora: vulkan-loader)",
    ];
  },

  /**
   * A variable keeps WebGPU or the loader from the cards' driver.
   * Source: Vulkan-Loader, LoaderInterfaceArchitecture.md, "Driver Select Filtering" and "Driver Disable Filtering"
   */
  environment({ vulkanDrivers }, { variables }) {
    const backend = variables.get("DENO_WEBGPU_BACKEND") ?? "vulkan";
    const stated = variables.has("VK_DRIVER_FILES") ? "VK_DRIVER_FILES" : "VK_ICD_FILENAMES";
    const [selected, disabled] = ["VK_LOADER_DRIVERS_SELECT", "VK_LOADER_DRIVERS_DISABLE"];
    const matching = (name: string) =>
      vulkanDrivers.filter(({ path }) => matches(basename(path), variables.get(name) ?? "")).length;
    const guilty = !/vulkan/i.test(backend)
      ? "DENO_WEBGPU_BACKEND"
      : vulkanDrivers.length === 0
      ? variables.has(stated) && stated
      : variables.has(selected) // it takes precedence
      ? matching(selected) === 0 && selected
      : matching(disabled) === vulkanDrivers.length && disabled;
    if (!guilty) return undefined;
    const value = guilty === stated ? statedDrivers(variables)!.join(":") : variables.get(guilty);
    return [`${guilty}=${value} leaves its driver out`, `unset ${guilty}`];
  },

  /** The loader finds no JSON file of the cards' driver; containers may lack the driver's graphics part. */
  driverDescription(gpus, host) {
    const { maker, vulkanDrivers } = gpus;
    if (vulkanDrivers.length > 0 || reasons.environment(gpus, host)) return undefined;
    const elsewhere = host.unsearched.find((path) => maker.json.test(path));
    if (elsewhere !== undefined) {
      return [
        `Vulkan's loader does not search ${elsewhere}`,
        `start through ./denow, or set VK_DRIVER_FILES=${elsewhere}`,
      ];
    }
    const says = `Vulkan has no description of ${maker.name}'s driver (${maker.name.toLowerCase()}_icd.json)`;
    const capabilities = host.variables.get("NVIDIA_DRIVER_CAPABILITIES");
    if (maker.vendor !== nvidia || host.container === "" && capabilities === undefined) {
      return [says, maker.vulkan];
    }
    if (/\b(all|graphics)\b/.test(capabilities ?? "")) {
      return [says, `${maker.vulkan}, on the container's host`];
    }
    const given = capabilities === undefined ? "is not set" : `is ${capabilities}`;
    return [
      `${says}: the container lacks the capability graphics (NVIDIA_DRIVER_CAPABILITIES ${given})`,
      graphicsInContainer,
    ];
  },

  /** The JSON file of the cards' driver names a library that is missing. */
  driverLibrary({ maker, vulkanDrivers }, { libraries, container }) {
    const found = vulkanDrivers.some(({ library, exists }) => exists || libraries.has(library));
    if (vulkanDrivers.length === 0 || found) return undefined;
    const [{ path, library }] = vulkanDrivers;
    const advice = maker.vendor === nvidia && container !== "" ? graphicsInContainer : maker.vulkan;
    return [`${path} names ${library || "no library"}, which does not exist`, advice];
  },

  /** NVIDIA's libGLX_nvidia needs X11's libraries, even without a screen; slim containers lack them. */
  x11Libraries({ maker }, { drivers, libraries }) {
    const usesGlx = maker.vendor === nvidia && libraries.has("libGLX_nvidia.so.0") &&
      drivers.some(({ library }) => library.includes("libGLX_nvidia"));
    const missing = ["libX11.so.6", "libXext.so.6"].filter((name) => !libraries.has(name));
    if (!usesGlx || missing.length === 0) return undefined;
    return [
      `NVIDIA's driver cannot be loaded without ${missing.join(" and ")}`,
      "install them (Debian, Ubuntu: libxext6, Fedora: libXext)",
    ];
  },

  /** NVIDIA's kernel driver and library have different versions, as after an update without a restart. */
  versions({ maker }, host) {
    const kernel = nvidiaVersion(host);
    const file = host.libraries.get("libGLX_nvidia.so.0");
    const library = file && /\.so\.(\d+\.\d+(\.\d+)?)$/.exec(file)?.[1];
    if (maker.vendor !== nvidia || !kernel || !library || kernel === library) return undefined;
    const advice = host.container === ""
      ? "restart, so that the kernel loads the new one"
      : "leave the library out of the image: the container's host brings its own";
    return [`NVIDIA's driver is ${kernel} in the kernel and ${library} in ${file}`, advice];
  },
};

/** How to get a GPU into the container or job that this program runs in. */
function howToGet({ maker }: Gpus, { container, variables }: Host, otherwise: string): string {
  const visible = variables.get("NVIDIA_VISIBLE_DEVICES") ?? "";
  if (maker.vendor === nvidia && /^(none|void)$/.test(visible)) {
    return `NVIDIA_VISIBLE_DEVICES=${visible} keeps the cards from this container: set it to all`;
  }
  if (container === "Apptainer") return `start the container with ${maker.flags.apptainer}`;
  if (container === "Kubernetes") return `ask for one in the pod's resource limits (${maker.resource}: 1)`;
  if (container !== "") return `start the container with ${maker.flags.container}`;
  return variables.has("SLURM_JOB_ID") ? "ask Slurm for a GPU: --gres=gpu:1" : otherwise;
}

const graphicsInContainer = "start the container with NVIDIA_DRIVER_CAPABILITIES=all";

/** Why WebGPU does not see the GPUs of a maker: every reason found, or what to try if there is none. */
export function whyHidden(gpus: Gpus, host: Host): (readonly [says: string, advice: string])[] {
  const found = Object.values(reasons).map((look) => look(gpus, host)).filter((reason) =>
    reason !== undefined
  );
  if (found.length > 0) return found;
  return [[
    "files, libraries and permissions are as they should be",
    "see what Vulkan's own program says: vulkaninfo --summary (Debian: vulkan-tools); the driver may be too old",
  ]];
}

/** The version of NVIDIA's driver in the kernel; undefined without one. */
export function nvidiaVersion({ nvidia }: Host): string | undefined {
  return / (\d+\.\d+(\.\d+)?) /.exec(nvidia.version)?.[1];
}

/** Whether a file name matches one of several comma-separated patterns with `*`. */
function matches(name: string, patterns: string): boolean {
  return patterns.split(",").some((pattern) => {
    const source = pattern.split("*").map((part) => RegExp.escape(part)).join(".*");
    return pattern === "~all~" || new RegExp(`^${source}$`, "i").test(name);
  });
}
