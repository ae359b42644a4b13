import type { Host } from "./host.ts";

/** A maker of GPUs that training can use, and what its cards need to be seen by Vulkan. */
export interface Maker {
  readonly name: string;
  /** PCI's number. */
  readonly vendor: number;
  /** The kernel's drivers with which Vulkan works. */
  readonly kernelDrivers: readonly string[];
  /** Files in `/dev` through which programs reach its cards; one of each pattern must open. */
  readonly devices: readonly RegExp[];
  /** The names of its drivers' JSON files for Vulkan. */
  readonly json: RegExp;
  /** What Kubernetes calls one of its cards. */
  readonly resource: string;
  /** Where Vulkan's driver comes from, to end a sentence. */
  readonly packages: string;
  /** Cards of a higher rank are the ones to train on where a machine has both. */
  readonly rank: number;
}

/** NVIDIA's number on the PCI bus. */
export const nvidia = 0x10de;

const mesa = "install Mesa's drivers (Debian, Ubuntu, Fedora: mesa-vulkan-drivers)";

/** All other display controllers, such as those of virtual machines and of a server's console, cannot train. */
export const makers: readonly Maker[] = [
  {
    name: "NVIDIA",
    vendor: nvidia,
    kernelDrivers: ["nvidia"],
    devices: [/^\/dev\/nvidia\d+$/, /^\/dev\/nvidiactl$/],
    json: /nvidia/i,
    resource: "nvidia.com/gpu",
    packages:
      "install the Vulkan part of NVIDIA's driver, of the same version (Debian: nvidia-vulkan-icd, Ubuntu: libnvidia-gl-VERSION)",
    rank: 2,
  },
  {
    name: "AMD",
    vendor: 0x1002,
    kernelDrivers: ["amdgpu", "radeon"],
    devices: [/^\/dev\/dri\/renderD\d+$/],
    json: /radeon|amd/i,
    resource: "amd.com/gpu",
    packages: mesa,
    rank: 2,
  },
  {
    name: "Intel",
    vendor: 0x8086,
    kernelDrivers: ["i915", "xe"],
    devices: [/^\/dev\/dri\/renderD\d+$/],
    json: /intel/i,
    resource: "gpu.intel.com/i915",
    packages: mesa,
    rank: 1,
  },
];

/** GPUs of one maker that are in a machine, whether Vulkan sees them or not. */
export interface Gpus {
  readonly maker: Maker;
  /** What they are called, one each. */
  readonly names: readonly string[];
  /** The kernel's drivers that run them, empty where none does; where the PCI bus is hidden, unknown and so left out. */
  readonly drivers: readonly string[];
}

/** The GPUs in a machine, by maker. */
export function gpusIn({ cards, nvidia: driver }: Host): Gpus[] {
  return makers.flatMap((maker) => {
    const own = cards.filter(({ vendor }) => vendor === maker.vendor);
    // A sandbox may show NVIDIA's cards, and no PCI bus.
    const models = maker.vendor === nvidia ? driver.models : [];
    const count = Math.max(own.length, models.length);
    if (count === 0) return [];
    const names = Array.from({ length: count }, (_, i) => {
      return models[i] ?? `${maker.name} GPU ${hex(own[i].vendor)}:${hex(own[i].model)} at ${own[i].address}`;
    });
    return [{ maker, names, drivers: own.map(({ driver }) => driver) }];
  });
}

/** Device files of a maker's cards. */
export function filesOf({ maker }: Gpus, { devices }: Host): Host["devices"] {
  return devices.filter(({ path }) => maker.devices.some((pattern) => pattern.test(path)));
}

function hex(number: number): string {
  return number.toString(16).padStart(4, "0");
}
