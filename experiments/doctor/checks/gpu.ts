import type { Check } from "../check.ts";
import { error, type Finding, ok } from "../finding.ts";
import { type Gpus, gpusIn, makers } from "../gpus.ts";
import { whyHidden } from "../hidden/obstacles.ts";
import type { Machine } from "../machine.ts";

/** Whether training uses the machine's GPUs, and why not. */
export const gpuInUse: Check = (machine) => {
  const { host, device, settings, adapters } = machine;
  const gpus = gpusIn(host);
  const values = {
    gpus: gpus.flatMap(({ names }) => names),
    used: usesGpu(machine),
  };
  const seen = adapters.find(({ software }) => !software);
  if (usesGpu(machine)) {
    const better = gpus.filter(({ maker }) => maker.rank > rankOf(seen?.vendor));
    if (better.length === 0) {
      const others = values.gpus.length > 1 ? `, one of ${values.gpus.length} GPUs` : "";
      return [ok(`training uses ${seen?.name ?? "the GPU"}${others}`, values)];
    }
    return better.flatMap((found) => hidden(found, machine, values));
  }
  const software = "leave --device out: the CPU device is faster than a software adapter";
  if (gpus.length === 0 && seen === undefined) {
    if (!(device instanceof Error) && device.kind === "webgpu") {
      return [error(`--device webgpu computes on processors (${device.description})`, software, values)];
    }
    return [ok("the machine shows none; training runs on the CPU device", values)];
  }
  if (seen !== undefined) {
    return [
      settings.device === "cpu"
        ? error(`--device cpu leaves ${seen.name} idle`, "leave --device out", values)
        : error(
          `${seen.name} is there and gives no device: ${machine.noGpu ?? "WebGPU does not say why"}`,
          "see whether other programs hold its memory, and restart its driver",
          values,
        ),
    ];
  }
  return gpus.flatMap((found) => hidden(found, machine, values));
};

function usesGpu({ device }: Machine): boolean {
  return !(device instanceof Error) && device.kind === "webgpu" && !device.software;
}

/** Where a maker is unknown, its GPU counts as the best there is. */
function rankOf(vendor: number | undefined): number {
  return makers.find((maker) => maker.vendor === vendor)?.rank ?? Infinity;
}

function hidden(gpus: Gpus, { adapters, host }: Machine, values: Finding["values"]): Finding[] {
  const [name] = gpus.names;
  const count = gpus.names.length > 1 ? `${gpus.names.length} GPUs (${name})` : name;
  const only = adapters.length > 0 && adapters.every(({ software }) => software)
    ? "only a software adapter is found"
    : "WebGPU does not see it";
  return whyHidden(gpus, host).map(({ says, advice }) => error(`${count}: ${only}: ${says}`, advice, values));
}
