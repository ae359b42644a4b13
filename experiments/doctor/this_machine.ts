import { CpuDevice } from "../../kernels/devices/cpu/cpu_device.ts";
import { type Device, DeviceError, init } from "../../kernels/mod.ts";
import type { Dataset } from "../data/dataset.ts";
import { loadDataset } from "../data/load_dataset.ts";
import { presetFor } from "../settings/training.ts";
import type { DoctorConfig } from "../doctor.ts";
import { trainingConfig } from "../settings/training_config.ts";
import { findAdapters } from "./adapters.ts";
import { askTracker } from "./ask_tracker.ts";
import { lookAt } from "./host.ts";
import type { ChosenDevice, Machine } from "./machine.ts";
import { mainMemory } from "../training/main_memory.ts";
import { madeUpDigits } from "./made_up_digits.ts";
import { measureRate } from "./measure_rate.ts";
import { within } from "./within.ts";

/** Seconds that the data may take to come. */
const dataPatience = 60;

/** This machine, for a run with some settings. */
export async function thisMachine(settings: DoctorConfig): Promise<Machine & Disposable> {
  const adapters = await findAdapters();
  const noGpu = await whyNoGpu();
  const device = await openDevice(settings);
  const preset = settings.preset ?? (device instanceof Error ? "quick" : presetFor(device));
  const [host, memory] = [await lookAt(settings.root), mainMemory()];
  let loaded: Promise<Dataset> | undefined;
  const data = () => loaded ??= within(dataPatience, "the data", loadDataset(settings.data ?? undefined));
  return {
    versions: { deno: Deno.version.deno, os: Deno.build.os, architecture: Deno.build.arch },
    settings,
    host,
    adapters,
    device: device instanceof Error ? device : chosen(device),
    noGpu,
    preset,
    memory: { ...memory, limit: Math.min(memory.limit, host.memoryLimit) },
    parallelism: navigator.hardwareConcurrency,
    data,
    tracker: () => askTracker(settings),
    async rate() {
      if (device instanceof Error) throw device;
      const { model, seconds } = settings;
      return await measureRate(device, {
        settings: trainingConfig({ model }, preset),
        data: await data().catch(madeUpDigits), // another line says what is wrong with the data
        seconds,
      });
    },
    [Symbol.dispose]: () => device instanceof Error || device.close(),
  };
}

/** The device that training would take. */
async function openDevice(
  { device, threads }: Pick<DoctorConfig, "device" | "threads">,
): Promise<Device | DeviceError> {
  try {
    return await init({ device, threads });
  } catch (error) {
    if (error instanceof DeviceError) return error;
    throw error;
  }
}

/** What WebGPU says where it gives no device, which `init` keeps to itself if there is the CPU device. */
async function whyNoGpu(): Promise<string | undefined> {
  const device = await openDevice({ device: "webgpu", threads: 0 });
  if (device instanceof Error) return device.message;
  device.close();
  return undefined;
}

function chosen(device: Device): ChosenDevice {
  const { kind, description, tuning: { software } } = device;
  return { kind, description, software, ...device instanceof CpuDevice && { threads: device.threads } };
}
