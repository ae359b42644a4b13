import { isSoftware } from "../../kernels/devices/webgpu/adapter.ts";

/** An adapter that WebGPU offers. */
export interface Adapter {
  /** What its driver calls it, e.g. `NVIDIA H100 80GB HBM3`. */
  readonly name: string;
  /** PCI's number of the maker; undefined where WebGPU does not tell. */
  readonly vendor: number | undefined;
  readonly software: boolean;
  readonly features: readonly string[];
  /** Those that bound training, by WebGPU's names. */
  readonly limits: Readonly<Record<typeof limitNames[number], number>>;
}

const limitNames = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupStorageSize",
  "maxComputeWorkgroupsPerDimension",
] as const;

const requests: readonly GPURequestAdapterOptions[] = [
  { powerPreference: "high-performance" },
  { powerPreference: "low-power" },
  { forceFallbackAdapter: true },
];

/** The different adapters that WebGPU offers, the one that training would take first. */
export async function findAdapters(): Promise<Adapter[]> {
  const found = new Map<string, Adapter>();
  for (const request of requests) {
    const adapter = await globalThis.navigator?.gpu?.requestAdapter(request);
    if (!adapter) continue;
    const described = describe(adapter);
    if (!found.has(described.name)) found.set(described.name, described);
  }
  return [...found.values()];
}

function describe(adapter: GPUAdapter): Adapter {
  const { info, limits, features } = adapter;
  const vendor = Number.parseInt(info.vendor);
  return {
    name: info.description || info.device || info.vendor,
    vendor: Number.isNaN(vendor) ? undefined : vendor,
    software: isSoftware(adapter),
    features: [...features].sort(),
    limits: Object.fromEntries(limitNames.map((name) => [name, limits[name]])) as Adapter["limits"],
  };
}
