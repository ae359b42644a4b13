/** This machine as training would use it: adapters, device, memory, data, tracking server, and the rate of training. */

import { CpuDevice } from "../../kernels/devices/cpu/cpu_device.ts";
import { isSoftware } from "../../kernels/devices/webgpu/adapter.ts";
import { type Device, DeviceError, init } from "../../kernels/mod.ts";
import { BatchOrder } from "../../models/mod.ts";
import { DataError, type Dataset, splitImages } from "../data/dataset.ts";
import { ImageSource, labelsFor } from "../data/image_source.ts";
import { loadDataset } from "../data/load_dataset.ts";
import { isGpu, normalizationTo, presetFor, type TrainingConfig } from "../settings/training.ts";
import type { DoctorConfig } from "../doctor.ts";
import { trainingConfig } from "../settings/training_config.ts";
import { pause } from "../../models/pause.ts";
import { chooseTracking } from "../tracking/choose_tracking.ts";
import { HttpServer } from "../tracking/http_server.ts";
import { MlflowClient } from "../tracking/mlflow_client.ts";
import { decideConditional } from "../training/training_data.ts";
import { fittingNetwork, mainMemory } from "../training/fit_memory.ts";
import { secondsPerStep } from "../training/trial.ts";
import { ChoiceCache, choiceCacheFile } from "../tuning/choice_cache.ts";
import { lookAt } from "./host.ts";

/** Maximum seconds to wait for the data, and to tune kernels before measuring the rate. */
const [secondsForData, secondsOfTuning] = [60, 5];
/** One short attempt: someone is waiting for the answer. */
const patience = { maxRetries: 0, backoffFactor: 0, timeoutMs: 5000 };

/** The input of the checks; tests make their own. */
export type Machine = Omit<Awaited<ReturnType<typeof thisMachine>>, typeof Symbol.dispose>;

/** Examines this machine for a run with some settings. */
export async function thisMachine(settings: DoctorConfig) {
  const adapters = await findAdapters();
  const noGpu = await whyNoGpu();
  const device = await openDevice(settings);
  const [host, memory] = [await lookAt(settings.root), mainMemory()];
  const preset = settings.preset ?? (device instanceof Error ? "quick" : presetFor(device));
  let loaded: Promise<Dataset> | undefined;
  const data = () =>
    loaded ??= withTimeout(secondsForData, loadDataset(settings.data ?? undefined, settings));
  return {
    versions: { deno: Deno.version.deno, os: Deno.build.os, architecture: Deno.build.arch },
    settings,
    host,
    adapters,
    /** The device that training would take, or why none can be opened. */
    device: device instanceof Error ? device : {
      kind: device.kind,
      description: device.description,
      software: device.tuning.software,
      threads: device instanceof CpuDevice ? device.threads : undefined,
    },
    noGpu,
    preset,
    memory: { ...memory, limit: Math.min(memory.limit, host.memoryLimit) },
    /** Processors that this process may use at once. */
    parallelism: navigator.hardwareConcurrency,
    data,
    tracker: () => askTracker(settings),
    async rate() {
      if (device instanceof Error) throw device;
      const config = trainingConfig({ model: settings.model }, preset);
      // Another line says what is wrong with the data.
      return await measureRate(device, config, await data().catch(madeUpDigits), settings.seconds);
    },
    [Symbol.dispose]: () => device instanceof Error || device.close(),
  };
}

/** An adapter that WebGPU offers. */
export type Adapter = ReturnType<typeof describeAdapter>;

/** The distinct adapters that WebGPU offers, starting with the one that training would take. */
async function findAdapters(): Promise<Adapter[]> {
  const requests: GPURequestAdapterOptions[] = [
    { powerPreference: "high-performance" },
    { powerPreference: "low-power" },
    { forceFallbackAdapter: true },
  ];
  const found: Adapter[] = [];
  for (const request of requests) {
    const adapter = await navigator.gpu?.requestAdapter(request);
    const described = adapter && describeAdapter(adapter);
    if (described && !found.some(({ name }) => name === described.name)) found.push(described);
  }
  return found;
}

function describeAdapter(adapter: GPUAdapter) {
  const { info, features } = adapter;
  const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize } = adapter.limits;
  const vendor = Number.parseInt(info.vendor);
  return {
    name: info.description || info.device || info.vendor,
    /** PCI vendor id; null if WebGPU does not give it. */
    vendor: Number.isNaN(vendor) ? null : vendor,
    software: isSoftware(adapter),
    features: [...features].sort(),
    limits: { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize },
  };
}

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

/** Why WebGPU gives no device; needed because `init` silently falls back to the CPU device. */
async function whyNoGpu(): Promise<string | undefined> {
  const device = await openDevice({ device: "webgpu", threads: 0 });
  if (device instanceof Error) return device.message;
  device.close();
  return undefined;
}

/** Waits for data, up to a time limit. @throws {DataError} if it does not arrive in time */
export async function withTimeout<T>(seconds: number, data: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const message = `Waited ${seconds} s for the data; connect to the network, or give --data DIR`;
    timer = setTimeout(() => reject(new DataError(message)), 1000 * seconds);
  });
  try {
    return await Promise.race([data, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Asks the server of a run whether it has the experiment.
 *
 * @returns undefined if no server is named
 * @throws {ConfigError} if its address cannot be used
 * @throws {ServerError} if it does not answer soon, or not as a tracking server does
 */
async function askTracker(flags: Pick<DoctorConfig, "mlflow" | "experiment">) {
  const { address, experiment } = chooseTracking(flags);
  if (address === undefined) return undefined;
  const client = new MlflowClient(new HttpServer(address, patience));
  return { url: address.url, experiment, exists: await client.experiment(experiment) !== undefined };
}

/** Images of the size and the classes of MNIST, to time training without data; their pixels do not change the time. */
export function madeUpDigits(): Dataset {
  const [count, size, classes] = [1024, 28, 10];
  const images = Uint8Array.from({ length: count * size * size }, (_, i) => Math.imul(i, 2654435761) >>> 24);
  const all = { images, labels: Uint8Array.from({ length: count }, (_, i) => i % classes), count };
  return {
    name: "made-up digits",
    train: all,
    test: all,
    channels: 1,
    height: size,
    width: size,
    classes,
    digest: "",
    source: "this program",
  };
}

/**
 * Trains for some seconds, after a warm-up that is not counted, and discards the result.
 *
 * @param device the one in use
 * @throws {TrainingError} if not even one image fits the device
 * @throws {DeviceError} if the device fails
 */
export async function measureRate(device: Device, settings: TrainingConfig, data: Dataset, seconds: number) {
  const wanted = decideConditional(settings, data, () => {});
  const labels = labelsFor(wanted, data.train, data);
  const source = new ImageSource(data.train.images, data, normalizationTo(wanted.normalize), labels);
  /** Why batches are smaller than in the preset, if they are. */
  let reduced: string | undefined;
  const { config, network } = fittingNetwork(wanted, device, source, (line) => reduced = line);
  const { trainer, size: parameters } = network;
  const order = new BatchOrder(splitImages(data.train.count, config).train, config.batchSize, config.seed);
  if (config.tune === "auto" ? isGpu(device) : config.tune) {
    // As in a run, but the choices are not stored.
    const store = await ChoiceCache.open(choiceCacheFile, () => {});
    await trainer.tune({ store, seconds: Math.min(seconds, secondsOfTuning) });
  }
  await trainer.compile(() => {});
  const train = async (steps: number) => {
    for (let i = 0; i < steps; i++) trainer.queueStep(order.batch(trainer.step), config.lr);
    await trainer.losses();
    await pause();
  };
  const perStep = await secondsPerStep(train, seconds, () => false, () => performance.now());
  return {
    imagesPerSecond: config.batchSize / perStep,
    stepMilliseconds: 1000 * perStep,
    batchSize: config.batchSize,
    parameters,
    plannedBytes: trainer.plan(config.batchSize).bytes,
    reduced,
  };
}
