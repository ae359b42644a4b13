import { normalizationTo } from "../../../experiments/cli/training.ts";
import assert from "node:assert/strict";
import {
  describeData,
  shuffled,
  splitImages,
  splitTest,
  subsetOrder,
} from "../../../experiments/data/dataset.ts";
import { pixelsOf } from "../../../experiments/data/images.ts";
import { sorted, upTo } from "../../refusing.ts";
import { ImageSource, sourceOf } from "../../../experiments/data/image_source.ts";
import { batchOf } from "../../../models/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

Deno.test("splitTest() always holds out a tenth of each class, at least one of two, and starts with all classes", () => {
  const labels = upTo(10_000).map((i) => Math.floor(i / 1000)); // ten classes, one after the other
  const { train, test } = splitTest(labels);
  assert.deepEqual(sorted([...train, ...test]), upTo(10_000));
  for (const label of upTo(10)) assert.equal(test.filter((i) => labels[i] === label).length, 100);
  assert.deepEqual(splitTest(labels), { train, test });
  for (const [part, first] of [[train, 1000], [test, 500]] as const) {
    const counts = upTo(10).map((c) => part.slice(0, first).filter((i) => labels[i] === c).length);
    assert.ok(Math.min(...counts) >= first / 15 && Math.max(...counts) <= first / 7, `${counts}`);
  }
  const few = [0, 0, 1, 2, 2, 2];
  assert.deepEqual(splitTest(few).test.map((i) => few[i]).sort(), [0, 2]);
  assert.equal(splitTest(few).train.length, 4);
});

Deno.test("splitImages() splits all images, with the same validation images for any limit", () => {
  const options = { seed: 46020, valFraction: 0.1, trainLimit: 0, batchSize: 8 };
  const split = (change: Partial<typeof options>) => splitImages(96, { ...options, ...change });
  const { train, validation } = split({});
  assert.equal(validation.length, 10);
  assert.deepEqual(sorted([...train, ...validation]), upTo(96));
  assert.deepEqual(split({ trainLimit: 20 }), { train: train.slice(0, 20), validation });
  assert.deepEqual(split({ trainLimit: 1000 }).train, train);
  assert.notDeepEqual(split({ seed: 1 }).validation, validation);
  assert.equal(split({ valFraction: 0 }).validation.length, 0);
  assert.equal(split({ batchSize: 86 }).train.length, 86);
  const refused: [Partial<typeof options>, given: string, flag: string][] = [
    [{ batchSize: 87 }, "87 images from 86", "--batch-size"],
    [{ batchSize: 86, trainLimit: 85 }, "86 images from 85", "--batch-size"],
    [{ valFraction: 0.999 }, "8 images from 0", "--val-fraction"],
  ];
  for (const [change, given, flag] of refused) {
    const message = `Cannot take batches of ${given} training images: use a smaller ${flag}`;
    assert.throws(() => split(change), { name: "ConfigError", message });
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
  assert.equal(describeData(digits), "d: 60,000 training and 10 test images of 28 x 28, 10 classes");
  assert.equal(
    describeData({ ...digits, train: { count: 9 }, channels: 3, classes: 2, classNames: ["cat", "owl"] }),
    "d: 9 training and 10 test images of 3 x 28 x 28, 2 classes: cat, owl",
  );
  assert.match(describeData({ ...digits, classes: 0 }), /, no classes$/);
  const twoLines = describeData({ ...digits, classes: 2, classNames: ["cat\nDone; see here", "owl"] });
  assert.match(twoLines, /classes: cat\\u000aDone; see here, owl$/, "names cannot break lines");
  assert.match(describeData({ ...digits, classes: 21, classNames: upTo(21).map(String) }), /, 21 classes$/);
});

testOnDevices("ImageSource returns normalised batches, with labels if it has any", async () => {
  const size = { channels: 3, height: 1, width: 2 };
  const bytes = Uint8Array.from({ length: 24 }, (_, i) => i * 37 % 256);
  const labels = { values: Uint8Array.of(7, 200, 3, 255), classes: 256 };
  const chosen = Uint32Array.of(3, 0, 3);
  for (const [range, scale, shift] of [["-1..1", 2, -1], ["0..1", 1, 0]] as const) {
    const source = new ImageSource(bytes, size, normalizationTo(range), labels);
    assert.deepEqual([source.shape, source.classes], [[3, 1, 2], 256]);
    assert.deepEqual(source.info, { normalization: { scale, shift }, imageSize: [1, 2] });
    const { x1, condition } = batchOf(source, chosen);
    assert.deepEqual([x1.shape, condition!.type], [[3, 3, 1, 2], "u32"]);
    const values = [3, 0, 3].flatMap((n) => [...bytes.subarray(6 * n, 6 * n + 6)]).map((byte) =>
      byte / 255 * scale + shift
    );
    assertClose(await x1.read(), values, 1e-6);
    assertClose(source.host.values(chosen), values, 1e-6);
    assert.deepEqual([...await condition!.read()], [255, 7, 255]);
    assert.deepEqual([...source.host.labels!(chosen)], [255, 7, 255]);
  }
  const plain = new ImageSource(bytes, size, normalizationTo("0..1"));
  const parts = [1, 2].map((first) => {
    return { images: bytes.subarray(0, 12), labels: Uint8Array.of(first, 3), count: 2 };
  });
  const data = { ...size, train: parts[0], test: parts[1], classes: 4, name: "", digest: "", source: "" };
  for (const [part, first] of [["train", 1], ["test", 2]] as const) {
    const options = { conditional: true, normalization: normalizationTo("0..1") };
    const { classes, host } = sourceOf(data, part, options);
    assert.deepEqual([classes, ...host.labels!(Uint32Array.of(0, 1))], [4, first, 3]);
    assert.equal(sourceOf(data, part, { ...options, conditional: false }).classes, 0);
  }
  assert.deepEqual([plain.classes, batchOf(plain, chosen).condition, plain.host.labels], [
    0,
    undefined,
    undefined,
  ]);
});
