import assert from "node:assert/strict";
import {
  accuracyOf,
  blurred,
  classifierBatches,
  digestOf,
  grainy,
  type Labelled,
  makeJudge,
  recipes,
} from "../../../experiments/evaluation/train_judge.ts";
import { withDevice } from "../../../kernels/mod.ts";
import { loadJudge } from "../../../models/mod.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";
import { bars } from "./bars.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const how = { name: "lenet", steps: 60, seed: 5 } as const;

testOnCpu("makeJudge() learns an easy data set, and records its settings", async (device) => {
  const data = await bars();
  const seen: number[] = [];
  const { bytes, info } = (await makeJudge(data, { ...how, onProgress: (step) => seen.push(step) }))!;
  assertSameNumbers((await makeJudge(data, how))!.bytes, bytes, "it repeats, to the bit");
  assert.ok(info.accuracy > 0.95, `accuracy ${info.accuracy}`);
  assert.deepEqual(seen, [20, 40, 60]);
  assert.deepEqual(info, {
    ...{ classes: 2, channels: 1, height: 8, width: 8, normalization: { scale: 2, shift: -1 } },
    ...{ dataDigest: await digestOf(data), accuracy: info.accuracy, ...how },
    command:
      `deno run -A tools/train_judge.ts --judge lenet --data bars --steps 60 --seed 5 --device ${device.kind}`,
  });
  const judge = withDevice(device, () => loadJudge(bytes, "a file"));
  assert.deepEqual(judge.info, info);
  assertClose([await accuracyOf(judge, data.test)], [info.accuracy], 1e-9);
  assert.ok(
    await accuracyOf(judge, { ...data.test, labels: data.test.labels.map((label) => 1 - label) }) < 0.05,
  );
  // There are 2,100 images, judged in two parts; the last hundred have wrong labels.
  const { labels } = data.test;
  const images = data.test.images as Uint8Array;
  const many = {
    images: Uint8Array.from({ length: 2100 * 64 }, (_, i) => images[i % images.length]),
    labels: Uint8Array.from({ length: 2100 }, (_, n) => n < 2000 ? labels[n % 100] : 1 - labels[n % 100]),
    count: 2100,
  };
  assertClose([await accuracyOf(judge, many)], [(20 * info.accuracy + 1 - info.accuracy) / 21], 1e-9);
});

testOnCpu("makeJudge() trains vgg by its own design", async (device) => {
  const { bytes, info } = (await makeJudge(await bars(), { name: "vgg", steps: 150, seed: 5 }))!;
  assert.ok(info.accuracy > 0.95, `accuracy ${info.accuracy}`);
  assert.equal(withDevice(device, () => loadJudge(bytes, "a file")).info.name, "vgg");
});

testOnCpu(
  "makeJudge() stops early if a held-out tenth of few training images shows no more gain",
  async () => {
    const data = await bars();
    const seen: number[] = [];
    const { info } =
      (await makeJudge(data, { name: "lenet", seed: 5, onProgress: (step) => seen.push(step) }))!;
    assert.deepEqual([info.steps, seen.at(-1)], [250, 250], "bars are easy");
    assert.ok(info.accuracy > 0.95, `accuracy ${info.accuracy}`);
  },
);

testOnCpu("makeJudge() never learns from test images", async () => {
  const data = await bars();
  const { images, labels, count } = data.test;
  const other = {
    images: (images as Uint8Array).map((pixel) => 255 - pixel),
    labels: labels.map((label) => 1 - label),
    count,
  };
  const weights = async (test: Labelled) => {
    const { bytes } = (await makeJudge({ ...data, test }, { ...how, steps: 5 }))!;
    return bytes.subarray(8 + Number(new DataView(bytes.buffer).getBigUint64(0, true)));
  };
  assertSameNumbers(await weights(other), await weights(data.test));
});

const batchSize = 40;

testOnDevices(
  "classifierBatches() moves a small image by at most one pixel, and keeps its label",
  async (device) => {
    const [H, W, C, count] = [7, 6, 2, 5];
    // Image n is black except for a pixel in the middle of channel n % 2, with brightness 51 (n + 1).
    const images = new Uint8Array(count * C * H * W);
    for (let n = 0; n < count; n++) images[((n * C + n % 2) * H + 3) * W + 3] = 51 * (n + 1);
    const labels = Uint8Array.from({ length: count }, (_, n) => 10 + n);
    const batches = classifierBatches(
      { channels: C, height: H, width: W, train: { images, labels, count } },
      batchSize,
      3,
      { ...recipes.vgg, faults: false },
    );
    assert.equal(batches.x.device, device);
    const moves = new Set<string>();
    for (const step of [0, 1]) {
      batches.load(step);
      const [x, classes] = await Promise.all([batches.x.read(), batches.labels.read()]);
      for (let n = 0; n < batchSize; n++) {
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

testOnCpu("classifierBatches() damages half of a batch for vgg, and returns how much", async () => {
  const data = await bars();
  const still = { ...recipes.vgg, shift: 0 };
  const [clean, damaged] = [{ ...still, faults: false }, still].map((recipe) => {
    return classifierBatches(data, batchSize, 3, recipe);
  });
  for (const { load } of [clean, damaged]) load(0);
  const [x, y, strengths] = await Promise.all([clean.x, damaged.x, damaged.faults].map((of) => of.read()));
  const change = Array.from({ length: batchSize }, (_, n) => {
    return Math.hypot(...x.subarray(64 * n, 64 * n + 64).map((value, i) => y[64 * n + i] - value));
  });
  const [half, grainyFrom] = [batchSize / 2, 3 * batchSize / 4];
  change.forEach((size, n) => {
    const [blur, grain] = strengths.subarray(2 * n, 2 * n + 2);
    if (n < half) return assert.deepEqual([size, blur, grain], [0, 0, 0]);
    assert.equal(n < grainyFrom ? grain : blur, 0);
    const strength = blur + grain;
    assert.ok(size > 0 && strength >= 0.3 && strength <= 1, `${n}: ${size}, ${strength}`);
  });
  const grains = Array.from({ length: batchSize / 4 - 3 }, (_, i) => grainyFrom + i); // the last ones are noise
  const [least, most] = grains.toSorted((a, b) => strengths[2 * a + 1] - strengths[2 * b + 1]).filter(
    (_, i, all) => {
      return i === 0 || i === all.length - 1;
    },
  );
  assert.ok(change[least] < change[most], "more grain has a larger strength");
});

testOnCpu("classifierBatches() depends only on seed and step", async () => {
  const data = await bars();
  const batch = async (seed: number, ...steps: number[]) => {
    const batches = classifierBatches(data, batchSize, seed, recipes.vgg);
    for (const step of steps) batches.load(step);
    return await Promise.all([batches.x.read(), batches.labels.readWords(), batches.faults.read()]);
  };
  assert.deepEqual(await batch(3, 0, 7), await batch(3, 7));
  assert.notDeepEqual(await batch(3, 7), await batch(3, 6));
  assert.notDeepEqual(await batch(3, 7), await batch(4, 7));
});

const size = { height: 4, width: 6 };

Deno.test("blurred() spreads each image by a Gaussian, and loses what leaves it", () => {
  const images = new Float32Array(48); // a bright pixel in the first image, a column of three in the second
  images[8] = 1;
  for (const h of [0, 1, 2]) images[24 + 6 * h + 5] = 0.5;
  const blur = blurred(images, size, 0.5);
  const weight = (d: number) => Math.exp(-2 * d * d) / (1 + 2 * Math.exp(-2) + 2 * Math.exp(-8));
  const [full, next] = [weight(0), weight(1)];
  assertClose(
    [blur[8], blur[9], blur[14], blur[15]],
    [full * full, full * next, full * next, next * next],
    1e-6,
  );
  assertClose([blur[24 + 6 + 4]], [0.5 * next * (full + 2 * next)], 1e-6);
  assert.equal(blur[24 + 6], 0, "nothing wraps around");
  assertClose(blurred(images, size, 1e-3), images, 1e-6);
});

Deno.test("grainy() adds noise of its strength, the same for the same seed and draw", () => {
  const grey = new Float32Array(2000).fill(0.5);
  const noise = grainy(grey, 0.1, 1, 0).map((value) => value - 0.5);
  assert.ok(Math.abs(Math.hypot(...noise) / Math.sqrt(2000) - 0.1) < 0.01);
  assert.deepEqual(grainy(grey, 0.1, 1, 0), grainy(grey, 0.1, 1, 0));
  assert.notDeepEqual(grainy(grey, 0.1, 1, 0), grainy(grey, 0.1, 1, 1));
  assert.ok(grainy(grey, 1, 1, 0).every((value) => value >= 0 && value <= 1), "clipped");
});
