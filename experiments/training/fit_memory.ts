import { type Device, type MemoryPlan, scope } from "../../kernels/mod.ts";
import { blankInitialiser, countParameters, HeldOutLoss, type Model, Sampler } from "../../models/mod.ts";
import type { ImageSource } from "../data/image_source.ts";
import { roundToRows, samplingField } from "../draw/conditioning.ts";
import { TrainingError } from "../cli/task.ts";
import { heldOutOptions } from "../settings/objective.ts";
import type { RunConfig } from "../settings/run_config.ts";
import { makeNetwork, modelOptions, type Network } from "./network.ts";
import process from "node:process";

/** Share of free main memory that training may use on a device without its own memory. */
const shareOfMemory = 0.8;

/** Memory limits of a device. */
type Limits = Pick<Device, "tuning" | "maxRangeBytes" | "maxBytes" | "allocatedBytes">;

/** Halves the batch size until the planned training fits the device. Returns it, with the reason if it was reduced. */
export function fitBatch(
  device: Limits,
  requested: number,
  plan: (batchSize: number) => MemoryPlan,
): { batchSize: number; reason?: string } {
  const free = freeBytes(device);
  let reason: string | undefined;
  for (let batchSize = requested;; batchSize = Math.floor(batchSize / 2)) {
    if (batchSize < 1) {
      throw new TrainingError(
        `Cannot train this network here: not even one image fits (${reason}); use a smaller one`,
      );
    }
    const { bytes: values, largestBytes, workspaceBytes } = plan(batchSize);
    const bytes = values + workspaceBytes;
    if (largestBytes > device.maxRangeBytes) {
      reason ??= `a tensor takes ${megabytes(largestBytes)}, but a kernel can only bind ${
        megabytes(device.maxRangeBytes)
      }`;
    } else if (bytes > free) {
      reason ??= `training takes ${megabytes(bytes)}, but only ${megabytes(free)} are free`;
    } else {
      return { batchSize, reason };
    }
  }
}

/** Bytes of a device that training may use. */
function freeBytes({ tuning, maxBytes, allocatedBytes }: Limits): number {
  const inMainMemory = tuning.software &&
    Deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" }).state === "granted";
  return Math.min(
    inMainMemory ? freeMainMemory(mainMemory(), Deno.memoryUsage().rss) * shareOfMemory : Infinity,
    maxBytes - allocatedBytes,
  );
}

/**
 * Makes the network of a configuration, with a smaller batch if training does not fit the device; a resumed run must fit.
 *
 * @param write replaces weights, as in `makeNetwork`
 * @returns the network, and the configuration with the final batch size
 */
export function fittingNetwork(
  config: RunConfig,
  device: Limits,
  source: ImageSource,
  say: (message: string) => void,
  write?: (model: Model) => void,
): { config: RunConfig; network: Network } {
  const parameters = countParameters(modelOptions(config, source.shape, source.classes));
  const bytes = 2 * 4 * parameters;
  const free = freeBytes(device);
  if (bytes > free) { // before they are allocated
    throw new TrainingError(
      `Cannot train this network here: its ${parameters} parameters and their gradients take ` +
        `${megabytes(bytes)}, but only ${megabytes(free)} are free; use a smaller one`,
    );
  }
  const { batchSize, reason } = scope(() => { // frees the network used for planning
    const network = makeNetwork(config, source, blankInitialiser);
    return fitBatch(device, config.batchSize, (size) => planRun(network, config, source, size));
  });
  if (reason !== undefined && config.start.kind === "resume") {
    throw new TrainingError(
      `Cannot resume ${config.start.run} here: its batches of ${config.batchSize} images do not fit (${reason})`,
    );
  }
  if (reason !== undefined) say(`Batches of ${batchSize} images instead of ${config.batchSize}: ${reason}`);
  const fitting = { ...config, batchSize };
  return { config: fitting, network: makeNetwork(fitting, source, config.seed, undefined, write) };
}

/** Peak memory of a run: recorded steps of training, validation and test loss, and the largest sampling. */
function planRun(
  { trainer, averaged }: Network,
  config: RunConfig,
  source: ImageSource,
  batchSize: number,
): MemoryPlan {
  const { samples, flowSamples, pathSamples, solver, guidance: scale } = config;
  const held = HeldOutLoss.plan(averaged, source, { ...heldOutOptions(config), batchSize });
  const inGrid = roundToRows(samples, source.classes);
  const flows = roundToRows(flowSamples, source.classes);
  const images = Math.max(Math.min(inGrid, 256), flows, Math.min(pathSamples, batchSize));
  const conditioning = source.classes > 0
    ? { labels: new Uint32Array(images), guidance: { scale } }
    : undefined;
  const steered = { model: averaged, autoguidance: { model: averaged, scale } };
  const { field, ...condition } = samplingField(steered, conditioning);
  const how = { ...solver.how, ...condition };
  const plans = [
    trainer.plan(batchSize),
    ...[held, held], // validation, which stays recorded, and test
    ...images > 0 ? [Sampler.plan(field, [images, ...source.shape], how)] : [],
  ];
  return plans.reduce((all, plan) => ({
    bytes: all.bytes + plan.bytes,
    largestBytes: Math.max(all.largestBytes, plan.largestBytes),
    workspaceBytes: Math.max(all.workspaceBytes, plan.workspaceBytes),
    calls: all.calls + plan.calls,
  }));
}

const megabytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;

/** Main memory of this machine in bytes, with the limit of a control group, such as a container's or a job's. */
export function mainMemory() {
  const { total, available } = Deno.systemMemoryInfo();
  const limit = process.constrainedMemory(); // without one: 0, or more than all memory
  return { total, available, limit: limit > 0 && limit < total ? limit : Infinity };
}

/** Memory that this process can still use, in bytes; it uses `used` now. */
export function freeMainMemory(
  { available, limit }: Omit<ReturnType<typeof mainMemory>, "total">,
  used: number,
): number {
  return Math.max(0, Math.min(available, limit - used));
}
