import assert from "node:assert/strict";
import { ClassifierBatches } from "../../../experiments/judge/train_judge.ts";
import { testOnDevices } from "../../testing.ts";
import { bars } from "./bars.ts";

const how = { batchSize: 40, seed: 3, normalization: { scale: 2, shift: -1 } };

testOnDevices(
  "ClassifierBatches moves each image by at most one pixel, and keeps its label",
  async (device) => {
    const [H, W, C, count] = [7, 6, 2, 5];
    // Image n is black but for a pixel in the middle of channel n % 2, of brightness 51 (n + 1).
    const images = new Uint8Array(count * C * H * W);
    for (let n = 0; n < count; n++) images[((n * C + n % 2) * H + 3) * W + 3] = 51 * (n + 1);
    const labels = Uint8Array.from({ length: count }, (_, n) => 10 + n);
    const batches = new ClassifierBatches(
      { channels: C, height: H, width: W, train: { images, labels, count } },
      how,
    );
    assert.equal(batches.x.device, device);
    const moves = new Set<string>();
    for (const step of [0, 1]) {
      batches.load(step);
      const [x, classes] = await Promise.all([batches.x.read(), batches.labels.read()]);
      for (let n = 0; n < how.batchSize; n++) {
        const image = x.subarray(n * C * H * W, (n + 1) * C * H * W);
        const bright = [...image.keys()].filter((i) => image[i] !== -1);
        assert.equal(bright.length, 1);
        const number = classes[n] - 10;
        assert.equal(Math.round((image[bright[0]] + 1) / 2 * 5), number + 1);
        const [c, y, w] = [Math.floor(bright[0] / (H * W)), Math.floor(bright[0] / W) % H, bright[0] % W];
        assert.equal(c, number % 2);
        assert.ok(Math.abs(y - 3) <= 1 && Math.abs(w - 3) <= 1, `moved to ${y}, ${w}`);
        moves.add(`${y - 3}, ${w - 3}`);
      }
    }
    assert.ok(moves.size === 9, `only ${moves.size} of 9 moves in 80 images`);
  },
);

testOnDevices("ClassifierBatches.load() gives a batch by seed and step alone", async () => {
  const data = await bars();
  const batch = async (seed: number, ...steps: number[]) => {
    const batches = new ClassifierBatches(data, { ...how, seed });
    for (const step of steps) batches.load(step);
    return await Promise.all([batches.x.read(), batches.labels.read()]);
  };
  assert.deepEqual(await batch(3, 0, 7), await batch(3, 7));
  assert.notDeepEqual(await batch(3, 7), await batch(3, 6));
  assert.notDeepEqual(await batch(3, 7), await batch(4, 7));
});
