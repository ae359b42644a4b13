/** A whole training run like that of `train`, against PyTorch; see tests/vectors/README.md. */

import assert from "node:assert/strict";
import { ImageSource } from "../../../experiments/data/image_source.ts";
import { makeNetwork } from "../../../experiments/training/network.ts";
import { type Device, DeviceError } from "../../../kernels/mod.ts";
import { loadState } from "../../../models/mod.ts";
import { testWithVectors, type Vectors } from "../../models/vectors.ts";
import { largestDifference } from "../../testing.ts";
import { configOf } from "../config_of.ts";

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
  const settings: Settings = JSON.parse(vectors.metadata.settings);
  const { images, size, batch, steps: all, lr, weight_decay: weightDecay, clip, seed } = settings;
  const { filters, tEmb, groups = 8 } = vectors.config;
  const network = { model: "residual", filters: [...filters], tEmb, groups } as const;
  const values = { ...network, batchSize: batch, lr, weightDecay, clip, seed, precision };
  const shape = { channels: 1, height: size, width: size };
  const source = new ImageSource(discs(images, size), shape, { scale: 2, shift: -1 });
  const config = configOf({ ...values, optimizer: "adamw", times: "uniform" });
  const { trainer, model } = makeNetwork(config, source);
  loadState(model, vectors.part("param."), "vectors");
  for (let step = 0; step < (kind === "cpu" ? all : 50); step++) {
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
