import type { Host } from "../../../experiments/doctor/host.ts";
import type { Adapter } from "../../../experiments/doctor/adapters.ts";
import type { Machine } from "../../../experiments/doctor/machine.ts";
import { madeUpDigits } from "../../../experiments/doctor/made_up_digits.ts";
import { examining } from "../../../experiments/doctor.ts";

const limits = {
  maxBufferSize: 2 ** 31,
  maxStorageBufferBindingSize: 2 ** 31,
  maxStorageBuffersPerShaderStage: 16,
  maxComputeInvocationsPerWorkgroup: 1024,
  maxComputeWorkgroupStorageSize: 49152,
  maxComputeWorkgroupsPerDimension: 65535,
};

/** An adapter as WebGPU offers it. */
export const h100: Adapter = {
  name: "NVIDIA H100 PCIe",
  vendor: 0x10de,
  software: false,
  features: ["shader-f16"],
  limits,
};

/** A software adapter. */
export const lavapipe: Adapter = { ...h100, name: "llvmpipe", vendor: 0x10005, software: true, features: [] };

/** A machine without anything. */
export const bareHost: Host = {
  cards: [],
  nvidia: { version: "", models: [] },
  instances: 0,
  devices: [],
  libraries: new Map(),
  drivers: [],
  unread: [],
  variables: new Map(),
  container: "",
  user: { name: "ada", groups: ["ada"] },
  processors: 8,
  quota: Infinity,
  memoryLimit: Infinity,
  folder: { path: ".", writable: true, freeBytes: 2 ** 36 },
};

/** A machine of eight processors and no GPU where all is well, but for what is given. */
export function machine(given: Partial<Machine> = {}): Machine {
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
    rate: () =>
      Promise.resolve({ ...{ imagesPerSecond: 400, stepMilliseconds: 80, batchSize: 32 }, ...size }),
    ...given,
  };
}

const size = { parameters: 271_249, plannedBytes: 2 ** 25 };

/** What a GPU's owner has: training on it. */
export const onGpu: Partial<Machine> = {
  adapters: [h100],
  device: { kind: "webgpu", description: h100.name, software: false },
  noGpu: undefined,
  preset: "standard",
};
