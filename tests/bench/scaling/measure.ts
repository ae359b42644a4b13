import { normalizationTo } from "../../../experiments/cli/training.ts";
import type { Device } from "../../../kernels/mod.ts";
import type { Trainer } from "../../../models/mod.ts";
import { sourceOf } from "../../../experiments/data/image_source.ts";
import type { Dataset } from "../../../experiments/data/dataset.ts";
import { trainingConfig } from "../../../experiments/cli/training_config.ts";
import { decideConditional } from "../../../experiments/training/training_data.ts";
import { fittingNetwork } from "../../../experiments/training/fit_memory.ts";
import { type Case, training } from "../networks.ts";
import { queued, timeFor } from "../timing.ts";
import type { Axis, Kind, Row } from "./rows.ts";

/** A measured row. */
export interface Point extends Pick<Row, "axis" | "label" | "times"> {
  readonly axis: Axis;
  readonly device: Kind;
  /** Images per step, for a preset possibly fewer than its own to fit in memory. */
  readonly batchSize: number;
  readonly parameters: number;
  /** Median of a training step. */
  readonly milliseconds: number;
  readonly imagesPerSecond: number;
  /** Memory for values of a step and workspace of kernels. */
  readonly plannedBytes: number;
  /** All device memory afterwards: step, weights, optimizer and data. */
  readonly deviceBytes: number;
}

/** A training step ready for timing. */
interface Prepared {
  readonly trainer: Trainer;
  readonly batchSize: number;
  readonly step: () => void;
}

/**
 * Times training steps of a row on the current device, and reads their memory.
 *
 * @param seconds how long to repeat them, after a warm-up; at least one is timed
 */
export async function measureRow(
  device: Device,
  { axis, label, times, work }: Row,
  { model, seconds }: { readonly model: Case["model"]; readonly seconds: number },
): Promise<Point> {
  const { trainer, batchSize, step } = "preset" in work
    ? ofPreset(device, model, work)
    : { ...training(work.network, work.imageSize), batchSize: work.network.batchSize };
  await trainer.compile();
  const { bytes, workspaceBytes } = trainer.plan(batchSize);
  const { milliseconds, rate } = await timeFor(queued(device, label, batchSize, "images/s", step), seconds);
  return {
    ...{ axis, label, ...times !== undefined && { times }, device: device.kind, batchSize },
    parameters: trainer.parameters.values().reduce((sum, { size }) => sum + size, 0),
    milliseconds,
    imagesPerSecond: rate,
    plannedBytes: bytes + workspaceBytes,
    deviceBytes: device.allocatedBytes,
  };
}

/** A step as `deno task train` runs it with a preset, on images of MNIST's size. */
function ofPreset(
  device: Device,
  model: Case["model"],
  { preset, ...given }: Extract<Row["work"], { preset: string }>,
): Prepared {
  const data = madeUpDigits();
  const asked = decideConditional(trainingConfig({ model, ...given }, preset), data, () => {});
  const { conditional, normalize } = asked;
  const source = sourceOf(data, "train", { conditional, normalization: normalizationTo(normalize) });
  const { config, network: { trainer } } = fittingNetwork(asked, device, source, () => {});
  const images = Uint32Array.from({ length: config.batchSize }, (_, i) => i);
  return { trainer, batchSize: config.batchSize, step: () => trainer.queueStep(images, config.lr) };
}

/** Images of the size and the classes of MNIST; their pixels do not change the time. */
function madeUpDigits(): Dataset {
  const [count, size, classes] = [1024, 28, 10];
  const images = Uint8Array.from({ length: count * size * size }, (_, i) => Math.imul(i, 2654435761) >>> 24);
  const all = { images, labels: Uint8Array.from({ length: count }, (_, i) => i % classes), count };
  const shape = { channels: 1, height: size, width: size, classes };
  return { name: "made-up digits", train: all, test: all, ...shape, digest: "", source: "this program" };
}
