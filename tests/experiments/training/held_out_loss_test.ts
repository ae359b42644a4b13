import assert from "node:assert/strict";
import { ImageSource, normalizationTo } from "../../../experiments/data/image_source.ts";
import { multiply, randomNormal, randomUniform, reshape, type Tensor, tensor } from "../../../kernels/mod.ts";
import { HeldOutLoss, meanLoss } from "../../../models/mod.ts";
import { streams } from "../../../models/random.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

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

/** The mean loss of images in plain numbers: the noise and times of each batch, the loss of each of its images. */
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

testOnDevices(
  "HeldOutLoss.losses() counts each image once, even in a partial last batch",
  async () => {
    const lossOf = measurement(batchSize);
    for (
      const images of [[3], [9, 2, 5], [0, 7, 4, 11], [19, 1, 18, 2, 17, 3, 16], [5, 5, 6, 5, 5, 8, 0, 1]]
    ) {
      assertClose([await lossOf(Uint32Array.from(images))], [await expectedLoss(images)], 1e-5);
    }
  },
);

testOnDevices("HeldOutLoss.losses() handles more batches than may be in flight at once", async () => {
  const images = Array.from({ length: 77 }, (_, i) => i % 20);
  assertClose(
    [await measurement(batchSize)(Uint32Array.from(images))],
    [await expectedLoss(images)],
    1e-5,
  );
});

testOnDevices("HeldOutLoss.losses() gives the same number each time", async () => {
  const images = Uint32Array.of(19, 1, 18, 2, 17, 3, 16);
  const lossOf = measurement(batchSize);
  const first = await lossOf(images);
  await lossOf(Uint32Array.of(0, 1));
  assert.equal(await lossOf(images), first);
  assert.equal(await measurement(batchSize)(images), first);
});
