import { normalizationTo } from "../../../experiments/cli/training.ts";
import assert from "node:assert/strict";
import { ImageSource } from "../../../experiments/data/image_source.ts";
import {
  type Device,
  DeviceError,
  multiply,
  randomNormal,
  randomUniform,
  reshape,
  type Tensor,
  tensor,
} from "../../../kernels/mod.ts";
import { HeldOutLoss, loadState, meanLoss, streams } from "../../../models/mod.ts";
import { assertClose, largestDifference, testOnCpu } from "../../testing.ts";
import { trainingConfig } from "../../../experiments/cli/training_config.ts";
import { makeNetwork } from "../../../experiments/training/network.ts";
import { testWithVectors, type Vectors } from "../../models/vectors.ts";

const size = { channels: 1, height: 3, width: 4 };
const pixels = size.height * size.width;
const bytes = Uint8Array.from({ length: 20 * pixels }, (_, i) => i * 37 % 256);
const seed = 46020;
const batchSize = 4;

/** A field that depends on x and t: v(x, t) = t x. */
const field = { velocity: (x: Tensor, t: Tensor) => multiply(x, reshape(t, [t.size, 1, 1, 1])) };

function measurement(batchSize: number): (images: Uint32Array) => Promise<number> {
  const source = new ImageSource(bytes, size, normalizationTo("-1..1"));
  const heldOut = new HeldOutLoss(field, source, { batchSize, seed });
  return async (images) => meanLoss(await heldOut.losses(images));
}

/** Mean loss of images, recomputed in plain numbers from the noise and times of each batch. */
async function expectedLoss(images: readonly number[]): Promise<number> {
  let total = 0;
  for (let start = 0, batch = 0; start < images.length; start += batchSize, batch++) {
    const shape = [batchSize, 1, size.height, size.width];
    const noise = await randomNormal(tensor(Uint32Array.of(seed, streams.heldOutNoise, batch)), shape).read();
    const times = await randomUniform(tensor(Uint32Array.of(seed, streams.heldOutTime, batch)), [batchSize])
      .read();
    images.slice(start, start + batchSize).forEach((image, n) => {
      const t = times[n];
      for (let i = 0; i < pixels; i++) {
        const x0 = noise[n * pixels + i];
        const x1 = bytes[image * pixels + i] / 255 * 2 - 1;
        total += (t * (t * x1 + (1 - t) * x0) - (x1 - x0)) ** 2 / pixels;
      }
    });
  }
  return total / images.length;
}

testOnCpu("HeldOutLoss.losses() counts each image once, and is the same each time", async () => {
  const lossOf = measurement(batchSize);
  const odd = [19, 1, 18, 2, 17, 3, 16];
  const many = Array.from({ length: 77 }, (_, i) => i % 20); // more batches than can be in flight
  for (const images of [[3], [9, 2, 5], [0, 7, 4, 11], odd, [5, 5, 6, 5, 5, 8, 0, 1], many]) {
    const loss = await lossOf(Uint32Array.from(images));
    assertClose([loss], [await expectedLoss(images)], 1e-5);
    assert.equal(await measurement(batchSize)(Uint32Array.from(images)), loss);
  }
});

/** A whole training run like that of `train`, against PyTorch; see tests/vectors/README.md. */

/** Settings of the reference; see `CURVE` in loss_curve.py. */
type Settings = Readonly<
  Record<"seed" | "images" | "size" | "batch" | "steps" | "lr" | "weight_decay" | "clip", number>
>;

/** White discs on black, one byte per pixel. */
const discs = (count: number, size: number) =>
  Uint8Array.from({ length: count * size * size }, (_, i) => {
    const [n, h, w] = [Math.floor(i / size ** 2), Math.floor(i / size) % size, i % size];
    return (h - 3 - 5 * n % 8) ** 2 + (w - 3 - 3 * n % 8) ** 2 <= 4 + 7 * n % 13 ? 255 : 0;
  });

/** Losses of training from the parameters in the vectors, on a GPU of the first 50 of 200 steps. */
async function lossesOf(vectors: Vectors, { kind }: Device, precision: "f32" | "f16"): Promise<number[]> {
  const { images, size, batch, steps: all, lr, weight_decay: weightDecay, clip, seed }: Settings = JSON.parse(
    vectors.metadata.settings,
  );
  const { filters, tEmb, groups = 8 } = vectors.config;
  const network = { model: "residual", filters: [...filters], tEmb, groups } as const;
  const values = { ...network, batchSize: batch, lr, weightDecay, clip, seed, precision };
  const bytes = discs(images, size);
  const source = new ImageSource(bytes, { channels: 1, height: size, width: size }, { scale: 2, shift: -1 });
  const { trainer, model } = makeNetwork(
    trainingConfig({ ...values, optimizer: "adamw", times: "uniform" }),
    source,
  );
  loadState(model, vectors.part("param."), "vectors");
  const steps = kind === "cpu" ? all : 50;
  for (let step = 0; step < steps; step++) {
    trainer.queueStep(Uint32Array.from({ length: batch }, (_, i) => (step * batch + i) % images), lr);
  }
  return await trainer.losses();
}

testWithVectors("training has PyTorch's loss curve", "loss_curve", async (vectors, device) => {
  const losses = await lossesOf(vectors, device, "f32");
  const difference = largestDifference(losses, vectors.values("losses").subarray(0, losses.length));
  assert.ok(difference <= 1e-3, `a loss is off by ${difference}`); // measured: 6e-7 on cpu, 1.4e-6 on lavapipe
});

testWithVectors(
  "training in f16 has the same loss curve within 1 %",
  "loss_curve",
  async (vectors, device) => {
    if (!device.halfStorage) return await assert.rejects(lossesOf(vectors, device, "f16"), DeviceError);
    const found = await lossesOf(vectors, device, "f16");
    const errors = found.map((loss, i) => Math.abs(loss / vectors.values("losses")[i] - 1));
    const largest = Math.max(...errors); // measured: 0.45 % on lavapipe
    assert.ok(largest > 1e-5, "no rounding to f16 is visible");
    assert.ok(largest <= 0.01, `a loss is off by ${100 * largest} %`);
  },
);
