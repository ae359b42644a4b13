import assert from "node:assert/strict";
import {
  describeData,
  pixelsOf,
  shuffled,
  splitImages,
  splitTest,
  subsetOrder,
} from "../../../experiments/data/dataset.ts";
import { sorted, upTo } from "../../refusing.ts";
import { ImageSource, normalizationTo } from "../../../experiments/data/image_source.ts";
import { tensor } from "../../../kernels/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

Deno.test("splitTest() always holds out the same tenth of each class, and starts with all classes", () => {
  const labels = upTo(10_000).map((i) => Math.floor(i / 1000)); // ten classes, one after the other
  const { train, test } = splitTest(labels);
  assert.deepEqual(sorted([...train, ...test]), upTo(10_000));
  for (const label of upTo(10)) assert.equal(test.filter((i) => labels[i] === label).length, 100);
  assert.deepEqual(splitTest(labels), { train, test });
  for (const [part, first] of [[train, 1000], [test, 500]] as const) {
    const counts = upTo(10).map((c) => part.slice(0, first).filter((i) => labels[i] === c).length);
    assert.ok(Math.min(...counts) >= first / 15 && Math.max(...counts) <= first / 7, `${counts}`);
  }
});

Deno.test("splitTest() holds out one of two images, and none of one", () => {
  const { train, test } = splitTest([0, 0, 1, 2, 2, 2]);
  assert.deepEqual(test.map((i) => [0, 0, 1, 2, 2, 2][i]).sort(), [0, 2]);
  assert.equal(train.length, 4);
  assert.deepEqual(splitTest([5]), { train: [0], test: [] });
});

Deno.test("splitImages() splits all images, with the same validation images for any limit", () => {
  const options = { seed: 46020, valFraction: 0.1, trainLimit: 0, batchSize: 8 };
  const { train, validation } = splitImages(96, options);
  assert.equal(validation.length, 10);
  assert.deepEqual(sorted([...train, ...validation]), upTo(96));
  const limited = splitImages(96, { ...options, trainLimit: 20 });
  assert.deepEqual(limited, { train: train.slice(0, 20), validation });
  assert.deepEqual(splitImages(96, { ...options, trainLimit: 1000 }).train, train);
  assert.notDeepEqual(splitImages(96, { ...options, seed: 1 }).validation, validation);
  assert.equal(splitImages(96, { ...options, valFraction: 0 }).validation.length, 0);
});

Deno.test("splitImages() refuses batches larger than the training images", () => {
  const options = { seed: 46020, valFraction: 0.1, trainLimit: 0, batchSize: 86 };
  assert.equal(splitImages(96, options).train.length, 86);
  for (
    const [change, given, flag] of [
      [{ batchSize: 87 }, "87 images from 86", "--batch-size"],
      [{ trainLimit: 85 }, "86 images from 85", "--batch-size"],
      [{ valFraction: 0.999 }, "86 images from 0", "--val-fraction"],
    ] as const
  ) {
    assert.throws(() => splitImages(96, { ...options, ...change }), {
      name: "ConfigError",
      message: `Cannot take batches of ${given} training images: use a smaller ${flag}`,
    });
  }
});

Deno.test("subsetOrder() shuffles only images that are sorted by class", () => {
  const random = [...shuffled(1000)];
  const cases: Record<string, [isSorted: boolean, label: (n: number) => number]> = {
    "random": [false, (n) => random[n] % 10],
    "random, of unequal classes": [false, (n) => random[n] < 20 ? 1 : 0],
    "in rotation": [false, (n) => n % 10],
    "of one class": [false, () => 3],
    "sorted": [true, (n) => Math.floor(n / 100)],
    "sorted within files": [true, (n) => Math.floor(n / 20) % 10],
    "mostly of one class": [true, (n) => n < 980 ? 0 : 1],
  };
  for (const [what, [isSorted, label]] of Object.entries(cases)) {
    const labels = upTo(1000).map(label);
    const expected = isSorted ? random : upTo(1000);
    assert.deepEqual([...subsetOrder({ labels, count: 1000 })], expected, what);
  }
  assert.deepEqual([...subsetOrder({ labels: [7], count: 1 })], [0]);
  assert.deepEqual([...subsetOrder({ count: 3 })], [0, 1, 2], "unknown without labels");
});

Deno.test("pixelsOf() selects images by number, from 0 black to 1 white", () => {
  assert.deepEqual([...pixelsOf(Uint8Array.of(0, 51, 102, 255), [1, 0], 2)], [
    ...Float32Array.of(0.4, 1, 0, 0.2),
  ]);
});

Deno.test("describeData() lists sizes, counts and classes", () => {
  const digits = { name: "d", train: 60_000, test: 10, channels: 1, height: 28, width: 28, classes: 10 };
  assert.equal(describeData(digits), "d: 60,000 images of 28 x 28 to train and 10 to test, 10 classes");
  assert.equal(
    describeData({ ...digits, train: { count: 9 }, channels: 3, classes: 2, classNames: ["cat", "owl"] }),
    "d: 9 images of 3 x 28 x 28 to train and 10 to test, 2 classes: cat, owl",
  );
  assert.match(describeData({ ...digits, classes: 0 }), /, no classes$/);
  const twoLines = describeData({ ...digits, classes: 2, classNames: ["cat\nDone; see here", "owl"] });
  assert.match(twoLines, /classes: cat\\u000aDone; see here, owl$/, "names cannot break lines");
  assert.match(describeData({ ...digits, classes: 21, classNames: upTo(21).map(String) }), /, 21 classes$/);
});

for (const channels of [1, 3]) {
  const size = { channels, height: 3, width: 5 };
  const values = channels * 15;
  testOnDevices(`ImageSource returns normalised batches of ${channels} channels`, async () => {
    const bytes = Uint8Array.from({ length: 4 * values }, (_, i) => i * 37 % 256);
    const source = new ImageSource(bytes, size, normalizationTo("-1..1"));
    assert.deepEqual(source.shape, [channels, 3, 5]);
    assert.deepEqual(source.info, { normalization: { scale: 2, shift: -1 }, imageSize: [3, 5] });
    const { x1 } = source.batch(tensor(Uint32Array.of(3, 0)));
    assert.deepEqual(x1.shape, [2, channels, 3, 5]);
    const expected = [...bytes.subarray(3 * values), ...bytes.subarray(0, values)];
    const normalised = expected.map((byte) => byte / 127.5 - 1);
    assertClose(await x1.read(), normalised, 1e-6);
    assertClose(source.host.values(Uint32Array.of(3, 0)), normalised, 1e-6);
  });
}

testOnDevices("ImageSource returns labels with the images, if it has any", async () => {
  const size = { channels: 1, height: 1, width: 2 };
  const bytes = Uint8Array.from({ length: 8 }, (_, i) => i);
  const indices = tensor(Uint32Array.of(3, 0, 3));
  const plain = new ImageSource(bytes, size, normalizationTo("0..1"));
  assert.deepEqual([plain.classes, plain.batch(indices).condition], [0, undefined]);
  const labels = { values: Uint8Array.of(7, 200, 3, 255), classes: 256 };
  const labelled = new ImageSource(bytes, size, normalizationTo("0..1"), labels);
  const { condition, x1 } = labelled.batch(indices);
  assertClose(await x1.read(), [6, 7, 0, 1, 6, 7].map((byte) => byte / 255), 1e-7);
  assert.equal(labelled.classes, 256);
  assert.deepEqual([condition!.type, [...await condition!.read()]], ["u32", [255, 7, 255]]);
  assert.deepEqual([...labelled.host.labels!(Uint32Array.of(3, 0))], [255, 7]);
});
