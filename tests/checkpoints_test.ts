import assert from "node:assert/strict";
import {
  asBytes,
  guided,
  init,
  loadJudge,
  noneOf,
  openCheckpoint,
  sample,
  tensor,
  toPixels,
  withDevice,
} from "../mod.ts";
import { readStored, storedJudges } from "../experiments/evaluation/judges.ts";
import { testNeeding } from "./permissions.ts";

const ways = {
  mnist_classes: { guidance: 1.4, how: { solver: "heun", steps: 10 } },
  mnist_few_steps: { guidance: 1, how: { solver: "map" } },
} as const;

for (const [name, { guidance, how }] of Object.entries(ways)) {
  testNeeding({ read: true }, `${name} draws the requested digits with ${how.solver}`, async () => {
    const device = await init({ device: "cpu", threads: 1 });
    await withDevice(device, async () => {
      const path = new URL(`../checkpoints/${name}.safetensors`, import.meta.url);
      const { model, shape, info } = await openCheckpoint(path);
      const labels = Uint32Array.from({ length: 20 }, (_, i) => i % 10);
      const field = guided(model, { scale: guidance, none: noneOf(model) });
      const x1 = sample(field, { count: labels.length, shape, seed: 0, ...how, condition: tensor(labels) });
      const pixels = asBytes(toPixels(await x1.read(), info.normalization!));
      const judge = loadJudge(await readStored(storedJudges[0]), "the judge");
      const { probabilities } = await judge.judge(pixels);
      const right = labels.filter((label, i) => probabilities[10 * i + label] > 0.5).length;
      assert.ok(right >= 19, `${right} of 20`);
    });
    device.close();
  });
}
