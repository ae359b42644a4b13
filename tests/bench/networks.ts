import { type Device, randomNormal, randomUniform, record, scope, tensor } from "../../kernels/mod.ts";
import { createModel, DensityField, Sampler, type Trainer } from "../../models/mod.ts";
import { ImageSource } from "../../experiments/data/image_source.ts";
import type { Teacher } from "../../experiments/run/weights.ts";
import { readStages } from "../../experiments/settings/stages.ts";
import { distillationOf } from "../../experiments/training/distillation.ts";
import { makeNetwork, modelOptions } from "../../experiments/training/network.ts";
import type { Reporter } from "./report.ts";
import { upTo } from "../refusing.ts";
import { queued, timeInTurn, type Work } from "./timing.ts";
import { rademacher } from "../../models/solve/likelihood.ts";
import * as settings from "../experiments/config_of.ts";

/** Solver steps of a batch of samples. */
const samplingSteps = 10;

/** A network with its batch size. */
export interface Case {
  readonly model: "base" | "residual";
  readonly filters: readonly number[];
  readonly tEmb: number;
  readonly batchSize: number;
  /** Precision of activations in training, `f32` by default. */
  readonly precision?: "f32" | "f16";
}

/** The benchmarked networks. */
export const cases: readonly Case[] = [
  { model: "base", filters: [16, 32, 64], tEmb: 64, batchSize: 64 },
  { model: "residual", filters: [16, 32, 64], tEmb: 64, batchSize: 64 },
  { model: "residual", filters: [8, 16, 32], tEmb: 64, batchSize: 32 },
];

/** Name of a case for tables. */
export function nameOf({ model, filters, tEmb, batchSize, precision }: Case): string {
  return `${model} [${filters}] T ${tEmb}, batch ${batchSize}${precision === "f16" ? ", f16" : ""}`;
}

/** Training settings of a case, with an optimizer and times that other programs have too. */
function configOf({ filters, ...rest }: Case) {
  return settings.configOf({ ...rest, filters: [...filters], optimizer: "adamw", times: "uniform" });
}

/** Training on random images: the trainer, and a function that queues a step. */
export function training(c: Case, imageSize = 28): { trainer: Trainer; step: () => void } {
  const { trainer } = makeNetwork(configOf(c), randomImages(c.batchSize, imageSize));
  const images = Uint32Array.from(upTo(c.batchSize));
  return { trainer, step: () => trainer.queueStep(images, 1e-4) };
}

/** Drift of a flow map towards random images, in whole steps from noise to image: a function that queues one. */
function drifting(c: Case): () => void {
  const source = randomImages(1000, 28, 10), images = Uint32Array.from(upTo(1000));
  const model = createModel(modelOptions(configOf(c), source.shape, source.classes), 1);
  const info = { config: { classes: source.classes } };
  const teacher = { model, info, path: "a network" } as Teacher;
  const stages = readStages("drift:whole=100");
  const distillation = { teacher: teacher.path, stages, teacherGuidance: 1, maxGuidance: 1 };
  const config = { ...configOf(c), distillation };
  const { trainer } = makeNetwork(config, source, 1, distillationOf(config, { teacher, images }, source));
  return () => trainer.queueStep(images.subarray(0, c.batchSize), 1e-4);
}

function randomImages(count: number, size: number, classes = 0): ImageSource {
  const pixels = Uint8Array.from({ length: count * size ** 2 }, (_, i) => (i * 2654435761) >>> 24);
  const shape = { channels: 1, height: size, width: size };
  const labels = classes > 0
    ? { values: Uint8Array.from(upTo(count), (i) => i % classes), classes }
    : undefined;
  return new ImageSource(pixels, shape, { scale: 2, shift: -1 }, labels);
}

/** Forward passes on noise of 28 x 28: a function that queues one. */
export function forwardPass(c: Case): () => void {
  const { network, x } = onNoise(c);
  const t = randomUniform(tensor(Uint32Array.of(1, 9, 1)), [c.batchSize]);
  const recorded = record(() => network.velocity(x, t));
  return () => recorded.run();
}

/** Evaluations of the velocity and its divergence along a random sign vector: a function that queues one. */
export function divergence(c: Case): () => void {
  const { network, x } = onNoise(c);
  const field = new DensityField(network, x.shape, rademacher(1, 1, x.shape));
  const t = randomUniform(tensor(Uint32Array.of(1, 9, 1)), [c.batchSize]);
  const state = field.start(x);
  const recorded = record(() => field.velocity(state, t));
  return () => recorded.run();
}

/** Sampling from noise of 28 x 28: a function that queues a full run. */
export function sampling(c: Case, steps: number): () => void {
  const { network, x } = onNoise(c);
  const sampler = new Sampler(network, x.shape, { steps, solver: "euler" });
  return () => scope(() => void sampler.run(x));
}

function onNoise(c: Case) {
  const network = createModel(modelOptions(configOf(c), [1, 28, 28]), 1);
  return { network, x: randomNormal(tensor(Uint32Array.of(1, 9, 0)), [c.batchSize, 1, 28, 28]) };
}

/** Works timed for a case: training steps, drift, forward passes, evaluations for a likelihood, and sampling. */
const works: Readonly<Record<string, (c: Case) => () => void>> = {
  train: (c: Case) => training(c).step,
  drift: drifting,
  forward: forwardPass,
  "forward with divergence": divergence,
  [`sample, ${samplingSteps} Euler steps,`]: (c: Case) => sampling(c, samplingSteps),
};

function workOf(device: Device, what: string, c: Case): Work {
  return queued(device, `${what} ${nameOf(c)}`, c.batchSize, "images/s", works[what](c));
}

/** Training steps and forward passes of a case, for timing. */
export function networkWorks(device: Device, c: Case): [train: Work, forward: Work] {
  return [workOf(device, "train", c), workOf(device, "forward", c)];
}

/**
 * Times training steps, drift, forward passes with and without divergence, and sampling of a network on random images of
 * 28 x 28, and measures the peak device memory of each.
 *
 * @param open opens a new device for each measurement
 */
export async function benchNetwork(open: () => Promise<Device>, c: Case, reporter: Reporter): Promise<void> {
  for (const what of Object.keys(works)) {
    const device = await open();
    const [measurement] = await timeInTurn([workOf(device, what, c)]);
    reporter.add(measurement);
    reporter.fact(`device memory, ${measurement.name}`, device.allocatedBytes / 2 ** 20, "MiB");
    device.close();
  }
}
