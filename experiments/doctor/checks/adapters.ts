import type { Adapter } from "../adapters.ts";
import type { Check } from "../check.ts";
import { ok, shownBytes } from "../finding.ts";
import type { Host } from "../host.ts";
import { nvidia } from "../gpus.ts";

/** The adapters that WebGPU offers, with driver, limits and features; the next check says whether they are enough. */
export const adaptersOffered: Check = ({ adapters, host }) => {
  if (adapters.length === 0) return [ok("WebGPU offers none")];
  return adapters.map((adapter) => {
    const driver = driverOf(adapter, host);
    return ok(inWords(adapter, driver), {
      ...{ name: adapter.name, vendor: adapter.vendor ?? null, software: adapter.software },
      ...{ driver: driver ?? null, features: adapter.features, limits: adapter.limits },
    });
  });
};

function inWords({ name, software, features, limits }: Adapter, driver: string | undefined): string {
  const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize } = limits;
  return [
    name + (software ? " (software)" : ""),
    ...driver === undefined ? [] : [`driver ${driver}`],
    `values of up to ${shownBytes(Math.min(maxBufferSize, maxStorageBufferBindingSize))}`,
    `${maxComputeWorkgroupStorageSize / 1024} KiB a workgroup`,
    features.includes("shader-f16") ? "shader-f16" : "no shader-f16 (--precision f16 is refused)",
  ].join(", ");
}

/** NVIDIA's tells its version in `/proc`, Mesa's in the adapter's name. */
function driverOf({ vendor }: Adapter, host: Host): string | undefined {
  if (vendor !== nvidia) return undefined;
  return / (\d+\.\d+(\.\d+)?) /.exec(host.nvidia.version)?.[1];
}
