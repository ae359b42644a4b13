import { type Device, randomNormal, randomUniform, record, scope, tensor } from "../../kernels/mod.ts";
import { createModel, Sampler } from "../../models/mod.ts";
import { resolveConfig } from "../../experiments/config.ts";
import { ImageSource } from "../../experiments/image_source.ts";
import { modelOptions, Trainer } from "../../experiments/trainer.ts";
import { type Measurement, queued, timeInTurn, type Work } from "./timing.ts";

/** Which network at which batch. */
export interface Case {
  readonly model: "base" | "residual";
  readonly filters: readonly number[];
  readonly tEmb: number;
  readonly batchSize: number;
}

/** The networks that benchmarks time. */
export const cases: readonly Case[] = [
  { model: "base", filters: [16, 32, 64], tEmb: 64, batchSize: 64 },
  { model: "residual", filters: [16, 32, 64], tEmb: 64, batchSize: 64 },
  { model: "residual", filters: [8, 16, 32], tEmb: 64, batchSize: 32 },
];

/** A case in words. */
export function nameOf({ model, filters, tEmb, batchSize }: Case): string {
  return `${model} [${filters}] T ${tEmb}, batch ${batchSize}`;
}

/** Settings of a training run of a case. */
function configOf({ model, filters, tEmb, batchSize }: Case) {
  return resolveConfig({ help: false, values: { model, filters: [...filters], tEmb, batchSize } }, "quick");
}

/** Training on random images: the trainer, and a function that queues a step of it. */
export function training(c: Case, imageSize = 28): { trainer: Trainer; step: () => void } {
  const bytes = c.batchSize * imageSize ** 2;
  const pixels = Uint8Array.from({ length: bytes }, (_, i) => (i * 2654435761) >>> 24);
  const source = new ImageSource(pixels, { height: imageSize, width: imageSize }, { scale: 2, shift: -1 });
  const trainer = new Trainer(configOf(c), source);
  const images = Uint32Array.from({ length: c.batchSize }, (_, i) => i);
  return { trainer, step: () => trainer.queueStep(images, 1e-4) };
}

/** Forward passes and sampling from noise of 28 x 28: functions that queue one forward pass, and a whole sampling. */
export function inference(c: Case, steps: number): { forward: () => void; sample: () => void } {
  const network = createModel(modelOptions(configOf(c), 1), 1);
  const shape = [c.batchSize, 1, 28, 28];
  const x = randomNormal(tensor(Uint32Array.of(1, 9, 0)), shape);
  const t = randomUniform(tensor(Uint32Array.of(1, 9, 1)), [c.batchSize]);
  const recorded = record(() => network.velocity(x, t));
  const sampler = new Sampler(network, shape, { steps, solver: "euler" });
  return { forward: () => recorded.run(), sample: () => scope(() => void sampler.run(x)) };
}

/** Training steps and forward passes of a case, to be timed. */
export function networkWorks(device: Device, c: Case): [train: Work, forward: Work] {
  const work = (what: string, step: () => void) =>
    queued(device, `${what} ${nameOf(c)}`, c.batchSize, "images/s", step);
  return [work("train", training(c).step), work("forward", inference(c, 1).forward)];
}

/** Times training steps, forward passes and sampling of a network on random images of 28 x 28. */
export async function benchNetwork(
  device: Device,
  c: Case,
  report: (found: Measurement) => void,
): Promise<void> {
  const steps = 10;
  const name = `sample, ${steps} Euler steps, ${nameOf(c)}`;
  const sample = queued(device, name, c.batchSize, "images/s", inference(c, steps).sample);
  for (const work of [...networkWorks(device, c), sample]) {
    for (const found of await timeInTurn([work])) report(found);
  }
}
