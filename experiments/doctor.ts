import { CpuDevice } from "../kernels/devices/cpu/cpu_device.ts";
import { isSoftware } from "../kernels/devices/webgpu/adapter.ts";
import { type Device, DeviceError, init } from "../kernels/mod.ts";
import { type Facts, hiddenGpus, look } from "./doctor/gpus.ts";
import { reportFile, type Tested, withoutNames, writeReport } from "./doctor/report.ts";
import { gigabytes } from "./cli/dry_run.ts";
import { print, say } from "./cli/output.ts";
import { main, task } from "./cli/task.ts";
import { toggle } from "./cli/kinds.ts";
import { defineSettings } from "./cli/settings.ts";
import { shared } from "./cli/shared.ts";
import { presetFor } from "./cli/training.ts";
import { mainMemory } from "./training/fit_memory.ts";

/** A line about this machine; an `error` leaves hardware unused or means that training cannot start. */
export interface Line {
  readonly state: "ok" | "error";
  readonly check: string;
  readonly says: string;
  /** What to do about an error. */
  readonly advice?: string;
}

/** What `linesAbout()` describes. */
export interface Machine {
  /** Where to compute, from `--device`. */
  readonly requested: "auto" | "webgpu" | "cpu";
  /** The adapter that training would take, null without one. */
  readonly adapter: GPUAdapter | null;
  /** The device that training would take, or why none can be opened. */
  readonly device: Pick<Device, "kind" | "tuning" | "description"> | DeviceError;
  /** Why WebGPU gives no device, which `auto` does not report. */
  readonly noGpu: string | undefined;
  readonly facts: Facts;
}

/** `deno task doctor`: examines this machine; the exit code is 1 if training cannot start or would not use the GPU. */
export const doctorTask = task({
  name: "doctor",
  about: "Check this machine: what it has, what training would use, and what to fix",
  settings: defineSettings({
    device: shared.device,
    json: toggle({ doc: "print JSON, not lines", default: false }),
    report: toggle({
      doc: `test all kernels, measure the speed and write ${reportFile}, to attach to a bug report`,
      default: false,
    }),
  }),
  async run({ device, json, report }) {
    const machine = await thisMachine(device);
    const lines = [...linesAbout(machine)];
    if (report) {
      say(
        `Testing the kernels, for about a minute; the results go to ${reportFile}, which names neither you nor this machine`,
      );
      for (const { state, says } of await testMachine(machine)) lines.push({ state, check: "tests", says });
    }
    const ok = lines.every(({ state }) => state === "ok");
    if (json) print(JSON.stringify({ ok, findings: lines }, null, 2));
    else {
      for (const { state, check, says, advice } of lines) {
        print(`${state.padEnd(6)} ${check.padEnd(9)} ${says}${advice === undefined ? "" : `; ${advice}`}`);
      }
    }
    return ok ? 0 : 1;
  },
});

async function thisMachine(requested: Machine["requested"]): Promise<Machine> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" }) ?? null;
  const gpu = await open("webgpu");
  const noGpu = gpu instanceof DeviceError ? gpu.message : undefined;
  return {
    requested,
    adapter,
    device: requested === "webgpu" ? gpu : await open(requested),
    noGpu,
    facts: await look(),
  };
}

/** Tests the adapter and the device that training would use, and writes the report. */
async function testMachine(machine: Machine): Promise<Tested[]> {
  const findings = [...linesAbout({ ...machine, facts: withoutNames(machine.facts) })];
  const adapter = machine.noGpu === undefined ? machine.adapter : null;
  const device = machine.device instanceof DeviceError
    ? undefined
    : await init({ device: machine.device.kind });
  try {
    return await writeReport(findings, adapter, device);
  } finally {
    device?.close();
  }
}

/** Opens a device, describes it and closes it. */
async function open(requested: Machine["requested"]): Promise<Machine["device"]> {
  try {
    const device = await init({ device: requested }), { kind, tuning, description } = device;
    const isWide = device instanceof CpuDevice && await device.hasWideVectors();
    device.close();
    return { kind, tuning, description: isWide ? `${description}, wide vectors` : description };
  } catch (error) {
    if (error instanceof DeviceError) return error;
    throw error;
  }
}

/** Describes what a machine has for training, what training would use, and why it would not use more. */
export function* linesAbout({ requested, adapter, device, noGpu, facts }: Machine): Generator<Line> {
  const ok = (check: string, says: string): Line => ({ state: "ok", check, says });
  const error = (says: string, advice: string): Line => ({ state: "error", check: "training", says, advice });
  const { total, available, limit } = mainMemory();
  const memory = `${gigabytes(Math.min(available, limit))} of ${gigabytes(total)} of memory are free`;
  yield ok("machine", `${Deno.build.os}, ${navigator.hardwareConcurrency} processors, ${memory}`);
  yield ok("adapter", adapter === null ? "WebGPU offers none" : describeAdapter(adapter));
  for (const { json, file } of facts.drivers) yield ok("driver", `${json}: ${file || "no library"}`);
  for (const { path, state, mode } of facts.devices) yield ok("device", `${path}: ${state} (mode ${mode})`);

  const gpu = adapter !== null && !isSoftware(adapter) ? adapter : undefined;
  const none = device instanceof DeviceError;
  const onGpu = !none && device.kind === "webgpu" && !device.tuning.software;
  const used = none
    ? device.message
    : `training uses ${onGpu ? "" : "the CPU: "}${device.description}, preset ${presetFor(device)}`;
  if (requested === "cpu") return yield ok("training", used);
  if (gpu !== undefined && !onGpu) {
    const advice = "check whether other programs use its memory, and restart its driver";
    return yield error(`the adapter gives no device: ${noGpu}`, advice);
  }
  const hidden = hiddenGpus(facts, onGpu ? Number.parseInt(gpu?.info.vendor ?? "") : undefined);
  for (const [wrong, advice] of hidden) yield error(wrong, advice);
  if (hidden.length > 0) return;
  if (onGpu) return yield ok("training", used);
  if (requested === "auto") return yield ok("training", `no GPU found; ${used}`);
  const why = none ? device.message : `only a software adapter, ${device.description}`;
  yield error(`no GPU found: ${why}`, "leave --device out, and training uses the CPU");
}

function describeAdapter(adapter: GPUAdapter): string {
  const { info: { description, device, vendor }, features, limits } = adapter;
  return [
    (description || device || vendor) + (isSoftware(adapter) ? " (software)" : ""),
    `values of up to ${gigabytes(Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize))}`,
    `${limits.maxComputeWorkgroupStorageSize / 1024} KiB per workgroup`,
    features.has("shader-f16") ? "shader-f16" : "no shader-f16 (--precision f16 is refused)",
  ].join(", ");
}

if (import.meta.main) await main(doctorTask);
