import type { Device, MemoryPlan } from "../../kernels/mod.ts";
import { HeldOutLoss, Sampler } from "../../models/mod.ts";
import type { ImageSource } from "../data/image_source.ts";
import { TrainingError } from "../program/command.ts";
import { heldOutOptions } from "../settings/tasks/objective.ts";
import type { TrainingConfig } from "../settings/tasks/train.ts";
import { makeNetwork, type Network } from "./network.ts";

/** Share of the free memory that a step may take where the device computes in main memory. */
const shareOfMemory = 0.8;

/**
 * The largest batch, at most the wanted one and halved as often as needed, whose step the device can run.
 *
 * @param plan what a step of a batch size needs
 * @returns the batch size, and why it is smaller than wanted, if it is
 * @throws {TrainingError} if not even a single image fits
 */
export function fitBatch(
  device: Pick<Device, "tuning" | "maxRangeBytes" | "maxBytes" | "allocatedBytes">,
  wanted: number,
  plan: (batchSize: number) => MemoryPlan,
): { batchSize: number; reason?: string } {
  const inMainMemory = device.tuning.software &&
    Deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" }).state === "granted";
  const free = Math.min(
    inMainMemory ? Deno.systemMemoryInfo().available * shareOfMemory : Infinity,
    device.maxBytes - device.allocatedBytes,
  );
  let reason: string | undefined;
  for (let batchSize = wanted;; batchSize = Math.floor(batchSize / 2)) {
    if (batchSize < 1) {
      throw new TrainingError(
        `Cannot train this network here: not even one image fits (${reason}); use fewer --filters`,
      );
    }
    const { bytes, largestBytes } = plan(batchSize);
    if (largestBytes > device.maxRangeBytes) {
      reason ??= `a value of ${megabytes(largestBytes)} is more than a kernel can bind, ${
        megabytes(device.maxRangeBytes)
      }`;
    } else if (bytes > free) {
      reason ??= `a step of ${megabytes(bytes)} is more than the memory that is free, ${megabytes(free)}`;
    } else return { batchSize, ...reason !== undefined && { reason } };
  }
}

/**
 * A network whose work fits the device; says so if the batch had to be smaller than asked for.
 *
 * @returns the network, and the configuration with its batch
 * @throws {TrainingError} if not even a single image fits, or the run is resumed and its batch does not
 */
export function fittingNetwork(
  config: TrainingConfig,
  device: Device,
  source: ImageSource,
  say: (message: string) => void,
): { config: TrainingConfig; network: Network } {
  const network = makeNetwork(config, source);
  const { batchSize, reason } = fitBatch(
    device,
    config.batchSize,
    (size) => planOf(network, config, source, size),
  );
  if (reason === undefined) return { config, network };
  if (config.resume) {
    throw new TrainingError(
      `Cannot resume ${config.resume} here: its batches of ${config.batchSize} images do not fit, ${reason}`,
    );
  }
  say(`Batches of ${batchSize} images instead of ${config.batchSize}: ${reason}`);
  const fitting = { ...config, batchSize };
  return { config: fitting, network: makeNetwork(fitting, source) };
}

/** What a run needs at most at one time: the training step, the measured losses, and samples besides. */
function planOf(
  { trainer, averaged }: Network,
  config: TrainingConfig,
  source: ImageSource,
  batchSize: number,
): MemoryPlan {
  const { samples, flowSamples, pathSamples, sampleSteps: steps, solver } = config;
  const held = HeldOutLoss.plan(averaged, source, { ...heldOutOptions(config), batchSize });
  const images = Math.max(Math.min(samples, 256), flowSamples, Math.min(pathSamples, batchSize));
  const plans = [
    trainer.plan(batchSize),
    ...[held, held], // that of the validation is kept when the test is measured
    ...images > 0 ? [Sampler.plan(averaged, [images, ...source.shape], { steps, solver })] : [],
  ];
  return {
    bytes: plans.reduce((sum, { bytes }) => sum + bytes, 0),
    largestBytes: Math.max(...plans.map(({ largestBytes }) => largestBytes)),
    calls: plans.reduce((sum, { calls }) => sum + calls, 0),
  };
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
