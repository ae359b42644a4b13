/** A whole training run, as `train` does it, against PyTorch; see tests/vectors/README.md. */

import assert from "node:assert/strict";
import { trainingConfig } from "../../../experiments/settings/training_config.ts";
import { ImageSource } from "../../../experiments/data/image_source.ts";
import { makeNetwork } from "../../../experiments/training/network.ts";
import { DeviceError } from "../../../kernels/mod.ts";
import { loadState } from "../../../models/mod.ts";
import { testWithVectors, type Vectors } from "../../models/vectors.ts";
import { largestDifference } from "../../testing.ts";

/** What the reference was made with; see `CURVE` in loss_curve.py. */
type Settings = Readonly<
  Record<"seed" | "images" | "size" | "batch" | "steps" | "lr" | "weight_decay" | "clip", number>
>;

/** White discs on black, a byte a pixel. */
function discs(count: number, size: number): Uint8Array {
  const bytes = new Uint8Array(count * size * size);
  for (let n = 0; n < count; n++) {
    for (let h = 0; h < size; h++) {
      for (let w = 0; w < size; w++) {
        const inside = (h - 3 - 5 * n % 8) ** 2 + (w - 3 - 3 * n % 8) ** 2 <= 4 + 7 * n % 13;
        bytes[(n * size + h) * size + w] = inside ? 255 : 0;
      }
    }
  }
  return bytes;
}

/** The losses of training from the parameters of the vectors. */
async function lossesOf(vectors: Vectors, precision: "f32" | "f16"): Promise<number[]> {
  const { images, size, batch, steps, lr, weight_decay: weightDecay, clip, seed }: Settings = JSON.parse(
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
  for (let step = 0; step < steps; step++) {
    trainer.queueStep(Uint32Array.from({ length: batch }, (_, i) => (step * batch + i) % images), lr);
  }
  return await trainer.losses();
}

testWithVectors("training for 200 steps has PyTorch's loss curve", "loss_curve", async (vectors) => {
  const difference = largestDifference(await lossesOf(vectors, "f32"), vectors.values("losses"));
  assert.ok(difference <= 1e-3, `a loss is off by ${difference}`); // measured: 6e-7 on cpu, 1.4e-6 on lavapipe
});

testWithVectors(
  "training in f16 for 200 steps has the loss curve to 1 %",
  "loss_curve",
  async (vectors, device) => {
    if (!device.halfStorage) {
      await assert.rejects(lossesOf(vectors, "f16"), DeviceError);
      return;
    }
    const found = await lossesOf(vectors, "f16");
    const errors = Array.from(vectors.values("losses"), (loss, i) => Math.abs(found[i] - loss) / loss);
    const largest = Math.max(...errors); // measured: 0.45 % on lavapipe
    assert.ok(largest > 1e-5, "nothing was kept in f16");
    assert.ok(largest <= 0.01, `a loss is off by ${100 * largest} %`);
  },
);
